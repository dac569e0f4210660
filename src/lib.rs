//! Maquette: a full-screen terminal workstation for local language models.
//!
//! The modules, from the bottom up. A module may use those above it in this
//! list, never those below; `server` and `tui` are siblings that see
//! `workstation` and not each other. `tests/architecture.rs` keeps this true.

pub mod config;
pub mod telemetry;

pub mod mlx;
pub mod text;

pub mod cache;
pub mod models;

pub mod engine;

pub mod chat;
pub mod library;
pub mod mcp;

pub mod workstation;

pub mod server;
pub mod tui;

pub mod cli;
