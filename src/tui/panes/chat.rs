//! The chat pane.

use ratatui::{Frame, layout::Rect};

use crate::tui::{
    action::{Action, Context},
    message::Effect,
    pane::{Pane, PaneId},
    state::Shared,
    theme::Theme,
};

#[derive(Debug, Default)]
pub struct ChatPane {}

impl ChatPane {
    /// Puts text into the composer, at its cursor.
    pub fn on_insert(&mut self, _text: &str, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }
}

impl Pane for ChatPane {
    fn id(&self) -> PaneId {
        PaneId::Chat
    }

    fn contexts(&self) -> Vec<Context> {
        vec![Context::Chat]
    }

    fn on_action(&mut self, _action: Action, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, _shared: &Shared) {
        frame.render_widget(ratatui::text::Span::styled("Chat", theme.heading), area);
    }

    fn hints(&self, _shared: &Shared) -> Vec<Action> {
        Vec::new()
    }
}
