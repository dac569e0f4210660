//! The library pane.

use ratatui::{Frame, layout::Rect};

use crate::tui::{
    action::{Action, Context},
    message::Effect,
    pane::{Pane, PaneId},
    state::Shared,
    theme::Theme,
};

#[derive(Debug, Default)]
pub struct LibraryPane {}

impl Pane for LibraryPane {
    fn id(&self) -> PaneId {
        PaneId::Library
    }

    fn contexts(&self) -> Vec<Context> {
        vec![Context::Library]
    }

    fn on_action(&mut self, _action: Action, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, _shared: &Shared) {
        frame.render_widget(ratatui::text::Span::styled("Library", theme.heading), area);
    }

    fn hints(&self, _shared: &Shared) -> Vec<Action> {
        Vec::new()
    }
}
