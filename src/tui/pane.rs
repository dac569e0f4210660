//! What a pane is. Panes are plain structs: they hold their own state, change
//! it in `on_action`, `on_key` and `on_message`, and draw it. They do no input
//! or output and start nothing: what must happen outside is returned as effects.

use crossterm::event::KeyEvent;
use ratatui::{Frame, layout::Rect};

use super::{
    action::{Action, Context},
    message::{Effect, Message},
    state::Shared,
    theme::Theme,
};

/// The five panes, in the order of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PaneId {
    Chat,
    Library,
    Logs,
    Cache,
    Tools,
}

impl PaneId {
    pub const ALL: [Self; 5] = [
        Self::Chat,
        Self::Library,
        Self::Logs,
        Self::Cache,
        Self::Tools,
    ];

    /// From 1.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Chat => "Chat",
            Self::Library => "Library",
            Self::Logs => "Logs",
            Self::Cache => "Cache",
            Self::Tools => "Tools",
        }
    }
}

impl PaneId {
    /// What the pane is for, in one sentence.
    pub fn doc(self) -> &'static str {
        match self {
            Self::Chat => {
                "Talk to the model in use: several turns, streamed answers, a list of chats."
            }
            Self::Library => {
                "The models on this machine: family, size, quantisation, whether they fit; load and download them."
            }
            Self::Logs => "Live log of the program, filtered by level and text.",
            Self::Cache => {
                "Charts of speed, memory and cache hits, the page map and the running requests."
            }
            Self::Tools => {
                "MCP servers and their tools; call one with arguments and see the result."
            }
        }
    }
}

pub trait Pane {
    fn id(&self) -> PaneId;

    /// The key contexts of what has the focus, innermost first.
    /// `Context::Global` follows by itself.
    fn contexts(&self) -> Vec<Context>;

    /// Whether a text field has the focus. Then plain characters and editing
    /// keys (arrows left and right, Home, End, Backspace, Delete) go to
    /// `on_key`, unless the innermost context binds them.
    fn typing(&self) -> bool {
        false
    }

    /// An action was chosen, by key or from the palette.
    fn on_action(&mut self, action: Action, shared: &Shared) -> Vec<Effect>;

    /// A key that no context binds.
    fn on_key(&mut self, _key: KeyEvent, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    fn on_paste(&mut self, _text: &str, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    /// Everything but keys and pastes; `shared` is already up to date.
    fn on_message(&mut self, _message: &Message, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    /// Stops what this pane has running; `None` when nothing runs.
    fn stop(&mut self, _shared: &Shared) -> Option<Vec<Effect>> {
        None
    }

    /// Whether something on this pane moves by itself now (a spinner): then
    /// frames are drawn up to ten times a second.
    fn animated(&self, _shared: &Shared) -> bool {
        false
    }

    /// Draws the pane into `area`, which is all its own. Sets the terminal's
    /// cursor when `shared.has_keys(self.id())` and a text field has the focus.
    fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared);

    /// The actions for the footer, most useful first.
    fn hints(&self, shared: &Shared) -> Vec<Action>;
}
