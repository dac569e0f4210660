//! Moving in the transcript and in the list of chats, and what is done there.

use super::{ChatPane, Part, notify};
use crate::tui::{
    action::Action,
    field::Field,
    message::Effect,
    overlay::{Overlay, Prompt},
    state::Shared,
};

impl ChatPane {
    pub(super) fn toggle_list(&mut self, shared: &Shared) {
        if self.chats.toggle(self.dress.width, shared) {
            self.enter(Part::Chats, shared);
        } else if self.part == Part::Chats {
            self.enter(Part::Composer, shared);
        }
    }

    pub(super) fn list_action(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        if self.part == Part::Chats {
            self.chats.step(action, shared);
            return Vec::new();
        }
        match action {
            Action::ListUp => self.transcript.select_by(-1),
            Action::ListDown => self.transcript.select_by(1),
            Action::ListPageUp => self.transcript.page(-1),
            Action::ListPageDown => self.transcript.page(1),
            Action::ListFirst => self.transcript.to_start(),
            Action::ListLast => {
                self.transcript.to_end();
                self.transcript.select_last();
            }
            Action::ListFilter => self.find = Some(Field::default()),
            _ => {}
        }
        Vec::new()
    }

    pub(super) fn search(&mut self, back: bool) -> Vec<Effect> {
        if self.needle.is_empty() || self.transcript.find(&self.needle, back) {
            return Vec::new();
        }
        notify(format!("There is no \"{}\" in this chat.", self.needle))
    }

    pub(super) fn chats_action(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        let Some(chat) = self.chats.selected(shared).cloned() else {
            return Vec::new();
        };
        match action {
            Action::ChatsOpen => match self.busy() {
                Some(effects) => effects,
                None => vec![Effect::OpenChat(chat.id)],
            },
            Action::ChatsRename => vec![Effect::Open(Overlay::Prompt(Prompt {
                title: "Rename the chat".into(),
                question: "New title".into(),
                field: Field::new(chat.title),
                subject: chat.id,
                then: |id, title| {
                    vec![Effect::RenameChat {
                        id: id.to_owned(),
                        title: title.to_owned(),
                    }]
                },
            }))],
            Action::ChatsDelete => self.chats.ask_to_delete(&chat),
            _ => Vec::new(),
        }
    }
}
