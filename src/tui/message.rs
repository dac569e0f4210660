//! What happens to the screen ([`Message`]) and what the screen wants done
//! ([`Effect`]). Data only: `update` consumes messages, the runtime executes
//! effects and answers with further messages.

use std::{path::PathBuf, sync::Arc};

use crossterm::event::KeyEvent;
use serde_json::Value;

use super::{action::Action, overlay::Overlay, theme::Theme, types::*};

/// Names an answer that the chat pane asked for, before and while it streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TurnId(pub u64);

/// Names a tool call of the console or of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// How serious a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Info,
    Warn,
    Error,
}

/// A line shown for some seconds above the footer, and kept in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub level: Level,
    pub text: String,
}

impl Notice {
    pub fn info(text: impl Into<String>) -> Self {
        Self::new(Level::Info, text)
    }

    pub fn warn(text: impl Into<String>) -> Self {
        Self::new(Level::Warn, text)
    }

    pub fn error(text: impl Into<String>) -> Self {
        Self::new(Level::Error, text)
    }

    fn new(level: Level, text: impl Into<String>) -> Self {
        Self {
            level,
            text: text.into(),
        }
    }
}

/// Something happened. Panes see every message except keys and pastes, which
/// go to what has the focus.
#[derive(Debug, Clone)]
pub enum Message {
    Key(KeyEvent),
    Paste(String),
    /// Columns and rows.
    Resize(u16, u16),
    /// A second has passed; comes while notices or charts need it.
    Tick(chrono::DateTime<chrono::Local>),
    /// A tenth of a second has passed; comes while something is animated.
    Beat,
    /// The terminal came back from suspension or an editor.
    Resumed,
    Notice(Notice),
    /// The theme to draw with.
    Theme(Arc<Theme>),

    /// The engine accepted a turn; `model` answers it.
    AnswerStarted {
        turn: TurnId,
        model: String,
        /// Places of the request's messages that the model does not see.
        omitted: Vec<usize>,
    },
    /// What the answer brought since the last message, in order.
    Answer {
        turn: TurnId,
        events: Vec<AnswerEvent>,
    },

    Models(Arc<Vec<ModelEntry>>),
    /// The model in use changed.
    Model(Option<Arc<ModelInUse>>),
    /// A load that was asked for failed.
    LoadFailed {
        id: String,
        reason: String,
    },
    Stats(Arc<EngineStats>),
    Downloads(Arc<Vec<DownloadState>>),
    /// New log records, oldest first.
    Logs(Vec<Arc<LogRecord>>),
    Servers(Arc<Vec<ServerState>>),
    ToolCalled {
        call: CallId,
        result: Result<ToolOutcome, String>,
    },
    Api(ApiState),

    Chats(Arc<Vec<ChatSummary>>),
    ChatOpened(Box<Conversation>),
    ChatSaved(String),
    ChatDeleted(String),

    /// The text that the external editor returned.
    Edited(String),
    /// A copy arrived in a clipboard, in the way that is named; or not.
    Copied(Result<String, String>),
    /// A file was written, or not.
    Saved(Result<PathBuf, String>),
}

/// Something to be done outside the state.
#[derive(Debug, Clone)]
pub enum Effect {
    Quit,
    Suspend,
    /// Draw every cell again.
    Redraw,
    /// Run an action as if its key had been pressed (also on another pane).
    Do(Action),
    /// Put an overlay on top of the stack.
    Open(Overlay),
    Notify(Notice),

    /// Answer a conversation; events come back as `Answer` messages.
    Ask {
        turn: TurnId,
        request: Box<ChatRequest>,
    },
    StopAnswer(TurnId),

    Load(String),
    Unload,
    Rescan,
    Download(String),
    PauseDownload(String),
    ResumeDownload(String),
    CancelDownload(String),

    CallTool {
        call: CallId,
        server: String,
        tool: String,
        arguments: Value,
    },
    CancelTool(CallId),
    RestartServer(String),
    ReloadTools,

    StartApi,
    StopApi,

    ListChats,
    OpenChat(String),
    SaveChat(Box<Conversation>),
    DeleteChat(String),
    RenameChat {
        id: String,
        title: String,
    },

    /// Put text into the clipboard.
    Copy(String),
    /// Write a text file with this name into the folder of exports.
    SaveText {
        name: String,
        text: String,
    },
    /// Open $VISUAL or $EDITOR with this text; `Edited` returns it.
    Edit(String),
    /// Insert text into the chat's composer (from another pane).
    InsertInChat(String),
    /// Look at a theme, without choosing it yet.
    ShowTheme(String),
    /// Use a theme from now on, and remember it.
    UseTheme(String),
}
