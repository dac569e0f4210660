//! What the engine tells of itself.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::Engine;
use crate::{
    cache::{CacheCounters, PAGE_TOKENS, Ram, disk::Disk},
    engine::{model::Loader, sequence::Sequence, types::*},
};

/// At most five times a second.
const INTERVAL: Duration = Duration::from_millis(200);

/// Unused buffers that are worth giving back to the system when work ends.
const IDLE_BUFFERS: usize = 64 << 20;

impl<L: Loader> Engine<L> {
    pub(super) fn publish_now_and_then(&mut self) {
        if self.published.elapsed() >= INTERVAL {
            self.publish();
        }
    }

    /// Before the thread sleeps: the last numbers, and memory given back.
    pub(super) fn rest(&mut self) {
        if mlx_rs::memory::cache_memory().unwrap_or(0) > IDLE_BUFFERS {
            let _ = mlx_rs::memory::clear_cache();
        }
        self.publish();
    }

    pub(super) fn publish(&mut self) {
        self.published = Instant::now();
        let cache = self.kv.counters();
        let drafts = self.drafter.as_ref();
        let drafts = drafts.map_or_else(CacheCounters::default, |it| it.kv.counters());
        let memory = |bytes: Result<usize, _>| bytes.unwrap_or(0) as u64;
        let bytes = ByteStats {
            weights: self.weights(),
            kv: cache.running_bytes + cache.kept_bytes + drafts.running_bytes + drafts.kept_bytes,
            kv_running: cache.running_bytes + drafts.running_bytes,
            active: memory(mlx_rs::memory::active_memory()),
            reusable: memory(mlx_rs::memory::cache_memory()),
            peak: memory(mlx_rs::memory::peak_memory()),
            limit: self.memory_limit,
        };
        let pages = PageStats {
            page_tokens: PAGE_TOKENS,
            used: cache.used,
            cached: cache.kept,
            free: cache.free,
            evicted: self.evicted_before + cache.evicted,
        };
        let tiers = CacheStats {
            prefix: self.prefix_before.plus(cache.prefix),
            ram: self.ram.as_ref().map(Ram::counters).unwrap_or_default(),
            disk: self.disk.as_ref().map(Disk::counters).unwrap_or_default(),
        };
        let model = self.resident.as_ref().map(|r| r.model.id.clone());
        let running: Vec<RunningRequest> = self.running.iter().map(Sequence::state).collect();
        let waiting = self.waiting_count.load(Ordering::SeqCst) + self.queue.preempted();
        let totals = self.totals;
        let measures = self.measures.clone();
        self.stats.send_if_modified(|stats| {
            let new = EngineStats {
                model,
                loading: stats.loading.clone(),
                running,
                waiting,
                bytes,
                pages,
                cache: tiers,
                totals,
                measures,
            };
            let changed = *stats != new;
            *stats = new;
            changed
        });
    }
}
