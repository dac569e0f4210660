//! Chats that outgrow the context: pinning messages, choosing what is left out,
//! and saying which messages the model does not see any more.

use std::collections::BTreeSet;

use super::{ChatPane, notify, tokens};
use crate::tui::{
    action::Action,
    message::Effect,
    overlay::{Overlay, Picker, PickerItem},
    state::Shared,
    transcript::{Cell, Kind},
    types::{ChatMessage, NodeId, Overflow, Role, WorkstationError},
};

/// What becomes of this chat when it is too long, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Long {
    /// The setting, and what was chosen for this chat.
    pub default: Overflow,
    pub chosen: Option<Overflow>,
    /// Messages that were not sent the last time.
    pub omitted: BTreeSet<NodeId>,
    /// The messages of the request under way, in order; `None` is the system
    /// prompt, which is not one of the conversation.
    sent: Vec<Option<NodeId>>,
}

impl Long {
    pub fn overflow(&self) -> Overflow {
        self.chosen.unwrap_or(self.default)
    }

    /// Forgets what concerns one chat alone.
    pub fn reset(&mut self) {
        *self = Self {
            default: self.default,
            ..Self::default()
        };
    }
}

impl ChatPane {
    /// What to do with chats that outgrow the context, unless they say.
    pub fn set_overflow(&mut self, overflow: Overflow) {
        self.long.default = overflow;
    }

    /// The messages to send and the places of those that are pinned. After
    /// sliding, what was left out stays out as long as that is of use: the
    /// beginning of the prompt does not change, and is found in the cache.
    pub(super) fn messages_to_send(&mut self) -> (Vec<ChatMessage>, Vec<usize>) {
        let keeps_out = self.long.overflow() == Overflow::Slide;
        let all = self.conversation.messages();
        let path = self.conversation.path();
        let system = all.len() - path.len();
        let ids = std::iter::repeat_n(None, system).chain(path.iter().map(|node| Some(node.id)));
        let out =
            |id: &Option<NodeId>| keeps_out && id.is_some_and(|id| self.long.omitted.contains(&id));
        let kept: Vec<_> = all
            .into_iter()
            .zip(ids)
            .filter(|(_, id)| !out(id))
            .collect();
        let pinned = |id: &Option<NodeId>| {
            id.and_then(|id| self.conversation.node(id))
                .is_some_and(|node| node.pinned)
        };
        let places = kept.iter().enumerate().filter(|(_, (_, id))| pinned(id));
        let places = places.map(|(place, _)| place).collect();
        self.long.sent = kept.iter().map(|(_, id)| *id).collect();
        (
            kept.into_iter().map(|(message, _)| message).collect(),
            places,
        )
    }

    /// The engine has taken the request, without these messages.
    pub(super) fn note_omitted(&mut self, places: &[usize]) {
        let sent: BTreeSet<NodeId> = self
            .long
            .sent
            .iter()
            .enumerate()
            .filter(|(place, _)| places.binary_search(place).is_err())
            .filter_map(|(_, id)| *id)
            .collect();
        let path = self.conversation.path();
        let asked = path.iter().map(|node| node.id);
        let omitted: BTreeSet<_> = asked.filter(|id| !sent.contains(id)).collect();
        if omitted == self.long.omitted {
            return;
        }
        self.long.omitted = omitted;
        // The answer under way is no message yet, only a cell.
        let answer = self.transcript.take_last(self.conversation.next_id());
        self.rebuild();
        if let Some(answer) = answer {
            self.transcript.push(answer);
        }
    }

    /// The question that a chat that is too long leads to, if this error says
    /// so and nothing is chosen yet.
    pub(super) fn overflow_question(&self, error: &WorkstationError) -> Option<Effect> {
        let WorkstationError::Outgrown { prompt, context } = error else {
            return None;
        };
        let item = |label: &str, detail: &str, action| PickerItem {
            label: label.into(),
            detail: detail.into(),
            effects: vec![Effect::Do(action)],
            preview: None,
        };
        let title = format!(
            "Too long: {} of {} tokens",
            tokens(*prompt),
            tokens(*context)
        );
        let picker = Picker::new(
            title,
            "for this chat",
            vec![
                item(
                    "Drop the oldest turns",
                    "as few as possible",
                    Action::ChatOverflowDrop,
                ),
                item(
                    "Slide to the newest turns",
                    "a quarter stays free",
                    Action::ChatOverflowSlide,
                ),
                item(
                    "Send all of it",
                    "until it does not fit",
                    Action::ChatOverflowRefuse,
                ),
            ],
        );
        Some(Effect::Open(Overlay::Picker(picker)))
    }

    /// The choice for this chat. If the last message has no answer yet, it is
    /// asked for now.
    pub(super) fn choose_overflow(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        if let Some(effects) = self.busy() {
            return effects;
        }
        let overflow = match action {
            Action::ChatOverflowDrop => Overflow::Drop,
            Action::ChatOverflowSlide => Overflow::Slide,
            _ => Overflow::Refuse,
        };
        self.long.chosen = Some(overflow);
        let waits = self.conversation.active().is_some_and(|id| {
            let node = self.conversation.node(id);
            node.is_some_and(|node| node.message.role != Role::Assistant)
        });
        if waits && !self.calls.asking() {
            return self.ask(shared);
        }
        notify(match overflow {
            Overflow::Drop => "The oldest turns are dropped once this chat is too long.",
            Overflow::Slide => "This chat slides to its newest turns once it is too long.",
            Overflow::Refuse | Overflow::Ask => "This chat is sent whole as long as it fits.",
        })
    }

    /// Pins the selected message, or lets it go.
    pub(super) fn toggle_pin(&mut self) -> Vec<Effect> {
        if let Some(effects) = self.busy() {
            return effects;
        }
        let Some(id) = self.transcript.selected().map(|cell| NodeId(cell.id)) else {
            return notify("Select a message first: Tab, then Up and Down.");
        };
        let pinned = !self.conversation.node(id).is_some_and(|node| node.pinned);
        if self.conversation.set_pinned(id, pinned).is_err() {
            return Vec::new();
        }
        // What is left out is found anew with the next question.
        self.long.omitted.clear();
        self.rebuild();
        let mut effects = notify(match pinned {
            true => "Pinned: it stays, with its turn, when this chat is shortened.",
            false => "Not pinned any more.",
        });
        effects.push(self.save());
        effects
    }
}

/// The id of the cell that says how many messages are not sent.
pub(super) const MARK: u64 = 0;

/// The cell after the last message that is not sent.
pub(super) fn mark(omitted: usize) -> Cell {
    let text = match omitted {
        1 => "▲ not sent any more: 1 message".to_owned(),
        count => format!("▲ not sent any more: {count} messages"),
    };
    Cell::finished(MARK, Kind::System, &text, "", "")
}
