//! A cache, the sequences that run in it, and what must hold of both.

use std::{collections::HashMap, time::Duration};

use mlx_rs::{Array, Dtype};

use super::{super::*, Operation};
use crate::cache::{
    disk::Disk,
    kv::{HOT, LEAST_COMMON},
    pages::{HolderId, PageId, Place},
    tail::GROWTH,
};

const LAYERS: usize = 2;
/// Keys and values of one head of width 1, in one layer and in both.
const LAYER_BYTES: u64 = 2 * 4;
const TOKEN_BYTES: u64 = 2 * LAYER_BYTES;
/// Of the last layer, where it is a window.
const REACH: usize = 150;
/// What a window has room for.
const STEP_ROWS: usize = 200;
/// Two numbers.
const STATE_BYTES: u64 = 2 * 4;

/// What the key of each token is: a sum over everything before it.
fn keys(tokens: &[u32]) -> Vec<f32> {
    let next = |state: &mut u32, token: &u32| {
        *state = (*state * 31 + token + 7) % 1_000_003;
        Some(*state as f32)
    };
    tokens.iter().scan(1, next).collect()
}

struct Sequence {
    slot: usize,
    tokens: Vec<u32>,
    computed: usize,
}

/// What a world is beside its limits.
#[derive(Default)]
pub struct Nature {
    pub disk: Option<Disk>,
    /// Bytes of the host's memory.
    pub ram: u64,
    pub has_window: bool,
    /// A third layer carries on the number of tokens and their last key.
    pub recurrent: bool,
}

pub struct World {
    cache: KvCache,
    options: CacheOptions,
    pub disk: Option<Disk>,
    has_window: bool,
    recurrent: bool,
    ram: u64,
    limit: u64,
    running: Vec<Sequence>,
    texts: Vec<Vec<u32>>,
    slots: usize,
}

fn cache(options: &CacheOptions, disk: Option<&Disk>, ram: u64) -> KvCache {
    let mut cache = KvCache::new(options.clone());
    if let Some(disk) = disk {
        cache = cache.with_disk(disk.model("model"));
    }
    match Ram::new(ram) {
        Some(ram) => cache.with_ram(ram),
        None => cache,
    }
}

impl World {
    pub fn new(limit_tokens: u64, kept_tokens: u64, nature: Nature) -> Self {
        let Nature {
            disk,
            ram,
            has_window,
            recurrent,
        } = nature;
        let limit = limit_tokens * TOKEN_BYTES;
        let mut layers = vec![KvLayer::new(1, 1, Dtype::Float32); LAYERS];
        layers[LAYERS - 1].reach = has_window.then_some(REACH);
        let options = CacheOptions {
            fingerprint: "model".into(),
            layers,
            step_rows: STEP_ROWS,
            limit,
            kept_limit: kept_tokens * TOKEN_BYTES,
            // Also before proposals.
            state_bytes: if recurrent { 2 * STATE_BYTES } else { 0 },
            snapshots_only: recurrent,
        };
        Self {
            cache: cache(&options, disk.as_ref(), ram),
            options,
            disk,
            has_window,
            recurrent,
            ram,
            limit,
            running: Vec::new(),
            texts: vec![Vec::new()],
            slots: 0,
        }
    }

    pub fn apply(&mut self, operation: Operation) {
        let count = self.running.len();
        let at = |which: usize| (count > 0).then(|| which % count);
        match operation {
            Operation::Admit {
                text,
                keep,
                more,
                expected,
            } => self.admit(text, keep, &more, expected),
            Operation::Compute { which, tokens } => {
                if let Some(at) = at(which) {
                    self.compute(at, tokens);
                }
            }
            Operation::Generate { which, token } => {
                if let Some(at) = at(which) {
                    self.running[at].tokens.push(token);
                    self.compute(at, usize::MAX);
                }
            }
            Operation::Propose {
                which,
                tokens,
                stay,
            } => {
                if let Some(at) = at(which) {
                    self.propose(at, &tokens, stay);
                }
            }
            Operation::Seal { which } => {
                if let Some(at) = at(which) {
                    let sequence = &self.running[at];
                    let tokens = &sequence.tokens[..sequence.computed];
                    self.cache.seal(sequence.slot, tokens);
                }
            }
            Operation::Release { which } => {
                if let Some(at) = at(which) {
                    let sequence = self.running.remove(at);
                    let tokens = &sequence.tokens[..sequence.computed];
                    self.cache.release(sequence.slot, Some(tokens));
                    self.texts.push(sequence.tokens);
                }
            }
            Operation::Fail { which } => {
                if let Some(at) = at(which) {
                    let sequence = self.running.remove(at);
                    self.cache.release(sequence.slot, None);
                }
            }
            Operation::Clear => self.cache.clear(),
            Operation::Save => {
                while self.cache.write_behind() == Unsaved::More {}
                if let Some(disk) = &self.disk {
                    disk.flush(Duration::from_secs(20));
                }
            }
            Operation::Restart => {
                self.cache = cache(&self.options, self.disk.as_ref(), self.ram);
                for sequence in self.running.drain(..) {
                    self.texts.push(sequence.tokens);
                }
            }
        }
    }

