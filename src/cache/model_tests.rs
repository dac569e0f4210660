//! Thousands of random histories against what must hold of them.
//!
//! The model of a sequence is its tokens; keys and values are a function of
//! all tokens so far, so that a page in a wrong place shows.

use std::{collections::HashMap, time::Duration};

use mlx_rs::{Array, Dtype};
use proptest::prelude::*;

use super::{
    disk::{Disk, DiskOptions},
    kv::LEAST_COMMON,
    pages::{HolderId, PageId, Place},
    tail::GROWTH,
    *,
};

const LAYERS: usize = 2;
/// Keys and values of one head of width 1, in one layer and in both.
const LAYER_BYTES: u64 = 2 * 4;
const TOKEN_BYTES: u64 = 2 * LAYER_BYTES;
/// Of the last layer, where it is a window.
const REACH: usize = 150;
/// What a window has room for.
const STEP_ROWS: usize = 200;

#[derive(Debug, Clone)]
enum Operation {
    /// Begins with a part of an earlier text, then goes on by itself.
    Admit {
        text: usize,
        keep: usize,
        more: Vec<u32>,
        expected: usize,
    },
    Compute {
        which: usize,
        tokens: usize,
    },
    Generate {
        which: usize,
        token: u32,
    },
    Seal {
        which: usize,
    },
    /// Ended, cancelled or preempted.
    Release {
        which: usize,
    },
    Fail {
        which: usize,
    },
    Clear,
    /// Pages go to the disk, if there is one.
    Save,
    /// The program is killed and started again.
    Restart,
}

fn operation() -> impl Strategy<Value = Operation> {
    let which = 0usize..8;
    let admit = (
        0usize..16,
        0usize..1400,
        prop::collection::vec(0u32..3, 1..300),
        0usize..400,
    );
    prop_oneof![
        5 => admit.prop_map(|(text, keep, more, expected)| Operation::Admit { text, keep, more, expected }),
        8 => (which.clone(), 1usize..300).prop_map(|(which, tokens)| Operation::Compute { which, tokens }),
        2 => (which.clone(), 0u32..3).prop_map(|(which, token)| Operation::Generate { which, token }),
        3 => which.clone().prop_map(|which| Operation::Seal { which }),
        4 => which.clone().prop_map(|which| Operation::Release { which }),
        1 => which.prop_map(|which| Operation::Fail { which }),
        1 => Just(Operation::Clear),
        2 => Just(Operation::Save),
        1 => Just(Operation::Restart),
    ]
}

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

struct World {
    cache: KvCache,
    options: CacheOptions,
    disk: Option<Disk>,
    limit: u64,
    has_window: bool,
    running: Vec<Sequence>,
    texts: Vec<Vec<u32>>,
    slots: usize,
}

fn cache(options: &CacheOptions, disk: Option<&Disk>) -> KvCache {
    let cache = KvCache::new(options.clone());
    match disk {
        Some(disk) => cache.with_disk(disk.model("model")),
        None => cache,
    }
}

impl World {
    fn new(limits: [u64; 2], has_window: bool, disk: Option<Disk>) -> Self {
        let [limit_tokens, kept_tokens] = limits;
        let limit = limit_tokens * TOKEN_BYTES;
        let mut layers = vec![KvLayer::new(1, 1, Dtype::Float32); LAYERS];
        layers[LAYERS - 1].reach = has_window.then_some(REACH);
        let options = CacheOptions {
            fingerprint: "model".into(),
            layers,
            step_rows: STEP_ROWS,
            limit,
            kept_limit: kept_tokens * TOKEN_BYTES,
            ..CacheOptions::default()
        };
        Self {
            cache: cache(&options, disk.as_ref()),
            options,
            disk,
            limit,
            has_window,
            running: Vec::new(),
            texts: vec![Vec::new()],
            slots: 0,
        }
    }

    fn apply(&mut self, operation: Operation) {
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
                self.cache = cache(&self.options, self.disk.as_ref());
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
                // The disk may know more than memory.
                let more = self.disk.is_some() && cached > best;
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
        let pages = self.cache.pages.all();
        let pages = pages.map(|(id, _)| self.cache.pages.tokens_to(id));
        let hot = self.cache.hot.iter().map(|hot| hot.tokens.clone());
        let common = |text: Vec<u32>| text.iter().zip(wanted).take_while(|(a, b)| a == b).count();
        let longest = pages.chain(hot).map(common).max().unwrap_or(0);
        if longest < LEAST_COMMON { 0 } else { longest }
    }

    /// Computes some of what is left and compares everything the model sees.
    fn compute(&mut self, at: usize, most: usize) {
        let sequence = &mut self.running[at];
        let left = sequence.tokens.len() - sequence.computed;
        let count = left.min(most).min(STEP_ROWS);
        let end = sequence.computed + count;
        if count == 0 || self.cache.grow(sequence.slot, end).is_err() {
            return;
        }
        let expected = keys(&sequence.tokens[..end]);
        let rows = |sign: f32| {
            let new: Vec<f32> = expected[end - count..].iter().map(|k| k * sign).collect();
            Array::from_slice(&new, &[1, 1, count as i32, 1])
        };
        for layer in 0..LAYERS {
            let update = self
                .cache
                .update(sequence.slot, layer, rows(1.0), rows(-1.0));
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
        sequence.computed = end;
    }

    fn check(&self) {
        let cache = &self.cache;
        let counters = cache.counters();
        assert!(counters.running_bytes + counters.kept_bytes <= self.limit);
        assert!(cache.hot.len() <= super::kv::HOT);
        assert!(counters.kept_bytes <= cache.kept_limit || cache.hot.len() <= 1);
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
        assert!(references.is_empty(), "pages in use are gone");
        assert_eq!(cache.pages.owned(), (bytes, owned));
    }

    fn end(mut self) {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_sequence_sees_its_own_tokens(
        limit in 1024u64..6000,
        kept in 0u64..6000,
        has_window: bool,
        operations in prop::collection::vec(operation(), 1..80),
    ) {
        let mut world = World::new([limit, kept], has_window, None);
        for operation in operations {
            world.apply(operation);
            world.check();
        }
        world.end();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn the_disk_brings_back_what_was_computed(
        limit in 1024u64..6000,
        kept in 0u64..6000,
        has_window: bool,
        stored in 20_000u64..400_000,
        operations in prop::collection::vec(operation(), 1..80),
    ) {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk::start(DiskOptions { folder: home.path().to_owned(), limit: stored });
        let mut world = World::new([limit, kept], has_window, Some(disk));
        for operation in operations {
            world.apply(operation);
            world.check();
        }
        let disk = world.disk.as_ref().map(Disk::counters);
        prop_assert_eq!(disk.map(|disk| disk.rejects.total()), Some(0));
        world.end();
    }
}
