//! The internal request and answer, shared by the screen and every dialect.

use std::{collections::BTreeMap, net::SocketAddr};

use serde_json::{Map, Value};

use crate::{
    config::{Overflow, Speculation},
    engine::{EngineError, FinishReason, KvMode, Priority, Timings, TokenEvent, Usage},
    text::conversation::{Message, Segment, ToolSpec},
};

/// Sampling values that a request sets; what is `None` comes from the chat,
/// the settings, the model's generation_config.json and the built-in values,
/// in this order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SamplingOverrides {
    pub temperature: Option<f32>,
    pub top_k: Option<u32>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
    pub presence_penalty: Option<f32>,
    pub frequency_penalty: Option<f32>,
    pub logit_bias: BTreeMap<u32, f32>,
    pub seed: Option<u64>,
}

/// What chat and plain completion have in common.
#[derive(Debug, Clone, Default)]
pub struct GenerationOptions {
    /// A model's id; `None` is the one in use.
    pub model: Option<String>,
    pub priority: Priority,
    pub sampling: SamplingOverrides,
    pub max_tokens: Option<usize>,
    pub stop: Vec<String>,
    pub stop_tokens: Vec<u32>,
    pub ignore_eos: bool,
    pub logprobs: Option<usize>,
    /// How keys and values are kept; `None` is what the settings say.
    pub kv_mode: Option<KvMode>,
    /// Only requests with the same salt share what is cached.
    pub cache_salt: String,
    /// Where proposals of tokens come from; `None` is as the engine is set.
    pub speculation: Option<Speculation>,
}

/// A conversation to answer.
#[derive(Debug, Clone, Default)]
pub struct ChatRequest {
    pub messages: Vec<Message>,
    pub tools: Vec<ToolSpec>,
    /// Whether the model thinks first; `None` is the template's own default.
    pub thinking: Option<bool>,
    /// Further variables of the chat template.
    pub template_kwargs: Map<String, Value>,
    /// What to do when it outgrows the context; `None` refuses it.
    pub overflow: Option<Overflow>,
    /// The places of messages that stay in any case, with their turns.
    pub pinned: Vec<usize>,
    pub options: GenerationOptions,
}

#[derive(Debug, Clone)]
pub enum Prompt {
    Text(String),
    Tokens(Vec<u32>),
}

/// A text to continue, without a chat template.
#[derive(Debug, Clone)]
pub struct CompletionRequest {
    pub prompt: Prompt,
    pub options: GenerationOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFinish {
    Stop,
    Length,
    ToolCalls,
    Cancelled,
}

impl From<FinishReason> for AnswerFinish {
    fn from(reason: FinishReason) -> Self {
        match reason {
            FinishReason::Stop => Self::Stop,
            FinishReason::Length => Self::Length,
            FinishReason::Cancelled => Self::Cancelled,
        }
    }
}

/// The life of an answer: `Queued`, `Prefill`s, `Delta`s, then one of
/// `Finished` and `Failed`.
#[derive(Debug, Clone)]
pub enum AnswerEvent {
    Queued {
        ahead: usize,
    },
    Prefill {
        done: usize,
        total: usize,
        cached: usize,
    },
    /// What one token brought: often one segment, sometimes none.
    Delta {
        token: TokenEvent,
        segments: Vec<Segment>,
    },
    Finished {
        /// Held back until the end.
        segments: Vec<Segment>,
        reason: AnswerFinish,
        usage: Usage,
        timings: Timings,
    },
    Failed(WorkstationError),
}

/// The state of the HTTP API that runs behind the screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ApiState {
    #[default]
    Off,
    On {
        address: SocketAddr,
        /// Requests being answered now.
        live: usize,
        served: u64,
    },
    Failed(String),
}

/// Why a request could not be served.
#[derive(Debug, Clone, thiserror::Error, PartialEq)]
pub enum WorkstationError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(
        "there is no model `{0}`. `maquette models` and the library pane (Alt-2) list those there are."
    )]
    UnknownModel(String),
    #[error("{0}")]
    BadRequest(String),
    /// The user may choose what to leave out.
    #[error(
        "this chat has {prompt} tokens and the context of {context} has to hold the answer too. \
         Drop its oldest turns, slide to the newest, or start a new chat."
    )]
    Outgrown { prompt: usize, context: usize },
    #[error(
        "the newest message, with the system prompt and pinned messages, has {prompt} tokens and \
         the context holds {context}. Shorten it, unpin messages, or load a model with a longer \
         context."
    )]
    NothingToDrop { prompt: usize, context: usize },
    #[error("the chat template of `{model}` failed: {reason}")]
    Template { model: String, reason: String },
    #[error("{0}")]
    Tool(String),
    #[error("{0}")]
    Download(String),
    #[error("{0}")]
    Api(String),
    #[error("{0}")]
    Storage(String),
    /// A fault of Maquette's own.
    #[error("{0}")]
    Internal(String),
}