    fn admit(&mut self, text: usize, keep: usize, more: &[u32], expected: usize) {
        let text = &self.texts[self.texts.len() - 1 - text % self.texts.len()];
        let prompt = [&text[..keep.min(text.len())], more].concat();
        let best = self.best(&prompt[..prompt.len() - 1]);
        self.slots += 1;
        match self
            .cache
            .admit(self.slots, &prompt, expected, &KvPolicy::default())
        {
            Ok(cached) => {
                // Lower tiers may know more than memory.
                let more = (self.disk.is_some() || self.ram > 0) && cached > best;
                // Windows may lack what they would look at.
                let less = self.has_window && cached < best;
                assert!(cached == best || more || less, "{cached} found of {best}");
                self.running.push(Sequence {
                    slot: self.slots,
                    tokens: prompt,
                    computed: cached,
                });
            }
            Err(CacheError::Full { needed, used, .. }) => assert!(used + needed > self.limit),
            Err(error) => panic!("{error}"),
        }
    }

    /// The longest beginning of `wanted` that any page or ended sequence has, if
    /// it is worth anything.
    fn best(&self, wanted: &[u32]) -> usize {
        if self.recurrent {
            return self.best_state(wanted);
        }
        let pages = self.cache.pages.all();
        let pages = pages.map(|(id, _)| self.cache.pages.tokens_to(id));
        let hot = self.cache.hot.iter().map(|hot| hot.tokens.clone());
        let common = |text: Vec<u32>| text.iter().zip(wanted).take_while(|(a, b)| a == b).count();
        let longest = pages.chain(hot).map(common).max().unwrap_or(0);
        if longest < LEAST_COMMON { 0 } else { longest }
    }

    /// The longest beginning of `wanted` at whose end states are known.
    fn best_state(&self, wanted: &[u32]) -> usize {
        let pages = self.cache.pages.all();
        let pages = pages.filter(|(_, page)| page.snapshot.is_some());
        let pages = pages.map(|(id, _)| self.cache.pages.tokens_to(id));
        let hot = self.cache.hot.iter().filter(|hot| {
            let tokens = hot.tokens.len();
            tokens >= LEAST_COMMON && hot.tail.state_tokens() == Some(tokens)
        });
        let all = pages.chain(hot.map(|hot| hot.tokens.clone()));
        let whole = all.filter(|text| wanted.starts_with(text));
        whole.map(|text| text.len()).max().unwrap_or(0)
    }

    /// Computes some of what is left.
    fn compute(&mut self, at: usize, most: usize) {
        let sequence = &mut self.running[at];
        let left = sequence.tokens.len() - sequence.computed;
        let mut end = sequence.computed + left.min(most).min(STEP_ROWS);
        if self.recurrent && end / PAGE_TOKENS > sequence.computed / PAGE_TOKENS {
            // As prompts are computed: snapshots are taken at ends of pages.
            end -= end % PAGE_TOKENS;
        }
        let count = end - sequence.computed;
        if count == 0 || self.cache.grow(sequence.slot, end).is_err() {
            return;
        }
        let (slot, tokens) = (sequence.slot, sequence.tokens[..end].to_vec());
        sequence.computed = end;
        self.step(slot, &tokens, Taken::Own(count));
        if self.recurrent {
            self.cache.snapshot(slot).unwrap();
        }
    }

    /// The first of `tokens` is a sequence's next if all of it is computed, the
    /// others are proposals, of which `stay` do. One that has no room for them
    /// ends with them on their way.
    fn propose(&mut self, at: usize, tokens: &[u32], stay: usize) {
        self.running[at].tokens.push(tokens[0]);
        self.compute(at, usize::MAX);
        let sequence = &mut self.running[at];
        let (slot, length) = (sequence.slot, sequence.tokens.len());
        if sequence.computed < length {
            return;
        }
        let all = [&sequence.tokens, &tokens[1..]].concat();
        if self.cache.grow(slot, all.len()).is_err() {
            return;
        }
        self.step(slot, &all, Taken::Proposed(tokens.len() - 1));
        if self.recurrent {
            self.cache.snapshot(slot).unwrap();
        }
        if stay + 1 > tokens.len() {
            let sequence = self.running.remove(at);
            self.cache.release(slot, Some(&sequence.tokens));
            self.texts.push(sequence.tokens);
            return;
        }
        let stays = length + stay;
        let left = self.cache.truncate(slot, stays).unwrap();
        // States go back further, unless all stay.
        let back = self.recurrent && stays < all.len();
        assert_eq!(left, if back { length } else { stays });
        let sequence = &mut self.running[at];
        (sequence.tokens, sequence.computed) = (all[..stays].to_vec(), left);
    }

