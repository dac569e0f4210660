//! Owns the engine, the library, the chats and the tools: the one interface
//! that the screen and the HTTP server call. Neither reaches below it.

pub mod types;

pub use types::*;
