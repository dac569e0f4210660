//! The styles a document is drawn with, resolved from the theme by the caller.

use ratatui::style::{Color, Modifier, Style};

use super::highlight::SyntaxRole;

/// One style a role. `id` names the set: lines drawn under one id are drawn
/// again when it changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Styles {
    pub id: u64,
    pub text: Style,
    /// Levels 1, 2, and deeper.
    pub headings: [Style; 3],
    /// Laid over the surrounding style.
    pub strong: Style,
    pub emphasis: Style,
    pub strike: Style,
    pub code: Style,
    /// The text inside a code block.
    pub block: Style,
    /// Boxes, rules, quote bars, table lines.
    pub border: Style,
    /// The language of a code block and other small print.
    pub label: Style,
    pub quote: Style,
    pub link: Style,
    pub url: Style,
    /// Bullets and numbers.
    pub marker: Style,
    pub done: Style,
    pub table_header: Style,
    pub html: Style,
    pub syntax: [Style; SyntaxRole::COUNT],
}

impl Styles {
    pub fn syntax(&self, role: SyntaxRole) -> Style {
        self.block.patch(self.syntax[role as usize])
    }

    /// Colours of the terminal's own sixteen, for when there is no theme.
    pub fn plain() -> Self {
        let plain = Style::new();
        let muted = plain.fg(Color::DarkGray);
        let bold = plain.add_modifier(Modifier::BOLD);
        let mut syntax = [plain; SyntaxRole::COUNT];
        for (role, style) in [
            (SyntaxRole::Comment, muted),
            (SyntaxRole::Keyword, plain.fg(Color::Magenta)),
            (SyntaxRole::String, plain.fg(Color::Green)),
            (SyntaxRole::Number, plain.fg(Color::Yellow)),
            (SyntaxRole::Constant, plain.fg(Color::Yellow)),
            (SyntaxRole::Function, plain.fg(Color::Blue)),
            (SyntaxRole::Type, plain.fg(Color::Cyan)),
        ] {
            syntax[role as usize] = style;
        }
        Self {
            id: 0,
            text: plain,
            headings: [bold.fg(Color::Cyan), bold.fg(Color::Cyan), bold],
            strong: bold,
            emphasis: plain.add_modifier(Modifier::ITALIC),
            strike: plain.add_modifier(Modifier::CROSSED_OUT),
            code: plain.fg(Color::Cyan),
            block: plain,
            border: muted,
            label: muted,
            quote: plain.add_modifier(Modifier::ITALIC),
            link: plain.fg(Color::Blue).add_modifier(Modifier::UNDERLINED),
            url: muted,
            marker: plain.fg(Color::Cyan),
            done: plain.fg(Color::Green),
            table_header: bold,
            html: muted,
            syntax,
        }
    }
}
