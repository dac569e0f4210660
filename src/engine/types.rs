//! What crosses the engine's boundary: requests in, events and statistics
//! (`stats`) out. Plain data, `Send`, free of MLX.

mod stats;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::Serialize;

pub use self::stats::*;
use super::turns::Priority;
pub use crate::{
    cache::{
        KvMode, PrefixCounters, RamCounters, Refusal, UnknownMode,
        disk::{DiskCounters, DiskOptions, RejectCounters},
    },
    config::Speculation,
};

/// Names a request for its lifetime; unique within the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct RequestId(pub u64);

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// How the next token is chosen. Order: bias and penalties on the logits, then
/// top-k, top-p and min-p on the untempered distribution, then temperature.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingParams {
    /// 0 is greedy.
    pub temperature: f32,
    /// 0 is off.
    pub top_k: u32,
    /// 1 is off.
    pub top_p: f32,
    /// 0 is off.
    pub min_p: f32,
    /// 1 is off.
    pub repetition_penalty: f32,
    /// 0 is off.
    pub presence_penalty: f32,
    /// 0 is off.
    pub frequency_penalty: f32,
    /// How many of the latest tokens the penalties look at.
    pub penalty_context: usize,
    pub logit_bias: BTreeMap<u32, f32>,
    /// The same seed gives the same text; without one a fresh seed is drawn.
    pub seed: Option<u64>,
}

impl Default for SamplingParams {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            penalty_context: 64,
            logit_bias: BTreeMap::new(),
            seed: None,
        }
    }
}

/// What a model's generation_config.json recommends.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GenerationDefaults {
    pub temperature: Option<f32>,
    pub top_k: Option<u32>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
}

/// Tokens proposed at once at most, unless something else is set.
pub const DRAFT_TOKENS: usize = 8;

/// How the engine runs; fixed for its lifetime.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineOptions {
    /// Prompt tokens computed in one step; `None` suits the device.
    pub prefill_chunk: Option<usize>,
    /// Tokens of prompts and answers computed in one step; `None` is a chunk
    /// and a token of every sequence.
    pub step_tokens: Option<usize>,
    /// A seed gives the same text whatever else runs: each step computes one
    /// sequence, and no prefix is reused.
    pub deterministic: bool,
    /// Caps the context that models bring.
    pub context_limit: Option<usize>,
    /// Bytes for weights, keys and values; `None` is nine tenths of what the
    /// device has.
    pub memory_limit: Option<u64>,
    /// Bytes of `memory_limit` that kept pages may fill; `None` is a quarter of
    /// what the weights leave, and at most 2 GiB where the device's memory is
    /// that of the whole machine.
    pub prefix_cache_bytes: Option<u64>,
    /// Bytes of the host's memory that pages may fill which have to leave the
    /// device's; `None` is a quarter of it beside a device with memory of its
    /// own, and nothing elsewhere.
    pub ram_cache_bytes: Option<u64>,
    /// Where pages are stored for the next start; `None` keeps them in memory
    /// only.
    pub disk_cache: Option<DiskOptions>,
    /// Requests computed at once, and those that may wait besides.
    pub max_sequences: usize,
    pub queue_limit: usize,
    /// How keys and values are kept where a request does not say it and the
    /// model allows it.
    pub kv_mode: KvMode,
    /// The same for single models, by their ids or the last part of these.
    pub kv_modes: BTreeMap<String, KvMode>,
    /// How pages that are plain in memory are kept on the disk.
    pub disk_kv_mode: KvMode,
    /// Look for NaN in all weights while loading.
    pub check_finite: bool,
    /// Where proposals of tokens come from, and how many at once at most.
    pub speculation: Speculation,
    pub draft_tokens: usize,
    /// Propose as many as there are whether it pays or not, for measuring.
    pub always_propose: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            prefill_chunk: None,
            step_tokens: None,
            deterministic: false,
            context_limit: None,
            memory_limit: None,
            prefix_cache_bytes: None,
            ram_cache_bytes: None,
            disk_cache: None,
            max_sequences: 64,
            queue_limit: 256,
            kv_mode: KvMode::Plain,
            kv_modes: BTreeMap::new(),
            disk_kv_mode: KvMode::Plain,
            check_finite: true,
            speculation: Speculation::default(),
            draft_tokens: DRAFT_TOKENS,
            always_propose: false,
        }
    }
}

impl EngineOptions {
    /// How keys and values of a model are kept where a request does not say it.
    pub fn kv_mode_of(&self, id: &str) -> KvMode {
        let name = id.rsplit('/').next().unwrap_or(id);
        let own = self.kv_modes.get(id).or_else(|| self.kv_modes.get(name));
        own.copied().unwrap_or(self.kv_mode)
    }
}

