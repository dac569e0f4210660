//! The KV cache of one model: running sequences and those kept for later,
//! under one limit of bytes.
//!
//! Not responsible for which sequences run, or for tokens that a sequence has
//! not computed yet.

use std::collections::HashMap;

use mlx_rs::{Array, error::Exception};

use super::{
    KvStore, PageHash,
    page::{PAGE_TOKENS, pages},
    prefix::PrefixIndex,
    tail::{GROWTH, RowForm, Tail},
};

/// Why a sequence cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error(
        "{needed} bytes of keys and values are needed, {used} of {limit} are held by running requests"
    )]
    Full { needed: u64, used: u64, limit: u64 },
    #[error(transparent)]
    Mlx(#[from] Exception),
}

/// What the cache holds now, and what it has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCounters {
    /// Bytes of running and of kept sequences.
    pub running_bytes: u64,
    pub kept_bytes: u64,
    /// Pages of running and of kept sequences, and how many more would fit.
    pub used: usize,
    pub kept: usize,
    pub free: usize,
    /// Kept pages given up for others.
    pub evicted: u64,
    pub hits: u64,
    pub misses: u64,
}

/// A kept sequence is handed over whole if at most this many of its tokens go
/// to waste by it; otherwise what agrees is copied and the rest stays.
const TAKE_OVER_WASTE: usize = PAGE_TOKENS;

/// A running sequence and the bytes promised to it, allocated or not.
#[derive(Debug)]
struct Running {
    tail: Tail,
    promised: u64,
}

impl Running {
    fn bytes(&self) -> u64 {
        self.tail.bytes().max(self.promised)
    }
}

#[derive(Debug)]
pub struct KvCache {
    running: HashMap<usize, Running>,
    kept: PrefixIndex<Tail>,
    bytes_per_token: u64,
    /// For running and kept sequences together, and for kept ones alone.
    limit: u64,
    kept_limit: u64,
    evicted: u64,
    hits: u64,
    misses: u64,
}

impl KvCache {
    /// A cache for the model that `fingerprint` names, all of whose layers
    /// need `bytes_per_token` for a token.
    pub fn new(fingerprint: &str, bytes_per_token: u64, limit: u64, kept_limit: u64) -> Self {
        Self {
            running: HashMap::new(),
            kept: PrefixIndex::new(PageHash::root(fingerprint, "")),
            bytes_per_token: bytes_per_token.max(1),
            limit,
            kept_limit: kept_limit.min(limit),
            evicted: 0,
            hits: 0,
            misses: 0,
        }
    }

