//! The engine: one thread that owns every MLX array, and the handle through
//! which the rest of the program reaches it.
//!
//! A turn of the thread (`thread`): take in waiting requests (`queue`, by
//! `turns`), plan a step (`scheduler`), launch it (`step`, `sampler`), and only then read the step
//! before it and tell the readers (`sequence`, `outbox`).

pub mod handle;
mod measure;
mod model;
mod outbox;
mod quality;
mod queue;
mod sampler;
mod scheduler;
mod sequence;
mod speculation;
mod step;
mod stop;
mod thread;
mod turns;
pub mod types;
mod validate;
mod warm_up;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use handle::{EngineHandle, LoadedModel, RequestStream};
pub use measure::{Histogram, Measures};
pub use quality::KvQuality;
pub use turns::Priority;
pub use types::*;
