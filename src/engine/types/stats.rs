//! What the engine tells of itself: counters and gauges, plain data.

use std::time::Duration;

use serde::Serialize;

use super::{DiskCounters, PrefixCounters, RamCounters, RequestId};
use crate::engine::measure::Measures;

/// Numbers for the cache pane, `/metrics` and logs; published a few times a
/// second while something happens.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EngineStats {
    pub model: Option<String>,
    /// What is being loaded, and how much of it (0 to 1).
    pub loading: Option<(String, f32)>,
    pub running: Vec<RunningRequest>,
    pub waiting: usize,
    pub bytes: ByteStats,
    pub pages: PageStats,
    pub cache: CacheStats,
    pub totals: Totals,
    pub measures: Measures,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RunningRequest {
    pub id: RequestId,
    /// "prefill" or "decode".
    pub state: &'static str,
    pub prompt_tokens: usize,
    pub cached_tokens: usize,
    pub completion_tokens: usize,
    pub tokens_per_second: f64,
    pub age: Duration,
}

/// Bytes by what they hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByteStats {
    pub weights: u64,
    /// Of running requests and of what is kept for later ones, and of the
    /// former alone.
    pub kv: u64,
    pub kv_running: u64,
    /// Held by MLX for live arrays, for reuse, and the most ever live.
    pub active: u64,
    pub reusable: u64,
    pub peak: u64,
    /// Bytes the engine may use.
    pub limit: u64,
}

/// KV pages of `page_tokens` tokens by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageStats {
    pub page_tokens: usize,
    /// Held by running sequences.
    pub used: usize,
    /// Kept for later prompts.
    pub cached: usize,
    /// How many more fit into the limit.
    pub free: usize,
    pub evicted: u64,
}

/// What the tiers of the prefix cache have done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    pub prefix: PrefixCounters,
    pub ram: RamCounters,
    pub disk: DiskCounters,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub requests: u64,
    pub finished: u64,
    pub cancelled: u64,
    pub failed: u64,
    /// How often a request gave its memory up to go on later.
    pub preempted: u64,
    pub prompt_tokens: u64,
    /// Prompt tokens that were computed, and those found in the cache.
    pub prefilled_tokens: u64,
    pub cached_tokens: u64,
    pub generated_tokens: u64,
    /// Tokens that were proposed ahead of the model, and those of them that it
    /// took.
    pub proposed_tokens: u64,
    pub accepted_tokens: u64,
    pub prefix_hits: u64,
    pub prefix_misses: u64,
    /// Time spent computing prompts and tokens, in microseconds.
    pub prefill_micros: u64,
    pub decode_micros: u64,
}
