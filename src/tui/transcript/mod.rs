//! A conversation on the screen: cells one below the other, of which only those
//! in sight are laid out. Owns the place in the text and the selection.
//!
//! Not here: what the messages mean, who is asked, keys.
//!
//! Invariants: the view follows the end only while it is at the end; otherwise
//! its first line is anchored to a message and stays where it is, whatever is
//! added below or however the width changes.

mod cell;
mod lines;
mod scroll;
mod search;
mod view;

#[cfg(test)]
mod tests;

pub use cell::{Cell, CellStyles, Kind, Progress, Thought, ToolCell, ToolState};
pub use lines::seconds;
pub use view::{CodeAt, Transcript};
