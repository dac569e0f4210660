//! The settings as the program uses them, with their built-in values.
//!
//! The documentation of each key lies in `table.rs`; a test there keeps the
//! two in step.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Paths, Problem, SettingDoc, SettingsStore, table};

/// Every setting. `None` leaves the choice to the model or to the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A theme's name, see `Paths::themes`.
    pub theme: String,
    /// A key map's name, see `Paths::keymaps`.
    pub keymap: String,
    pub api: ApiSettings,
    pub chat: ChatSettings,
    pub engine: EngineSettings,
    pub cache: CacheSettings,
    pub library: LibrarySettings,
    pub log: LogSettings,
    /// What is different for some models, by their ids or the last part of these.
    pub models: BTreeMap<String, ModelSettings>,
}

/// Settings of one model, which go before the general ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    pub kv_mode: Option<String>,
}

/// The HTTP API behind the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSettings {
    pub host: String,
    pub port: u16,
    pub api_key: Option<String>,
}

/// What a new chat begins with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChatSettings {
    pub system_prompt: String,
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub max_tokens: Option<usize>,
    pub thinking: Option<bool>,
    pub overflow: Overflow,
}

/// What happens to a chat that outgrows the context.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overflow {
    /// The user is asked.
    #[default]
    Ask,
    /// It is sent whole or not at all.
    Refuse,
    /// The oldest turns are not sent any more, as few as possible.
    Drop,
    /// Only the newest turns are sent, so that a quarter of the context is free.
    Slide,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineSettings {
    /// Requests computed at once, and those that may wait besides.
    pub max_sequences: usize,
    pub queue_limit: usize,
    /// Prompt tokens computed in one step, and tokens of both kinds.
    pub prefill_chunk: Option<usize>,
    pub step_tokens: Option<usize>,
    /// A seed gives the same text whatever else runs.
    pub deterministic: bool,
    /// Tokens of context at most, whatever the model allows.
    pub context_limit: Option<usize>,
    /// Bytes the engine may use at most.
    pub memory_limit: Option<u64>,
    pub speculation: Speculation,
    /// The model that proposes tokens, where one does.
    pub draft_model: Option<String>,
    /// Tokens proposed at once at most.
    pub draft_tokens: usize,
}

/// Where tokens come from that are proposed ahead of the model, to be checked
/// several at once. Answers are the same without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speculation {
    /// Nothing is proposed.
    Off,
    /// What followed earlier in the prompt or the answer.
    #[default]
    Lookup,
    /// What a smaller model would say.
    Draft,
    /// What followed earlier, and what a smaller model would say otherwise.
    Auto,
}

impl Speculation {
    /// Every kind with its name.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("off", Self::Off),
        ("lookup", Self::Lookup),
        ("draft", Self::Draft),
        ("auto", Self::Auto),
    ];

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut names = Self::NAMES.iter();
        names.find(|(it, _)| *it == name).map(|(_, kind)| *kind)
    }

    /// Whether a draft model takes part.
    pub fn drafts(self) -> bool {
        matches!(self, Self::Draft | Self::Auto)
    }
}

/// What is kept of prompts and answers for those that begin alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSettings {
    /// Bytes of memory at most.
    pub memory_limit: Option<u64>,
    /// Bytes of the host's memory at most, beside a device with its own.
    pub ram_limit: Option<u64>,
    /// Whether it is stored for the next start.
    pub disk: bool,
    /// Bytes on the disk at most.
    pub disk_limit: u64,
    /// How what is plain in memory is kept on the disk.
    pub disk_kv_mode: String,
    /// How keys and values are kept: "plain", "affine-8", …
    pub kv_mode: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LibrarySettings {
    /// Further folders that hold models.
    pub folders: Vec<PathBuf>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    pub level: LogLevel,
}

/// How much is logged; each level includes those before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: "default".into(),
            keymap: "default".into(),
            api: ApiSettings::default(),
            chat: ChatSettings::default(),
            engine: EngineSettings::default(),
            cache: CacheSettings::default(),
            library: LibrarySettings::default(),
            log: LogSettings::default(),
            models: BTreeMap::new(),
        }
    }
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 8421,
            api_key: None,
        }
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            max_sequences: 64,
            queue_limit: 256,
            prefill_chunk: None,
            step_tokens: None,
            deterministic: false,
            context_limit: None,
            memory_limit: None,
            speculation: Speculation::default(),
            draft_model: None,
            draft_tokens: 8,
        }
    }
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            memory_limit: None,
            ram_limit: None,
            disk: true,
            disk_limit: 10_000_000_000,
            disk_kv_mode: "plain".to_owned(),
            kv_mode: "plain".to_owned(),
        }
    }
}

impl Settings {
    /// Reads `settings.toml`. Whatever is wrong with it is in the second part,
    /// and the built-in value stands in for it.
    pub fn load(paths: &Paths) -> (Self, Vec<Problem>) {
        let (store, problems) = SettingsStore::load(paths);
        (store.settings().clone(), problems)
    }

    /// Every key with its built-in value and meaning, in the order to show.
    pub fn table() -> &'static [SettingDoc] {
        table::TABLE
    }

    /// The keys that a section `[models."NAME"]` may have.
    pub fn model_table() -> &'static [SettingDoc] {
        table::MODEL_TABLE
    }

    /// Keeps keys and values of all models in this way, whatever the settings
    /// say.
    pub fn override_kv_mode(&mut self, mode: &str) {
        mode.clone_into(&mut self.cache.kv_mode);
        for model in self.models.values_mut() {
            model.kv_mode = None;
        }
    }
}
