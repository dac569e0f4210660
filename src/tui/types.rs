//! The types of the lower layers that the screen shows, gathered in one place.

pub use crate::workstation::{
    AnswerEvent, AnswerFinish, ApiState, ByteStats, ChatRequest, DeviceInfo, EngineStats, Fit,
    GenerationOptions, LoadedModel, Message as ChatMessage, ModelEntry,
    PageStats, RequestId, Role, RunningRequest, SamplingOverrides, Segment, ServerState,
    ServerStatus, Settings, Timings, ToolCall, ToolInfo, ToolOutcome, ToolSpec, Totals, Usage,
    Workstation, WorkstationError, install_panic_hook, stderr,
};

pub use crate::telemetry::{LogFilter, LogRecord, LogRing};

mod standins {
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
