//! Markdown for the terminal: source text to styled lines of a given width.
//!
//! [`Document`] is the interface: it owns its source, takes text as it streams
//! in, and lays out only what changed. `parse` turns events into blocks,
//! `layout` and `table` turn blocks into lines, `highlight` colours code.
//!
//! Not here: scrolling, selection, what a message is.
//!
//! Invariants: no input panics or recurses without bound; no line is wider than
//! asked for; laying out in steps gives the same lines as laying out at once.

mod document;
mod highlight;
mod layout;
mod parse;
mod source;
mod styles;
mod table;

#[cfg(test)]
mod tests;

pub use document::{CodeBlock, Document};
pub use highlight::{Highlighter, SyntaxRole};
pub use styles::Styles;
