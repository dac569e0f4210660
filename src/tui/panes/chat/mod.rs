//! The chat pane: the conversation, the composer, the list of chats. Turns keys
//! and events into changes of the conversation and of what is shown of it.
//!
//! `turn` asks for answers and takes them in, `branches` changes what was said
//! before, `calls` runs the tools that a
//! model asks for, `long` sees to chats that outgrow the context, `cells` makes messages into cells, `chats` is the list, `draw`
//! the picture.
//!
//! Invariants: while an answer is being made the conversation is not changed
//! otherwise; no tool runs that the user has not allowed.

mod branches;
mod calls;
mod cells;
mod chats;
mod copy;
mod draw;
mod focus;
mod lists;
mod long;
mod style;
mod turn;

#[cfg(test)]
mod tests;

use crossterm::event::KeyEvent;
use ratatui::{Frame, layout::Rect};

use crate::tui::{
    action::{Action, Context},
    composer::Composer,
    field::Field,
    markdown::Highlighter,
    message::{Effect, Message, Notice},
    pane::{Pane, PaneId},
    state::Shared,
    theme::Theme,
    transcript::Transcript,
    types::*,
};
use calls::Calls;
use chats::ChatList;
use copy::Labels;
use long::Long;
use style::Dress;
use turn::Turn;

pub(super) use draw::tokens;

/// The part of the pane that has the keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Composer,
    Transcript,
    Chats,
}

/// See the module's description.
pub struct ChatPane {
    conversation: Conversation,
    transcript: Transcript,
    composer: Composer,
    part: Part,
    chats: ChatList,
    turn: Option<Turn>,
    turns: u64,
    calls: Calls,
    long: Long,
    /// Whether the model is to think; `None` leaves it to the model.
    thinking: Option<bool>,
    offers_tools: bool,
    /// The message that the composer's text will replace, in a branch.
    editing: Option<NodeId>,
    /// Labels to choose what to copy by.
    copying: Option<Labels>,
    /// The field in which a search is typed, and what was searched for.
    find: Option<Field>,
    needle: String,
    /// The message to delete when the key is pressed once more.
    deleting: Option<NodeId>,
    dress: Dress,
}

impl Default for ChatPane {
    fn default() -> Self {
        Self {
            conversation: Conversation::new(""),
            transcript: Transcript::default(),
            composer: Composer::default(),
            part: Part::default(),
            chats: ChatList::default(),
            turn: None,
            turns: 0,
            calls: Calls::default(),
            long: Long::default(),
            thinking: None,
            offers_tools: false,
            editing: None,
            copying: None,
            find: None,
            needle: String::new(),
            deleting: None,
            dress: Dress::default(),
        }
    }
}

impl ChatPane {
    /// Colours code in the background from now on.
    pub fn set_highlighter(&mut self, highlighter: Highlighter) {
        self.transcript.set_highlighter(highlighter);
    }

    /// The system prompt of new chats.
    pub fn set_system_prompt(&mut self, prompt: &str) {
        if self.conversation.is_empty() {
            self.conversation.system_prompt = prompt.to_owned();
        }
        self.chats.system_prompt = prompt.to_owned();
    }

    /// Puts text into the composer, at its cursor.
    pub fn on_insert(&mut self, text: &str, _shared: &Shared) -> Vec<Effect> {
        self.part = Part::Composer;
        self.composer.paste(text);
        Vec::new()
    }

    fn send(&mut self, shared: &Shared) -> Vec<Effect> {
        if self.turn.is_some() {
            return notify("An answer is being made. Stop it, or wait until it is there.");
        }
        if self.composer.message().trim().is_empty() {
            return Vec::new();
        }
        let text = self.composer.take();
        let mut effects = self.abandon_calls();
        let message = ChatMessage::new(Role::User, text.trim_matches('\n'));
        match self.editing.take() {
            Some(id) => {
                if self.conversation.edit(id, message.clone()).is_err() {
                    self.conversation.push(message);
                }
                self.rebuild();
            }
            None => {
                let id = self.conversation.push(message);
                if let Some(node) = self.conversation.node(id) {
                    self.transcript
                        .push(cells::message(node, None, &self.conversation));
                }
            }
        }
        self.transcript.select(None);
        self.transcript.to_end();
        effects.extend(self.ask(shared));
        effects.push(self.save());
        effects
    }

