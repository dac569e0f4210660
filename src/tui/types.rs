//! The types of the lower layers that the screen shows, gathered in one place.

pub use crate::workstation::{
    AnswerEvent, AnswerFinish, ApiState, Backend, ByteStats, ChatRequest, DeviceInfo,
    GenerationOptions, PageStats, SamplingOverrides, Totals, Workstation, WorkstationError,
    install_panic_hook, stderr,
};
pub use crate::{
    engine::{EngineError, EngineStats, RequestId, RunningRequest, Timings, TokenEvent, Usage},
    text::conversation::{Message as ChatMessage, Role, Segment, ToolCall, ToolSpec},
};

pub use crate::{
    chat::{AnswerFacts, Conversation, Node, NodeId},
    library::{Download as DownloadState, DownloadStatus, Fit, ModelEntry, Origin, TemplateFacts},
    mcp::{ServerState, ServerStatus, ToolInfo, ToolOutcome},
    telemetry::{LogFilter, LogRecord, LogRing},
};

/// The facts of the model in use that are shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelInUse {
    pub id: String,
    pub family: String,
    /// Such as "8-bit g64", "bf16".
    pub quantisation: String,
    pub parameters: u64,
    pub weight_bytes: u64,
    /// In tokens.
    pub context_length: usize,
    pub vocab_size: usize,
}

impl From<&crate::workstation::LoadedModel> for ModelInUse {
    fn from(model: &crate::workstation::LoadedModel) -> Self {
        Self {
            id: model.id.clone(),
            family: model.family.clone(),
            quantisation: model.quantisation.clone(),
            parameters: model.parameters,
            weight_bytes: model.weight_bytes,
            context_length: model.context_length,
            vocab_size: model.vocab_size,
        }
    }
}

mod standins {
    #[derive(Debug, Clone)]
    pub struct ChatSummary {
        pub id: String,
        pub title: String,
    }
}

pub use standins::*;
