//! Small parts that several panes draw with.

mod list;
mod numbers;

pub use list::Cursor;
pub use numbers::{parameters, speed};
