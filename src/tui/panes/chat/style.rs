//! The theme's roles as the transcript and the composer need them.

use ratatui::style::{Modifier, Style};

use crate::tui::{
    composer::ComposerStyles,
    markdown::{Styles, SyntaxRole},
    theme::Theme,
    transcript::CellStyles,
};

/// The styles made from a theme, made again when the theme changes.
pub(super) struct Dress {
    theme: Option<Theme>,
    pub styles: Styles,
    pub cells: CellStyles,
    pub composer: ComposerStyles,
    /// The width of the pane when it was last drawn.
    pub width: u16,
}

impl Default for Dress {
    fn default() -> Self {
        Self {
            theme: None,
            styles: Styles::plain(),
            cells: CellStyles::default(),
            composer: ComposerStyles::default(),
            width: 80,
        }
    }
}

impl Dress {
    pub fn wear(&mut self, theme: &Theme) {
        if self.theme.as_ref() == Some(theme) {
            return;
        }
        self.styles = markdown(theme, self.styles.id + 1);
        self.cells = CellStyles {
            muted: theme.muted,
            user: theme.user,
            model: theme.model,
            thought: theme.thought,
            tool: theme.tool,
            warn: theme.warn,
            error: theme.error,
        };
        self.composer = ComposerStyles {
            text: theme.text,
            placeholder: theme.muted,
            paste: theme.accent,
        };
        self.theme = Some(theme.clone());
    }
}

fn markdown(theme: &Theme, id: u64) -> Styles {
    let plain = Style::new();
    let mut syntax = [theme.text; SyntaxRole::COUNT];
    for (role, style) in [
        (
            SyntaxRole::Comment,
            theme.muted.add_modifier(Modifier::ITALIC),
        ),
        (SyntaxRole::Keyword, theme.chart4),
        (SyntaxRole::String, theme.chart3),
        (SyntaxRole::Number, theme.chart5),
        (SyntaxRole::Constant, theme.chart5),
        (SyntaxRole::Function, theme.chart2),
        (SyntaxRole::Type, theme.chart6),
        (SyntaxRole::Punctuation, theme.muted),
        (SyntaxRole::Tag, theme.chart4),
        (SyntaxRole::Attribute, theme.chart2),
        (SyntaxRole::Inserted, theme.ok),
        (SyntaxRole::Deleted, theme.error),
    ] {
        syntax[role as usize] = style;
    }
    Styles {
        id,
        text: theme.text,
        headings: [
            theme
                .heading
                .patch(theme.accent)
                .add_modifier(Modifier::BOLD),
            theme.heading.add_modifier(Modifier::BOLD),
            theme.heading,
        ],
        strong: plain.add_modifier(Modifier::BOLD),
        emphasis: plain.add_modifier(Modifier::ITALIC),
        strike: plain.add_modifier(Modifier::CROSSED_OUT),
        code: theme.code,
        block: theme.code_block,
        border: theme.border,
        label: theme.muted,
        quote: theme.quote,
        link: theme.link,
        url: theme.muted,
        marker: theme.accent,
        done: theme.ok,
        table_header: theme.heading,
        html: theme.muted,
        syntax,
    }
}
