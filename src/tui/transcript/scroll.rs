//! Where the view stands: moving it, selecting, keeping it where it was. Lays
//! out no more cells than it passes.

use super::view::{Anchor, Transcript};

impl Transcript {
    /// Moves by lines; negative is up. At the end it follows again.
    pub fn scroll(&mut self, lines: isize) {
        let Some(mut at) = self.first_line() else {
            return;
        };
        if lines < 0 {
            self.back(&mut at, lines.unsigned_abs());
        } else {
            self.forward(&mut at, lines.unsigned_abs());
        }
        self.go(at);
    }

    /// Moves by pages that overlap by two lines.
    pub fn page(&mut self, pages: isize) {
        let lines = self.height.saturating_sub(2).max(1) as isize;
        self.scroll(pages * lines);
    }

    pub fn to_start(&mut self) {
        if !self.cells.is_empty() {
            self.go((0, 0));
        }
    }

    pub fn to_end(&mut self) {
        self.top = None;
    }

    /// Puts a line of a message into sight, a third from the top.
    pub fn show(&mut self, id: u64, line: usize) {
        if let Some(index) = self.index(id) {
            let mut at = (index, line.min(self.layout(index).saturating_sub(1)));
            self.back(&mut at, self.height / 3);
            self.go(at);
        }
    }

    pub fn select(&mut self, id: Option<u64>) {
        self.selected = id.filter(|&id| self.index(id).is_some());
    }

    pub fn select_last(&mut self) {
        self.selected = self.cells.last().map(|cell| cell.id);
    }

    /// Selects the message above or below. One that is longer than the view is
    /// first scrolled through.
    pub fn select_by(&mut self, step: isize) {
        let Some(index) = self.selected.and_then(|id| self.index(id)) else {
            self.select_last();
            return;
        };
        let Some(first) = self.first_line() else {
            return;
        };
        let half = (self.height / 2).max(1) as isize;
        let end = (index, self.layout(index).saturating_sub(1));
        if step < 0 && first.0 == index && first.1 > 0 {
            return self.scroll(-half);
        }
        let mut below = first;
        self.forward(&mut below, self.height);
        if step > 0 && below <= end && self.remaining(first) > self.height {
            return self.scroll(half);
        }
        let next = index.saturating_add_signed(step).min(self.cells.len() - 1);
        self.selected = Some(self.cells[next].id);
        self.reveal(next);
    }

    /// Scrolls so that the message's beginning is in sight.
    fn reveal(&mut self, index: usize) {
        let Some(first) = self.first_line() else {
            return;
        };
        let mut bottom = first;
        self.forward(&mut bottom, self.height.saturating_sub(1));
        if (index, 0) < first {
            self.go((index, 0));
        } else if (index, 0) > bottom || (index, self.layout(index).min(self.height) - 1) > bottom {
            let mut at = (index, self.layout(index).min(self.height) - 1);
            self.back(&mut at, self.height.saturating_sub(1));
            self.go(at);
        }
    }

    /// The cell and line at the top of the view.
    pub(super) fn first_line(&mut self) -> Option<(usize, usize)> {
        if self.cells.is_empty() {
            return None;
        }
        if let Some(anchor) = self.top
            && let Some(index) = self.index(anchor.id)
        {
            let line = anchor.line.min(self.layout(index).saturating_sub(1));
            if self.remaining((index, line)) >= self.height {
                return Some((index, line));
            }
            self.top = None;
        }
        let last = self.cells.len() - 1;
        let mut at = (last, self.layout(last));
        // The empty line after the last message need not be seen.
        self.back(&mut at, self.height + 1);
        Some(at)
    }

    /// Lines from `at` to the end, without the last empty one; counts no
    /// further than needed to fill the view.
    fn remaining(&mut self, at: (usize, usize)) -> usize {
        let mut lines = 0;
        for index in at.0..self.cells.len() {
            lines += self.layout(index);
            if lines > at.1 + self.height + 1 {
                break;
            }
        }
        lines.saturating_sub(at.1 + 1)
    }

    fn back(&mut self, at: &mut (usize, usize), mut lines: usize) {
        while lines > at.1 {
            if at.0 == 0 {
                at.1 = 0;
                return;
            }
            lines -= at.1;
            at.0 -= 1;
            at.1 = self.layout(at.0);
        }
        at.1 -= lines;
    }

    fn forward(&mut self, at: &mut (usize, usize), mut lines: usize) {
        loop {
            let left = self.layout(at.0).saturating_sub(at.1);
            if lines < left {
                at.1 += lines;
                return;
            }
            if at.0 + 1 >= self.cells.len() {
                at.1 += left.saturating_sub(1);
                return;
            }
            lines -= left;
            *at = (at.0 + 1, 0);
        }
    }

    fn go(&mut self, at: (usize, usize)) {
        let Some(cell) = self.cells.get(at.0) else {
            return;
        };
        let anchor = Anchor {
            id: cell.id,
            line: at.1,
        };
        self.top = (self.remaining(at) > self.height).then_some(anchor);
    }
}
