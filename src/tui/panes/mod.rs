//! The five panes.

pub mod cache;
pub mod chat;
pub mod library;
pub mod logs;
pub mod tools;

#[cfg(test)]
mod testing;