    fn save(&self) -> Effect {
        Effect::SaveChat(Box::new(self.conversation.clone()))
    }

    /// Shows the conversation as it is now.
    fn rebuild(&mut self) {
        let cells = cells::all(&self.conversation, &self.long.omitted);
        self.transcript.replace(cells);
    }

    fn open(&mut self, conversation: Conversation) {
        self.conversation = conversation;
        self.editing = None;
        self.long.reset();
        self.calls = Calls::default();
        self.transcript.replace(Vec::new());
        for node in self.conversation.path() {
            if node.message.role == Role::User {
                self.composer.remember(&node.message.content);
            }
        }
        self.rebuild();
        self.transcript.to_end();
        self.part = Part::Composer;
        self.chats.open = false;
    }

    fn new_chat(&mut self) -> Vec<Effect> {
        if let Some(effects) = self.busy() {
            return effects;
        }
        self.open(Conversation::new(self.chats.system_prompt.clone()));
        Vec::new()
    }

    /// A notice when an answer is being made, which must not be disturbed.
    fn busy(&self) -> Option<Vec<Effect>> {
        self.turn.as_ref().map(|_| notify("Stop the answer first."))
    }
}

fn notify(text: impl Into<String>) -> Vec<Effect> {
    vec![Effect::Notify(Notice::info(text))]
}

impl Pane for ChatPane {
    fn id(&self) -> PaneId {
        PaneId::Chat
    }

    fn contexts(&self) -> Vec<Context> {
        if self.copying.is_some() {
            return Vec::new();
        }
        if self.find.is_some() {
            return vec![Context::Filter];
        }
        match self.part {
            Part::Composer => vec![Context::Composer, Context::Chat],
            Part::Transcript => vec![Context::Transcript, Context::List, Context::Chat],
            Part::Chats => vec![Context::Chats, Context::List, Context::Chat],
        }
    }

    fn typing(&self) -> bool {
        self.part == Part::Composer || self.find.is_some() || self.copying.is_some()
    }

