//! The types of the lower layers that the screen shows, gathered in one place.

pub use crate::workstation::{
    AnswerEvent, AnswerFacts, AnswerFinish, ApiState, Backend, ByteStats, CacheStats, ChatRequest,
    ChatStore, ChatSummary, Conversation, DeviceInfo, DiskCounters, Download as DownloadState,
    DownloadStatus, EngineError, EngineStats, Fit, GenerationOptions, LogFilter, LogRecord,
    LogRing, Message as ChatMessage, ModelEntry, Node, NodeId, Origin, Overflow, PageStats,
    PrefixCounters, Priority, RejectCounters, RequestId, Role, RunningRequest, SamplingOverrides,
    Segment, ServerState, ServerStatus, StoreError, TemplateFacts, Timings, TokenEvent, ToolCall,
    ToolInfo, ToolOutcome, ToolSpec, Totals, Usage, Workstation, WorkstationError,
    install_panic_hook, stderr,
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
