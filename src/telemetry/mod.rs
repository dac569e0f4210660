//! What happens, for those who look: the tracing subscriber with a bounded
//! ring for the log pane, a file a day, and what native code prints.
//!
//! Not responsible for numbers: the engine counts in its own statistics.
//!
//! Invariants: logging never blocks on a reader, never grows without bound,
//! and never writes on the screen while standard error is captured.

mod filter;
mod layer;
mod panic;
mod record;
mod ring;
mod start;
pub mod stderr;

pub use filter::LogFilter;
pub use panic::install_panic_hook;
pub use record::LogRecord;
pub use ring::LogRing;
pub use start::Telemetry;
