//! The types of the lower layers that the screen shows, gathered in one place.

pub use crate::workstation::{
    AnswerEvent, AnswerFinish, ApiState, ByteStats, ChatRequest, DeviceInfo, GenerationOptions,
    PageStats, SamplingOverrides, Totals, Workstation, WorkstationError, install_panic_hook,
    stderr,
};
pub use crate::{
    engine::{
        EngineError, EngineStats, LoadedModel, RequestId, RunningRequest, Timings, TokenEvent,
        Usage,
    },
    text::conversation::{Message as ChatMessage, Role, Segment, ToolCall, ToolSpec},
};

pub use crate::{
    chat::{AnswerFacts, Conversation, Node, NodeId},
    library::{Download as DownloadState, DownloadStatus, Fit, ModelEntry, Origin, TemplateFacts},
    mcp::{ServerState, ServerStatus, ToolInfo, ToolOutcome},
    telemetry::{LogFilter, LogRecord, LogRing},
};

mod standins {
    #[derive(Debug, Clone)]
    pub struct ChatSummary {
        pub id: String,
        pub title: String,
    }
}

pub use standins::*;
