//! What lies above the panes: palette, pickers, questions and help. A stack in
//! `State`; the last one has the keys. Overlays do nothing themselves: they
//! close and return the effects of what was chosen.

pub mod help;
pub mod palette;
pub mod picker;
pub mod question;

use crossterm::event::KeyEvent;
use ratatui::{
    Frame,
    layout::Rect,
    widgets::{Block, BorderType, Clear, Padding},
};

pub use help::Help;
pub use picker::{Picker, PickerItem};
pub use question::{Confirm, Prompt};

use super::{
    action::Action,
    message::Effect,
    state::{Shared, State},
    theme::Theme,
};

/// One overlay.
#[derive(Debug, Clone)]
pub enum Overlay {
    Confirm(Confirm),
    Prompt(Prompt),
    Picker(Picker),
    Help(Help),
}

/// What an overlay did with a key.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub close: bool,
    pub effects: Vec<Effect>,
}

impl Outcome {
    pub fn stay() -> Self {
        Self::default()
    }

    pub fn close(effects: Vec<Effect>) -> Self {
        Self {
            close: true,
            effects,
        }
    }
}

impl Overlay {
    /// The command palette: all actions and models.
    pub fn palette(state: &State) -> Self {
        Self::Picker(palette::palette(state))
    }

    /// The themes there are; each is shown while it is selected.
    pub fn themes(state: &State) -> Self {
        Self::Picker(palette::themes(state))
    }

    /// The keys that work here, and all others.
    pub fn help(state: &State) -> Self {
        Self::Help(Help::new(state))
    }

    pub fn quit(shared: &Shared) -> Self {
        Self::Confirm(question::quit(shared))
    }

    pub fn is_palette(&self) -> bool {
        matches!(self, Self::Picker(picker) if picker.title == palette::PALETTE)
    }

    pub fn is_themes(&self) -> bool {
        matches!(self, Self::Picker(picker) if picker.title == palette::THEMES)
    }

    pub fn is_help(&self) -> bool {
        matches!(self, Self::Help(_))
    }

    pub fn is_quit(&self) -> bool {
        matches!(self, Self::Confirm(question) if question.title == question::QUIT)
    }

    /// Whether a text field hears the keys.
    pub fn typing(&self) -> bool {
        !matches!(self, Self::Confirm(_))
    }

    pub fn on_action(&mut self, action: Action, shared: &Shared) -> Outcome {
        match self {
            Self::Confirm(confirm) => confirm.on_action(action),
            Self::Prompt(prompt) => prompt.on_action(action),
            Self::Picker(picker) => picker.on_action(action),
            Self::Help(help) => help.on_action(action, shared),
        }
    }

    pub fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Outcome {
        match self {
            Self::Confirm(confirm) => confirm.on_key(key),
            Self::Prompt(prompt) => prompt.on_key(key),
            Self::Picker(picker) => picker.on_key(key),
            Self::Help(help) => help.on_key(key, shared),
        }
    }

    pub fn on_paste(&mut self, text: &str, shared: &Shared) -> Outcome {
        match self {
            Self::Confirm(_) => Outcome::stay(),
            Self::Prompt(prompt) => prompt.on_paste(text),
            Self::Picker(picker) => picker.on_paste(text),
            Self::Help(help) => help.on_paste(text, shared),
        }
    }

    /// Draws over `area`, which is the room of the panes.
    pub fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        match self {
            Self::Confirm(confirm) => confirm.draw(frame, area, theme),
            Self::Prompt(prompt) => prompt.draw(frame, area, theme),
            Self::Picker(picker) => picker.draw(frame, area, theme),
            Self::Help(help) => help.draw(frame, area, theme, shared),
        }
    }

    /// The footer's actions.
    pub fn hints(&self) -> Vec<Action> {
        match self {
            Self::Help(_) => vec![Action::OverlayUp, Action::OverlayDown, Action::Back],
            _ => vec![Action::OverlayAccept, Action::Back],
        }
    }
}

/// Clears a box of at most this size in the middle of `area`, draws its frame
/// and returns the room inside.
pub fn popup(
    frame: &mut Frame,
    area: Rect,
    width: u16,
    height: u16,
    title: &str,
    theme: &Theme,
) -> Rect {
    let width = width.min(area.width);
    let height = height.min(area.height);
    let outer = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 3,
        width,
        height,
    };
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.focus)
        .title(ratatui::text::Span::styled(
            format!(" {title} "),
            theme.focus,
        ))
        .padding(Padding::horizontal(1))
        .style(theme.text);
    let inner = block.inner(outer);
    frame.render_widget(Clear, outer);
    frame.render_widget(block, outer);
    inner
}
