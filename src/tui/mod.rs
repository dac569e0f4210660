//! The terminal front end. `State` changes only in `update`, which is pure;
//! `runtime` feeds it messages, executes the effects it returns and draws.
//! Sees `workstation` and nothing below it.

pub mod action;
pub mod composer;
pub mod field;
pub mod keymap;
pub mod markdown;
pub mod message;
pub mod nearest;
pub mod overlay;
pub mod pane;
pub mod panes;
pub mod problem;
pub mod state;
pub mod text;
pub mod theme;
pub mod transcript;
pub mod types;
pub mod update;
