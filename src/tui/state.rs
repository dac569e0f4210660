//! Everything the screen shows. `update` changes it, `view` draws it.

use std::{collections::VecDeque, sync::Arc};

use super::{
    action::Context,
    keymap::{Chord, Keymap},
    message::Notice,
    overlay::Overlay,
    pane::{Pane, PaneId},
    panes::{
        cache::CachePane, chat::ChatPane, library::LibraryPane, logs::LogsPane, tools::ToolsPane,
    },
    theme::Theme,
    types::*,
};

/// Facts that every pane may read and only `update` writes.
#[derive(Debug, Clone)]
pub struct Shared {
    pub models: Arc<Vec<ModelEntry>>,
    pub model: Option<Arc<ModelInUse>>,
    pub stats: Arc<EngineStats>,
    pub downloads: Arc<Vec<DownloadState>>,
    pub servers: Arc<Vec<ServerState>>,
    pub chats: Arc<Vec<ChatSummary>>,
    pub api: ApiState,
    pub device: DeviceInfo,
    pub keymap: Arc<Keymap>,
    /// Counts tenths of a second while something is animated.
    pub beat: u64,
    /// Local time as the header and the transcript show it.
    pub now: chrono::DateTime<chrono::Local>,
    /// The pane that has the focus.
    pub focus: PaneId,
    /// Whether an overlay takes the keys.
    pub covered: bool,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
}

impl Shared {
    /// Whether keys go to this pane now: it has the focus and nothing covers it.
    pub fn has_keys(&self, pane: PaneId) -> bool {
        self.focus == pane && !self.covered
    }

    /// The spinner's face at this moment.
    pub fn spinner(&self) -> &'static str {
        const FACES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
        FACES[(self.beat % FACES.len() as u64) as usize]
    }
}

/// One struct a pane.
#[derive(Default)]
pub struct Panes {
    pub chat: ChatPane,
    pub library: LibraryPane,
    pub logs: LogsPane,
    pub cache: CachePane,
    pub tools: ToolsPane,
}

impl Panes {
    pub fn get(&self, id: PaneId) -> &dyn Pane {
        match id {
            PaneId::Chat => &self.chat,
            PaneId::Library => &self.library,
            PaneId::Logs => &self.logs,
            PaneId::Cache => &self.cache,
            PaneId::Tools => &self.tools,
        }
    }

    pub fn get_mut(&mut self, id: PaneId) -> &mut dyn Pane {
        match id {
            PaneId::Chat => &mut self.chat,
            PaneId::Library => &mut self.library,
            PaneId::Logs => &mut self.logs,
            PaneId::Cache => &mut self.cache,
            PaneId::Tools => &mut self.tools,
        }
    }
}

/// A notice and for how many seconds more it is shown.
#[derive(Debug, Clone)]
pub struct Toast {
    pub notice: Notice,
    pub seconds: u8,
}

pub struct State {
    pub shared: Shared,
    pub theme: Arc<Theme>,
    /// The names of all themes there are.
    pub themes: Vec<String>,
    pub panes: Panes,
    /// What is on the screen; `shared.focus` is one of them.
    pub left: PaneId,
    pub right: Option<PaneId>,
    /// The pane that had the focus before.
    pub previous: PaneId,
    /// The last one has the keys.
    pub overlays: Vec<Overlay>,
    /// The newest last.
    pub toasts: VecDeque<Toast>,
    /// The chords typed so far of a sequence such as `g g`.
    pub pending: Vec<Chord>,
}

impl State {
    pub fn new(
        keymap: Arc<Keymap>,
        theme: Arc<Theme>,
        device: DeviceInfo,
        size: (u16, u16),
    ) -> Self {
        Self {
            shared: Shared {
                models: Arc::default(),
                model: None,
                stats: Arc::default(),
                downloads: Arc::default(),
                servers: Arc::default(),
                chats: Arc::default(),
                api: ApiState::Off,
                device,
                keymap,
                beat: 0,
                now: chrono::Local::now(),
                focus: PaneId::Chat,
                covered: false,
                size,
            },
            theme,
            themes: Vec::new(),
            panes: Panes::default(),
            left: PaneId::Chat,
            right: None,
            previous: PaneId::Library,
            overlays: Vec::new(),
            toasts: VecDeque::new(),
            pending: Vec::new(),
        }
    }

    /// The contexts that hear keys now, innermost first, and whether a text
    /// field does.
    pub fn listening(&self) -> (Vec<Context>, bool) {
        match self.overlays.last() {
            Some(overlay) => (vec![Context::Overlay], overlay.typing()),
            None => {
                let pane = self.panes.get(self.shared.focus);
                (pane.contexts(), pane.typing())
            }
        }
    }

    /// Whether a spinner turns somewhere in sight.
    pub fn animated(&self) -> bool {
        let visible = [Some(self.left), self.right];
        let mut panes = visible.into_iter().flatten();
        self.shared.stats.loading.is_some()
            || panes.any(|id| self.panes.get(id).animated(&self.shared))
    }

    /// Whether something changes with every second.
    pub fn ticking(&self) -> bool {
        !self.toasts.is_empty() || self.panes.cache.moving(&self.shared)
    }

    /// Brings a pane into sight and gives it the focus.
    pub fn show(&mut self, id: PaneId) {
        let visible = id == self.left || Some(id) == self.right;
        if !visible {
            match self.right {
                Some(right) if right == self.shared.focus => self.right = Some(id),
                _ => self.left = id,
            }
        }
        if id != self.shared.focus {
            self.previous = self.shared.focus;
            self.shared.focus = id;
        }
    }

    /// Two panes instead of one, or the focused one alone.
    pub fn split(&mut self) {
        self.right = match self.right {
            None if self.previous != self.left => Some(self.previous),
            None => PaneId::ALL.into_iter().find(|id| *id != self.left),
            Some(_) => {
                self.left = self.shared.focus;
                None
            }
        };
    }
}
