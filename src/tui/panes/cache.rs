//! The cache pane.

use ratatui::{Frame, layout::Rect};

use crate::tui::{
    action::{Action, Context},
    message::Effect,
    pane::{Pane, PaneId},
    state::Shared,
    theme::Theme,
};

#[derive(Debug, Default)]
pub struct CachePane {}

impl CachePane {
    /// Whether the charts still change with every second.
    pub fn moving(&self, _shared: &Shared) -> bool {
        false
    }
}

impl Pane for CachePane {
    fn id(&self) -> PaneId {
        PaneId::Cache
    }

    fn contexts(&self) -> Vec<Context> {
        vec![Context::Cache]
    }

    fn on_action(&mut self, _action: Action, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, _shared: &Shared) {
        frame.render_widget(ratatui::text::Span::styled("Cache", theme.heading), area);
    }

    fn hints(&self, _shared: &Shared) -> Vec<Action> {
        Vec::new()
    }
}
