//! The types of the lower layers that the screen shows, gathered in one place.

pub use crate::workstation::{
    AnswerEvent, AnswerFinish, ApiState, ChatRequest, GenerationOptions, SamplingOverrides,
    WorkstationError,
};
pub use crate::{
    engine::{EngineStats, LoadedModel, RequestId, Timings, Usage},
    text::conversation::{Message as ChatMessage, Role, Segment, ToolCall, ToolSpec},
};

mod standins {
    use std::{path::PathBuf, time::Duration};

    use serde_json::Value;

    /// Where the model computes.
    #[derive(Debug, Clone, Default)]
    pub struct DeviceInfo {
        pub name: String,
        pub backend: &'static str,
        pub memory_total: u64,
        pub memory_available: u64,
        pub threads: usize,
    }

    /// In bytes.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct Fit {
        pub needed: u64,
        pub available: u64,
    }

    #[derive(Debug, Clone, Default)]
    pub struct ModelEntry {
        pub id: String,
        pub path: PathBuf,
        pub origin: String,
        pub family: String,
        pub supported: bool,
        pub parameters: u64,
        pub quantisation: String,
        pub weight_bytes: u64,
        pub context_length: usize,
        pub fit: Fit,
        pub problem: Option<String>,
    }

    #[derive(Debug, Clone)]
    pub struct LogRecord {
        pub seq: u64,
        pub time: chrono::DateTime<chrono::Local>,
        pub level: tracing::Level,
        pub target: String,
        pub message: String,
        pub fields: Vec<(String, String)>,
        pub request: Option<String>,
    }

    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum ServerStatus {
        Starting,
        Ready,
        Failed(String),
        Off,
    }

    #[derive(Debug, Clone)]
    pub struct ToolInfo {
        pub name: String,
        pub title: Option<String>,
        pub description: String,
        pub schema: Value,
    }

    #[derive(Debug, Clone)]
    pub struct ServerState {
        pub name: String,
        pub command: String,
        pub state: ServerStatus,
        pub tools: Vec<ToolInfo>,
    }

    #[derive(Debug, Clone)]
    pub struct ToolOutcome {
        pub text: String,
        pub raw: Value,
        pub is_error: bool,
        pub elapsed: Duration,
    }

    #[derive(Debug, Clone)]
    pub struct DownloadState {
        pub id: String,
        pub done: u64,
        pub total: u64,
    }

    #[derive(Debug, Clone)]
    pub struct ChatSummary {
        pub id: String,
        pub title: String,
    }

    #[derive(Debug, Clone)]
    pub struct Conversation {
        pub id: String,
        pub title: String,
    }
}

pub use standins::*;
