//! The chats: conversations as trees, kept in a database.
//!
//! Knows nothing of models or of the screen. What a person wrote is never
//! lost: edits are branches, and a damaged database is moved aside and kept.

mod parts;
mod recover;
mod schema;
mod store;
mod title;
mod tree;

pub use parts::{AnswerFacts, Changes, ConversationHead, Node, NodeId, TreeError};
pub use store::{ChatStore, ChatSummary, SearchHit, StoreError};
pub use tree::Conversation;
