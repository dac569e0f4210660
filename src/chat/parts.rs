//! What a conversation is made of and what is stored of it: plain data.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text::conversation::Message;

/// Names a message within its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl NodeId {
    /// Random, and small enough for a database's signed numbers.
    pub(super) fn fresh() -> Self {
        Self((uuid::Uuid::new_v4().as_u128() as u64) >> 1)
    }
}

/// A message with its place in the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub id: NodeId,
    /// `None` begins the conversation.
    pub parent: Option<NodeId>,
    pub message: Message,
    pub created: DateTime<Utc>,
    /// How the answer was made; for the assistant's messages.
    pub answer: Option<AnswerFacts>,
    /// Stays, with its turn, when a long chat is shortened.
    pub pinned: bool,
}

/// The line below an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnswerFacts {
    pub model: String,
    pub prompt_tokens: usize,
    pub cached_tokens: usize,
    pub completion_tokens: usize,
    /// Decode speed in tokens a second.
    pub tokens_per_second: f64,
    pub first_token_ms: u64,
    /// Time and tokens spent thinking, 0 when it did not.
    pub thinking_ms: u64,
    pub thinking_tokens: usize,
    /// Why it ended, unless it was complete: such as "cancelled", "length" or
    /// an error.
    pub cut: Option<String>,
}

/// What a store keeps of a conversation besides its messages.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationHead {
    pub id: String,
    pub custom_title: Option<String>,
    pub system_prompt: String,
    pub created: DateTime<Utc>,
    pub updated: DateTime<Utc>,
}

/// What a store has not seen yet; from [`Conversation::take_changes`].
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    pub head: ConversationHead,
    pub title: String,
    pub active: Option<NodeId>,
    /// New and changed messages, parents before children.
    pub nodes: Vec<Node>,
    /// Removed messages; what followed them goes too.
    pub removed: Vec<NodeId>,
}

/// Why a tree could not be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    #[error("there is no message {} in this chat.", .0.0)]
    NoNode(NodeId),
    #[error("only an answer can be made again; message {} is not one.", .0.0)]
    NotAnAnswer(NodeId),
    #[error("the stored chat is damaged: {0}")]
    Damaged(String),
}
