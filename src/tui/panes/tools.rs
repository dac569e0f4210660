//! The tools pane.

use ratatui::{Frame, layout::Rect};

use crate::tui::{
    action::{Action, Context},
    message::Effect,
    pane::{Pane, PaneId},
    state::Shared,
    theme::Theme,
};

#[derive(Debug, Default)]
pub struct ToolsPane {}

impl Pane for ToolsPane {
    fn id(&self) -> PaneId {
        PaneId::Tools
    }

    fn contexts(&self) -> Vec<Context> {
        vec![Context::Tools]
    }

    fn on_action(&mut self, _action: Action, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, _shared: &Shared) {
        frame.render_widget(ratatui::text::Span::styled("Tools", theme.heading), area);
    }

    fn hints(&self, _shared: &Shared) -> Vec<Action> {
        Vec::new()
    }
}
