//! The engine: one thread that owns every MLX array, and the handle through
//! which the rest of the program reaches it.

pub mod handle;
pub mod types;

pub use handle::{EngineHandle, LoadedModel, RequestStream};
pub use types::*;
