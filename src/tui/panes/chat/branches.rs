//! Earlier messages: editing them, answering anew, going between branches,
//! deleting.

use super::{Calls, ChatPane, Part, notify};
use crate::tui::{message::Effect, state::Shared, transcript::Kind, types::*};

impl ChatPane {
    /// The message that an action on the transcript means: the selected one, or
    /// the last of this role.
    pub(super) fn target(&self, role: Role) -> Option<NodeId> {
        let kind = if role == Role::User {
            Kind::User
        } else {
            Kind::Answer
        };
        let selected = self.transcript.selected().map(|cell| cell.id);
        let cells = self.transcript.cells();
        let end = selected.and_then(|id| cells.iter().position(|c| c.id == id));
        let until = end.map_or(cells.len(), |at| at + 1);
        let cell = cells[..until].iter().rev().find(|cell| cell.kind == kind)?;
        self.conversation.node(NodeId(cell.id)).map(|node| node.id)
    }

    pub(super) fn edit(&mut self) -> Vec<Effect> {
        if let Some(effects) = self.busy() {
            return effects;
        }
        let Some(id) = self.target(Role::User) else {
            return Vec::new();
        };
        if let Some(node) = self.conversation.node(id) {
            self.composer.set(&node.message.content);
            self.editing = Some(id);
            self.part = Part::Composer;
            self.transcript.select(Some(id.0));
        }
        Vec::new()
    }

    pub(super) fn regenerate(&mut self, shared: &Shared) -> Vec<Effect> {
        if let Some(effects) = self.busy() {
            return effects;
        }
        let mut effects = self.abandon_calls();
        // The question whose answer is wanted anew: what stands before the answer.
        let user = match self.transcript.selected().map(|cell| cell.kind) {
            // One that failed at once is no message; its question is the last.
            Some(Kind::Answer) => match self
                .transcript
                .selected()
                .and_then(|c| self.conversation.node(NodeId(c.id)))
            {
                Some(answer) => answer.parent,
                None => self.conversation.active(),
            },
            _ => self.target(Role::User),
        };
        let Some(user) = user else { return effects };
        if self.conversation.branch(user).is_ok() {
            self.rebuild();
            self.transcript.select(None);
            self.transcript.to_end();
            effects.extend(self.ask(shared));
        }
        effects
    }

    pub(super) fn switch_branch(&mut self, step: isize) -> Vec<Effect> {
        if let Some(effects) = self.busy() {
            return effects;
        }
        let selected = self.transcript.selected().map(|cell| NodeId(cell.id));
        let node = selected.or_else(|| self.conversation.active());
        let Some(shown) = node.and_then(|id| self.conversation.switch(id, step).ok()) else {
            return Vec::new();
        };
        self.calls = Calls::default();
        self.long.omitted.clear();
        self.rebuild();
        self.transcript.select(Some(shown.0));
        vec![self.save()]
    }

    /// Asks by a notice first; the second press deletes.
    pub(super) fn delete(&mut self) -> Vec<Effect> {
        if let Some(effects) = self.busy() {
            return effects;
        }
        let Some(id) = self.transcript.selected().map(|cell| NodeId(cell.id)) else {
            return Vec::new();
        };
        if self.deleting != Some(id) {
            self.deleting = Some(id);
            return notify("Press the key once more to delete this message and what follows it.");
        }
        self.deleting = None;
        self.calls = Calls::default();
        self.long.omitted.clear();
        if self.conversation.delete(id).is_err() {
            return Vec::new();
        }
        self.rebuild();
        self.transcript.select_last();
        vec![self.save()]
    }
}
