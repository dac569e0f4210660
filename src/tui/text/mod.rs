//! Text on a grid of cells: making foreign text safe to show, measuring it and
//! wrapping styled spans to a width. Pure functions; nothing here knows of
//! panes or themes.
//!
//! Invariant: what a model, a tool or a file says passes [`sanitise`] before it
//! reaches the terminal.

mod sanitise;
mod width;
mod wrap;

pub use sanitise::{sanitise, sanitise_into, sanitise_line};
pub use width::{clip, fit, grapheme_width, pad_left, pad_right, text_width};
pub use wrap::{TAB, Wrap, wrap, wrap_text};
