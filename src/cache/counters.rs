//! What the cache tells of itself: plain numbers.

use super::{lower::Below, pages::WalkEnd};

/// What the cache holds now, and what it has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCounters {
    /// Bytes of running sequences, and of what is kept.
    pub running_bytes: u64,
    pub kept_bytes: u64,
    /// Pages of running sequences, those kept, and how many more would fit.
    pub used: usize,
    pub kept: usize,
    pub free: usize,
    /// Kept pages given up for others.
    pub evicted: u64,
    pub prefix: PrefixCounters,
}

/// What prompts found, by tier and reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct PrefixCounters {
    /// Prompts of which something was found in the device's memory, in the
    /// host's, and on the disk.
    pub memory_hits: u64,
    pub ram_hits: u64,
    pub disk_hits: u64,
    pub memory_tokens: u64,
    pub ram_tokens: u64,
    pub disk_tokens: u64,
    /// Prompts of which nothing was found.
    pub misses: u64,
    /// Why not more was found: nothing follows what was found (or nothing is
    /// kept), other tokens follow, or what followed was evicted.
    pub ended_no_page: u64,
    pub ended_other_tokens: u64,
    pub ended_evicted: u64,
}

impl PrefixCounters {
    /// Counts a prompt of which `found` tokens were found, those `below`
    /// memory there.
    pub(super) fn count(&mut self, found: usize, below: Below, end: WalkEnd) {
        let Below { ram, disk } = below;
        let in_memory = found.saturating_sub(ram + disk);
        self.memory_hits += u64::from(in_memory > 0);
        self.ram_hits += u64::from(ram > 0);
        self.disk_hits += u64::from(disk > 0);
        self.misses += u64::from(found == 0);
        self.memory_tokens += in_memory as u64;
        self.ram_tokens += ram as u64;
        self.disk_tokens += disk as u64;
        match end {
            WalkEnd::Complete => {}
            WalkEnd::NoPage => self.ended_no_page += 1,
            WalkEnd::OtherTokens => self.ended_other_tokens += 1,
            WalkEnd::Evicted => self.ended_evicted += 1,
        }
    }

    /// Both, for the caches of one model after another.
    pub fn plus(self, other: Self) -> Self {
        Self {
            memory_hits: self.memory_hits + other.memory_hits,
            ram_hits: self.ram_hits + other.ram_hits,
            disk_hits: self.disk_hits + other.disk_hits,
            memory_tokens: self.memory_tokens + other.memory_tokens,
            ram_tokens: self.ram_tokens + other.ram_tokens,
            disk_tokens: self.disk_tokens + other.disk_tokens,
            misses: self.misses + other.misses,
            ended_no_page: self.ended_no_page + other.ended_no_page,
            ended_other_tokens: self.ended_other_tokens + other.ended_other_tokens,
            ended_evicted: self.ended_evicted + other.ended_evicted,
        }
    }
}