/// A prompt to continue.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub prompt: Vec<u32>,
    /// At most this many new tokens; `None` fills the context.
    pub max_tokens: Option<usize>,
    pub priority: Priority,
    pub sampling: SamplingParams,
    /// Generation ends before any of these texts; they are not part of the answer.
    pub stop: Vec<String>,
    /// Token ids that end generation, besides the model's own.
    pub stop_tokens: Vec<u32>,
    /// Run to `max_tokens` whatever the model says (for measuring).
    pub ignore_eos: bool,
    /// Log-probability of each token and of this many alternatives.
    pub logprobs: Option<usize>,
    /// Keep the text of special tokens in the output.
    pub special_text: bool,
    /// How its keys and values are kept; `None` is the engine's way.
    pub kv_mode: Option<KvMode>,
    /// Only requests with the same salt share what is cached.
    pub cache_salt: String,
    /// Where proposals of tokens come from; `None` is as the engine is set.
    pub speculation: Option<Speculation>,
}

/// One alternative at a position, with its natural-log probability.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    pub token: u32,
    /// The token's own text (lossy where it is half a character).
    pub text: String,
    pub bytes: Vec<u8>,
    pub logprob: f32,
}

/// A generated token and the text it completes: empty while bytes of a
/// character, or of a possible stop string, are still held back.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenEvent {
    pub token: u32,
    pub text: String,
    pub logprob: Option<TokenLogprob>,
    pub top_logprobs: Vec<TokenLogprob>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// An end-of-text token, a stop token or a stop string.
    Stop,
    /// `max_tokens` or the context is used up.
    Length,
    Cancelled,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub prompt_tokens: usize,
    /// The part of the prompt that came from the cache.
    pub cached_tokens: usize,
    pub completion_tokens: usize,
    /// Tokens that were proposed ahead of the model, and those of them that it
    /// took.
    pub proposed_tokens: usize,
    pub accepted_tokens: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timings {
    /// From submission to the first prefill step.
    pub queued: Duration,
    pub prefill: Duration,
    /// From the first token to the last.
    pub decode: Duration,
    /// From submission to the first token.
    pub first_token: Duration,
}

impl Timings {
    /// Decode speed in tokens a second, from the intervals between tokens.
    pub fn decode_rate(&self, completion_tokens: usize) -> f64 {
        rate(completion_tokens.saturating_sub(1), self.decode)
    }
}

fn rate(count: usize, time: Duration) -> f64 {
    if time.is_zero() {
        return 0.0;
    }
    count as f64 / time.as_secs_f64()
}

#[derive(Debug, Clone, PartialEq)]
pub struct Finish {
    pub reason: FinishReason,
    /// Text still held back when generation ended.
    pub text: String,
    /// The stop string that ended it, if one did.
    pub stop_string: Option<String>,
    pub usage: Usage,
    pub timings: Timings,
}

/// What happens to a request, in this order: `Queued`, `Prefill` (several),
/// `Token` (several), then exactly one of `Finished` and `Failed`.
#[derive(Debug, Clone)]
pub enum Event {
    Queued {
        ahead: usize,
    },
    Prefill {
        done: usize,
        total: usize,
        cached: usize,
    },
    Token(TokenEvent),
    Finished(Finish),
    Failed(EngineError),
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelSource {
    /// A folder with config.json, weights and tokenizer.
    Folder { id: String, path: PathBuf },
    /// Random weights in the shape of a config.json, for measuring. `bits`
    /// quantises every linear layer (affine, groups of 64).
    Random {
        id: String,
        config: PathBuf,
        bits: Option<u32>,
    },
}

impl ModelSource {
    pub fn id(&self) -> &str {
        match self {
            Self::Folder { id, .. } | Self::Random { id, .. } => id,
        }
    }
}

/// Why the engine refused or gave up.
#[derive(Debug, Clone, thiserror::Error, PartialEq)]
pub enum EngineError {
    #[error("no model is loaded. Load one in the library pane (Alt-2) or with `--model`.")]
    NoModel,
    #[error(
        "the prompt has {prompt} tokens and the model's context holds {context}. \
         Shorten the prompt or start a new chat."
    )]
    PromptTooLong { prompt: usize, context: usize },
    #[error("the prompt is empty. Give at least one token.")]
    EmptyPrompt,
    #[error("{parameter} is {value}: {expected}")]
    BadParameter {
        parameter: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("`kv_mode`: {0}")]
    KvMode(#[from] Refusal),
    #[error("the queue is full: {waiting} requests wait already. Try again in a moment.")]
    QueueFull { waiting: usize },
    #[error(
        "not enough memory: {needed} bytes are needed ({what}) and {available} of {limit} are free."
    )]
    OutOfMemory {
        what: String,
        needed: u64,
        available: u64,
        limit: u64,
    },
    #[error("the model `{id}` could not be loaded: {reason}")]
    Load { id: String, reason: String },
    #[error(
        "the model computed numbers that are not finite (NaN) at token {position}: its weights are damaged or its type overflows."
    )]
    NotFinite { position: usize },
    #[error("the computation failed: {0}")]
    Compute(String),
    #[error(
        "the engine has stopped. See the log pane (Alt-3) for the reason and restart Maquette."
    )]
    Stopped,
}
