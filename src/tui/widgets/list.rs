//! A place in a list: the selected line and the first one in sight.

use crate::tui::action::Action;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    pub selected: usize,
    top: usize,
    /// Lines in sight when it was last drawn.
    page: usize,
}

impl Cursor {
    /// Moves by an action of the list context; true when it was one.
    pub fn step(&mut self, action: Action, count: usize) -> bool {
        let page = self.page.max(2) - 1;
        self.selected = match action {
            Action::ListUp => self.selected.saturating_sub(1),
            Action::ListDown => self.selected + 1,
            Action::ListPageUp => self.selected.saturating_sub(page),
            Action::ListPageDown => self.selected + page,
            Action::ListFirst => 0,
            Action::ListLast => count,
            _ => return false,
        };
        self.clamp(count);
        true
    }

    pub fn clamp(&mut self, count: usize) {
        self.selected = self.selected.min(count.saturating_sub(1));
    }

    /// The lines to draw in this many rows, with the selected one among them.
    pub fn window(&mut self, count: usize, rows: usize) -> std::ops::Range<usize> {
        self.clamp(count);
        self.page = rows;
        let last = self.selected.saturating_add(1).saturating_sub(rows);
        self.top = self
            .top
            .min(self.selected)
            .max(last)
            .min(count.saturating_sub(rows));
        self.top..count.min(self.top + rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_line_is_always_in_sight() {
        let mut cursor = Cursor::default();
        for (action, window) in [
            (Action::ListDown, 0..4),
            (Action::ListPageDown, 1..5),
            (Action::ListLast, 6..10),
            (Action::ListUp, 6..10),
            (Action::ListPageUp, 5..9),
            (Action::ListFirst, 0..4),
        ] {
            cursor.window(10, 4);
            assert!(cursor.step(action, 10));
            let shown = cursor.window(10, 4);
            assert!(shown.contains(&cursor.selected));
            assert_eq!(shown, window, "{action:?}");
        }
        assert!(!cursor.step(Action::Back, 10));
        assert_eq!(cursor.window(0, 4), 0..0);
        assert!(cursor.window(2, 0).is_empty());
    }
}
