//! Moving between the parts of the console and within them.

use super::{Part, ToolsPane};
use crate::tui::{action::Action, state::Shared};

impl ToolsPane {
    pub(super) fn list_action(&mut self, action: Action, shared: &Shared) {
        if self.part == Part::Result {
            let step: isize = match action {
                Action::ListUp => -1,
                Action::ListDown => 1,
                Action::ListPageUp => -10,
                Action::ListPageDown => 10,
                Action::ListFirst => isize::MIN,
                Action::ListLast => isize::MAX,
                _ => 0,
            };
            self.scroll = self.scroll.saturating_add_signed(step);
            return;
        }
        let count = self.rows(shared).len();
        if self.cursor.step(action, count) {
            self.fit_form(shared);
        }
    }

    pub(super) fn next_part(&mut self, step: isize) {
        let mut parts = vec![Part::List];
        if !self.form.is_empty() {
            parts.push(Part::Form);
        }
        if self.shown_call().is_some() {
            parts.push(Part::Result);
        }
        let at = parts
            .iter()
            .position(|part| *part == self.part)
            .unwrap_or(0) as isize;
        self.part = parts[(at + step).rem_euclid(parts.len() as isize) as usize];
    }
}
