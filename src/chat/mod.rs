//! The chats: conversations as trees, kept in a database.
//!
//! Knows nothing of models or of the screen. What a person wrote is never
//! lost: edits are branches, and a damaged database is moved aside and kept.

mod recover;
mod schema;
mod store;
mod tree;

pub use store::{ChatStore, ChatSummary, SearchHit, StoreError};
pub use tree::{AnswerFacts, Changes, Conversation, ConversationHead, Node, NodeId, TreeError};