    /// Bytes that a sequence of `tokens` tokens needs.
    pub fn bytes_for(&self, tokens: usize) -> u64 {
        tokens.next_multiple_of(GROWTH) as u64 * self.bytes_per_token
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes in a sequence that is expected to reach `expected` tokens, and
    /// says how many tokens of `prompt` need not be computed: at least one is
    /// always left, for its logits.
    ///
    /// # Errors
    /// [`CacheError::Full`] when running sequences leave too little; kept
    /// ones make room.
    pub fn admit(
        &mut self,
        sequence: usize,
        prompt: &[u32],
        expected: usize,
    ) -> Result<usize, CacheError> {
        let expected = expected.max(prompt.len());
        let needed = self.bytes_for(expected);
        let used = self.running_bytes();
        if used + needed > self.limit {
            return Err(CacheError::Full {
                needed,
                used,
                limit: self.limit,
            });
        }
        let wanted = &prompt[..prompt.len().saturating_sub(1)];
        let found = self.kept.find(wanted);
        let tail = match found {
            Some(found) if found.length - found.common <= TAKE_OVER_WASTE => {
                let mut tail = self.kept.remove(found.entry).map(|(_, tail)| tail);
                if let Some(tail) = &mut tail {
                    tail.truncate(found.common);
                    tail.reserve(expected);
                }
                tail
            }
            Some(found) => {
                self.evict_until(self.limit.saturating_sub(needed), Some(found.entry));
                let tail = self.kept.content(found.entry);
                tail.map(|tail| tail.copy(found.common, expected))
                    .transpose()?
            }
            None => None,
        };
        let tail = match tail {
            Some(tail) => {
                self.hits += 1;
                tail
            }
            None => {
                self.misses += 1;
                Tail::new(expected)
            }
        };
        let cached = tail.length();
        let promised = needed;
        self.running.insert(sequence, Running { tail, promised });
        self.evict_until(self.limit, None);
        Ok(cached)
    }

    /// Makes room for `tokens` tokens of a running sequence that outgrows what
    /// it was admitted with.
    ///
    /// # Errors
    /// [`CacheError::Full`].
    pub fn grow(&mut self, sequence: usize, tokens: usize) -> Result<(), CacheError> {
        let total = self.bytes_for(tokens);
        let have = self.running.get(&sequence).map_or(0, Running::bytes);
        let needed = total.saturating_sub(have);
        if needed == 0 {
            return Ok(());
        }
        let used = self.running_bytes();
        if used + needed > self.limit {
            return Err(CacheError::Full {
                needed,
                used,
                limit: self.limit,
            });
        }
        if let Some(running) = self.running.get_mut(&sequence) {
            running.promised = total;
        }
        self.evict_until(self.limit, None);
        Ok(())
    }

    /// Ends a running sequence. With `tokens`, those whose keys and values it
    /// has, it is kept for later prompts as far as the limit allows.
    pub fn release(&mut self, sequence: usize, tokens: Option<&[u32]>) {
        let (Some(Running { mut tail, .. }), Some(tokens)) =
            (self.running.remove(&sequence), tokens)
        else {
            return;
        };
        let length = tail.length().min(tokens.len());
        if length == 0 || tail.bytes() > self.kept_limit {
            return;
        }
        tail.truncate(length);
        self.kept.insert(tokens[..length].to_vec(), tail);
        while self.kept_bytes() > self.kept_limit {
            self.evict_one(None);
        }
    }

    /// Forgets all kept sequences.
    pub fn clear(&mut self) {
        while self.evict_one(None) {}
    }

    /// Everything of `sequence` that is not computed yet hangs on these.
    pub fn arrays(&self, sequence: usize) -> impl Iterator<Item = &Array> {
        let running = self.running.get(&sequence).into_iter();
        running.flat_map(|running| running.tail.arrays())
    }

    pub fn counters(&self) -> CacheCounters {
        let (running_bytes, kept_bytes) = (self.running_bytes(), self.kept_bytes());
        let page_bytes = self.bytes_per_token * PAGE_TOKENS as u64;
        let running = self.running.values();
        CacheCounters {
            running_bytes,
            kept_bytes,
            used: running.map(|running| pages(running.tail.length())).sum(),
            kept: self.kept.iter().map(|(_, tokens)| pages(tokens)).sum(),
            free: (self.limit.saturating_sub(running_bytes + kept_bytes) / page_bytes) as usize,
            evicted: self.evicted,
            hits: self.hits,
            misses: self.misses,
        }
    }

    fn running_bytes(&self) -> u64 {
        self.running.values().map(Running::bytes).sum()
    }

    fn kept_bytes(&self) -> u64 {
        self.kept.iter().map(|(tail, _)| tail.bytes()).sum()
    }

    /// Gives up kept sequences until at most `bytes` are in use.
    fn evict_until(&mut self, bytes: u64, keep: Option<super::prefix::EntryId>) {
        while self.running_bytes() + self.kept_bytes() > bytes && self.evict_one(keep) {}
    }

    fn evict_one(&mut self, keep: Option<super::prefix::EntryId>) -> bool {
        let evicted = self.kept.evict(keep);
        self.evicted += evicted
            .as_ref()
            .map_or(0, |(tokens, _)| pages(tokens.len()) as u64);
        evicted.is_some()
    }
}

impl KvStore for KvCache {
    fn update(
        &mut self,
        sequence: usize,
        layer: usize,
        keys: Array,
        values: Array,
    ) -> Result<(Array, Array), Exception> {
        self.tail(sequence)?.append(layer, &keys, &values)
    }