    fn on_action(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        if action != Action::ChatDeleteMessage {
            self.deleting = None;
        }
        match action {
            Action::Back => self.back(shared),
            Action::FocusNext => self.next_part(1, shared),
            Action::FocusPrevious => self.next_part(-1, shared),
            Action::ChatSend => return self.send(shared),
            Action::ChatNewLine => self.composer.newline(),
            Action::ChatHistoryPrevious => drop(self.composer.history_previous()),
            Action::ChatHistoryNext => drop(self.composer.history_next()),
            Action::ChatEditor => return vec![Effect::Edit(self.composer.message())],
            Action::ChatNew => return self.new_chat(),
            Action::ChatList => self.toggle_list(shared),
            Action::ChatThinking => return self.toggle_thinking(),
            Action::ChatTools => return self.toggle_tools(shared),
            Action::ChatToolAllow => return self.allow_call(),
            Action::ChatToolRefuse => return self.refuse_call(shared),
            Action::ChatScrollUp => self.transcript.page(-1),
            Action::ChatScrollDown => self.transcript.page(1),
            Action::ChatScrollEnd => self.transcript.to_end(),
            Action::ChatCompose => self.enter(Part::Composer, shared),
            Action::ChatCopy => return self.copy(),
            Action::ChatEdit => return self.edit(),
            Action::ChatRegenerate => return self.regenerate(shared),
            Action::ChatBranchPrevious => return self.switch_branch(-1),
            Action::ChatBranchNext => return self.switch_branch(1),
            Action::ChatFold => {
                if let Some(id) = self.transcript.selected().map(|cell| cell.id)
                    && let Some(cell) = self.transcript.cell_mut(id)
                {
                    cell.toggle_fold();
                }
            }
            Action::ChatDeleteMessage => return self.delete(),
            Action::ChatPin => return self.toggle_pin(),
            Action::ChatOverflowDrop | Action::ChatOverflowSlide | Action::ChatOverflowRefuse => {
                return self.choose_overflow(action, shared);
            }
            Action::ChatFindNext => return self.search(false),
            Action::ChatFindPrevious => return self.search(true),
            Action::FilterApply => {
                self.needle = self
                    .find
                    .take()
                    .map_or(String::new(), |field| field.text().to_owned());
                self.transcript.select(None);
                return self.search(true);
            }
            Action::FilterClear => self.find = None,
            Action::ChatsOpen | Action::ChatsRename | Action::ChatsDelete => {
                return self.chats_action(action, shared);
            }
            _ => return self.list_action(action, shared),
        }
        Vec::new()
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Vec<Effect> {
        self.deleting = None;
        if let Some(labels) = self.copying.take() {
            return self.copy_label(key, labels);
        }
        if let Some(field) = &mut self.find {
            field.on_key(key);
            return Vec::new();
        }
        if self.part != Part::Composer {
            return Vec::new();
        }
        if let Some(question) = self.example(key, shared) {
            self.composer.set(question);
            return Vec::new();
        }
        self.composer.on_key(key);
        Vec::new()
    }

    fn on_paste(&mut self, text: &str, _shared: &Shared) -> Vec<Effect> {
        match &mut self.find {
            Some(field) => field.insert(text),
            None => {
                self.part = Part::Composer;
                self.composer.paste(text);
            }
        }
        Vec::new()
    }

    fn on_message(&mut self, message: &Message, shared: &Shared) -> Vec<Effect> {
        match message {
            Message::AnswerStarted {
                turn,
                model,
                omitted,
            } => self.started(*turn, model, omitted),
            Message::Answer { turn, events } => return self.answer(*turn, events, shared),
            Message::ToolCalled { call, result } => return self.called(*call, result, shared),
            Message::ChatOpened(conversation) if self.turn.is_none() => {
                self.open((**conversation).clone())
            }
            Message::ChatDeleted(id) if *id == self.conversation.id && self.turn.is_none() => {
                return self.new_chat();
            }
            Message::Chats(_) => self.chats.clamp(shared),
            Message::Edited(text) => {
                self.part = Part::Composer;
                self.composer.set(text.trim_end());
            }
            _ => {}
        }
        Vec::new()
    }

    fn stop(&mut self, _shared: &Shared) -> Option<Vec<Effect>> {
        self.stop_turn().or_else(|| self.stop_calls())
    }

    fn animated(&self, _shared: &Shared) -> bool {
        self.transcript.waits()
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        self.draw_pane(frame, area, theme, shared);
    }

    fn hints(&self, _shared: &Shared) -> Vec<Action> {
        if self.find.is_some() {
            return vec![Action::FilterApply, Action::FilterClear];
        }
        let mut hints = Vec::new();
        if self.calls.asking() {
            hints.extend([Action::ChatToolAllow, Action::ChatToolRefuse]);
        }
        if self.turn.is_some() {
            hints.push(Action::Stop);
        }
        hints.extend(match self.part {
            Part::Composer => [
                Action::ChatSend,
                Action::ChatNewLine,
                Action::FocusNext,
                Action::ChatNew,
                Action::ChatList,
                Action::ChatThinking,
                Action::ChatTools,
            ]
            .as_slice(),
            Part::Transcript => &[
                Action::ChatCopy,
                Action::ChatEdit,
                Action::ChatRegenerate,
                Action::ChatFold,
                Action::ChatPin,
                Action::ListFilter,
                Action::ChatCompose,
            ],
            Part::Chats => &[
                Action::ChatsOpen,
                Action::ChatsRename,
                Action::ChatsDelete,
                Action::ChatNew,
            ],
        });
        hints
    }
}