    /// Computes the last of `tokens` and compares everything the model sees.
    fn step(&mut self, slot: usize, tokens: &[u32], taken: Taken) {
        let (Taken::Own(count) | Taken::Proposed(count)) = taken;
        let end = tokens.len();
        let expected = keys(tokens);
        let rows = |sign: f32| {
            let new: Vec<f32> = expected[end - count..].iter().map(|k| k * sign).collect();
            Array::from_slice(&new, &[1, 1, count as i32, 1])
        };
        for layer in 0..LAYERS {
            let update = self.cache.update(slot, layer, rows(1.0), rows(-1.0));
            let past = update.unwrap();
            let start = past.positions().start as usize;
            let is_window = self.has_window && layer + 1 == LAYERS;
            // The first new token still sees its window.
            assert!(start == 0 || is_window && start + REACH <= end - count + 1);
            let [keys, values] = past.numbers().unwrap();
            assert_eq!(keys.to_vec_exact::<f32>().unwrap(), expected[start..]);
            let values: Vec<f32> = values.to_vec_exact().unwrap();
            let mut pairs = values.iter().zip(&expected[start..]);
            assert!(pairs.all(|(v, k)| *v == -k));
            let most = REACH + 2 * PAGE_TOKENS + 2 * GROWTH;
            assert!(!is_window || end - start <= most);
        }
        if self.recurrent {
            let state = self.cache.state(slot, LAYERS).unwrap();
            let state: Vec<f32> = state.map_or(vec![0.0; 2], |s| s[0].to_vec_exact().unwrap());
            let at = |tokens: usize| [tokens as f32, expected[..tokens].last().map_or(0.0, |k| *k)];
            assert_eq!(state, at(end - count), "another state");
            let state = Array::from_slice(&at(end), &[1, 2]);
            let set = self.cache.set_state(slot, LAYERS, taken, vec![state]);
            set.unwrap();
        }
    }

    pub fn check(&self) {
        let cache = &self.cache;
        let counters = cache.counters();
        assert!(counters.running_bytes + counters.kept_bytes <= self.limit);
        assert!(cache.hot.len() <= HOT);
        // Snapshots of pages in use stay.
        let in_use = cache.pages.all().filter(|(_, page)| page.references > 0);
        let in_use = in_use.filter(|(_, page)| page.snapshot.is_some()).count();
        let kept = counters.kept_bytes - in_use as u64 * STATE_BYTES;
        assert!(kept <= cache.kept_limit || cache.hot.len() <= 1);
        let mut references: HashMap<PageId, usize> = HashMap::new();
        for running in cache.running.values() {
            for page in &running.holder.path {
                *references.entry(*page).or_default() += 1;
            }
        }
        let holds = |id: HolderId, page: PageId, depth: usize| {
            let running = cache.running.values().map(|running| &running.holder);
            let mut holders = running.chain(&cache.hot);
            holders.any(|h| h.id == id && h.path.get(depth) == Some(&page))
        };
        let (mut bytes, mut owned) = (0, 0);
        for (id, page) in cache.pages.all() {
            bytes += page.snapshot.as_ref().map_or(0, Snapshot::bytes);
            assert_eq!(page.references, references.remove(&id).unwrap_or(0));
            let depth = (cache.pages.tokens_to(id).len() - 1) / PAGE_TOKENS;
            match &page.place {
                Place::In(holder) => assert!(holds(*holder, id, depth), "{id:?} is nowhere"),
                Place::Own(content) => {
                    let layers = if self.has_window { 1 } else { LAYERS as u64 };
                    let expected = page.tokens.len() as u64 * layers * LAYER_BYTES;
                    assert_eq!(content.bytes(), expected);
                    (bytes, owned) = (bytes + content.bytes(), owned + 1);
                }
            }
            if let Some(window) = &page.window {
                assert!(self.has_window);
                assert_eq!(window.bytes(), page.tokens.len() as u64 * LAYER_BYTES);
                bytes += window.bytes();
            }
        }
        let ram = cache.tiers.ram.as_ref().map(Ram::counters);
        assert!(ram.is_none_or(|ram| ram.bytes <= ram.limit));
        assert!(references.is_empty(), "pages in use are gone");
        assert_eq!(cache.pages.owned(), (bytes, owned));
    }

    pub fn end(mut self) {
        while let Some(sequence) = self.running.pop() {
            let tokens = &sequence.tokens[..sequence.computed];
            self.cache.release(sequence.slot, Some(tokens));
        }
        self.check();
        let evictable = self.cache.pages.all();
        assert!(evictable.into_iter().all(|(_, page)| page.references == 0));
        self.cache.clear();
        let counters = self.cache.counters();
        assert_eq!((counters.running_bytes, counters.kept_bytes), (0, 0));
        assert_eq!((counters.used, counters.kept), (0, 0));
        let page_bytes = TOKEN_BYTES * PAGE_TOKENS as u64;
        assert_eq!(counters.free as u64, self.limit / page_bytes);
    }
}