    fn place(
        &mut self,
        sequence: usize,
        layer: usize,
        form: RowForm,
    ) -> Result<Option<(Array, Array)>, Exception> {
        self.tail(sequence)?.place(layer, form).map(Some)
    }
}

impl KvCache {
    fn tail(&mut self, sequence: usize) -> Result<&mut Tail, Exception> {
        let running = self.running.get_mut(&sequence);
        running.map(|running| &mut running.tail).ok_or_else(|| {
            Exception::custom(format!("the cache does not know sequence {sequence}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One layer, one head of width 1: 8 bytes a token.
    fn cache(limit_tokens: u64) -> KvCache {
        KvCache::new("m", 8, limit_tokens * 8, limit_tokens * 8)
    }

    fn compute(cache: &mut KvCache, sequence: usize, tokens: &[u32]) -> Vec<u32> {
        let data: Vec<f32> = tokens.iter().map(|t| *t as f32).collect();
        let rows = Array::from_slice(&data, &[1, 1, tokens.len() as i32, 1]);
        let (keys, _) = cache.update(sequence, 0, rows.clone(), rows).unwrap();
        keys.to_vec_cast().unwrap()
    }

    fn run(cache: &mut KvCache, sequence: usize, prompt: &[u32]) -> usize {
        let cached = cache.admit(sequence, prompt, prompt.len()).unwrap();
        let all = compute(cache, sequence, &prompt[cached..]);
        assert_eq!(all, prompt, "the cached part is not the prompt's");
        cached
    }

    fn tokens(count: u32) -> Vec<u32> {
        (0..count).collect()
    }

    #[test]
    fn the_next_turn_computes_only_its_new_part() {
        let mut cache = cache(10_000);
        assert_eq!(run(&mut cache, 1, &tokens(100)), 0);
        cache.release(1, Some(&tokens(100)));
        assert_eq!(run(&mut cache, 2, &tokens(150)), 100);
        cache.release(2, Some(&tokens(150)));
        // The same prompt again: one token is left to compute.
        assert_eq!(run(&mut cache, 3, &tokens(150)), 149);
        let counters = cache.counters();
        assert_eq!((counters.hits, counters.misses), (2, 1));
        assert_eq!((counters.used, counters.kept), (3, 0));
    }

    #[test]
    fn a_branch_copies_and_leaves_the_trunk() {
        let mut cache = cache(10_000);
        run(&mut cache, 1, &tokens(400));
        cache.release(1, Some(&tokens(400)));
        let mut branch = tokens(300);
        branch[200] = 7777;
        assert_eq!(run(&mut cache, 2, &branch), 200);
        assert_eq!(run(&mut cache, 3, &tokens(401)), 400);
    }

    #[test]
    fn old_sequences_make_room_and_running_ones_do_not() {
        let mut cache = cache(512);
        run(&mut cache, 1, &tokens(100));
        cache.release(1, Some(&tokens(100)));
        let other: Vec<u32> = (500..600).collect();
        run(&mut cache, 2, &other);
        assert_eq!(cache.counters().kept, 2);
        let third: Vec<u32> = (900..1000).collect();
        run(&mut cache, 3, &third);
        assert_eq!((cache.counters().kept, cache.counters().evicted), (0, 2));
        let error = cache.admit(4, &tokens(10), 10).unwrap_err();
        assert!(matches!(
            error,
            CacheError::Full {
                needed: 2048,
                used: 4096,
                limit: 4096
            }
        ));
        assert!(cache.grow(3, 300).is_err());
        cache.release(2, None);
        assert!(cache.grow(3, 300).is_ok());
        assert!(cache.admit(4, &tokens(10), 10).is_err());
        cache.release(3, None);
        assert_eq!(cache.admit(4, &tokens(10), 10).unwrap(), 0);
    }

    #[test]
    fn all_memory_comes_back() {
        let mut cache = cache(1024);
        for sequence in 0..4 {
            run(&mut cache, sequence, &tokens(50 + sequence as u32));
        }
        for sequence in 0..4 {
            cache.release(sequence, (sequence % 2 == 0).then_some(&tokens(50)));
        }
        cache.clear();
        let counters = cache.counters();
        assert_eq!((counters.running_bytes, counters.kept_bytes), (0, 0));
        assert_eq!(counters.free, 1024 / PAGE_TOKENS);
        let rows = Array::from_slice(&[0f32], &[1, 1, 1, 1]);
        assert!(cache.update(0, 0, rows.clone(), rows).is_err());
    }
}
