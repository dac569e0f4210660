//! Where Maquette keeps its files, and what the user may set.
//!
//! Responsible for the folders ([`Paths`]), the layered settings
//! ([`Settings`]: built-in values, then `settings.toml`, then changes of this
//! session) and for writing one setting back without touching the rest of the
//! file. Key maps and themes are the screen's; `mcp.json` is read by `mcp`.
//!
//! Invariant: nothing in a user's file can keep Maquette from starting. What is
//! wrong becomes a [`Problem`], and the built-in value is used in its place.

mod file;
mod nearest;
mod paths;
mod problem;
mod read;
mod settings;
mod store;
mod table;

pub use file::write_atomically;
pub use nearest::nearest;
pub use paths::{Paths, huggingface_cache};
pub use problem::{ConfigError, Problem};
pub use settings::{
    ApiSettings, ChatSettings, EngineSettings, LibrarySettings, LogLevel, LogSettings,
    ModelSettings, Overflow, Settings, Speculation,
};
pub use store::SettingsStore;
pub use table::{KV_MODES, Kind, SettingDoc};
