//! Which part of the pane has the keys.

use super::{ChatPane, Part};
use crate::tui::state::Shared;

impl ChatPane {
    pub(super) fn next_part(&mut self, step: isize, shared: &Shared) {
        let mut parts = vec![Part::Composer, Part::Transcript];
        if self.chats.shown(self.dress.width, shared) {
            parts.push(Part::Chats);
        }
        let at = parts
            .iter()
            .position(|part| *part == self.part)
            .unwrap_or(0) as isize;
        let next = parts[(at + step).rem_euclid(parts.len() as isize) as usize];
        self.enter(next, shared);
    }

    pub(super) fn enter(&mut self, part: Part, shared: &Shared) {
        self.part = part;
        match part {
            Part::Composer => self.transcript.select(None),
            Part::Transcript if self.transcript.selected().is_none() => {
                self.transcript.select_last()
            }
            Part::Transcript => {}
            Part::Chats => self.chats.select(&self.conversation.id, shared),
        }
    }

    /// One level back: the innermost thing that is open closes.
    pub(super) fn back(&mut self, shared: &Shared) {
        if self.copying.take().is_some() || self.find.take().is_some() {
            return;
        }
        if self.part == Part::Chats {
            self.chats.open = false;
        }
        if self.part == Part::Composer && self.editing.take().is_some() {
            self.composer.set("");
            self.transcript.select(None);
        }
        self.enter(Part::Composer, shared);
    }
}
