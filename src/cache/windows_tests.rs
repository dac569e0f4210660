//! Windows: what a running sequence holds, and what others find of it.

use std::time::Duration;

use mlx_rs::{Array, Dtype};

use super::{
    disk::{Disk, DiskOptions},
    page::PAGE_TOKENS,
    *,
};

const REACH: usize = 100;
const STEP: usize = 256;

/// A layer that sees everything and one that sees `REACH` tokens, each of one
/// head of width 1: 8 bytes a token.
fn cache(limit_tokens: u64, kept_tokens: u64) -> KvCache {
    let mut layers = vec![KvLayer::new(1, 1, Dtype::Float32); 2];
    layers[1].reach = Some(REACH);
    KvCache::new(CacheOptions {
        fingerprint: "m".into(),
        layers,
        limit: limit_tokens * 16,
        kept_limit: kept_tokens * 16,
        step_rows: STEP,
        ..CacheOptions::default()
    })
}

fn tokens(count: usize) -> Vec<u32> {
    (0..count as u32).collect()
}

/// Computes `tokens` after `before`, a step at a time.
fn go_on(cache: &mut KvCache, before: &[u32], tokens: &[u32], step: usize) {
    let mut all = before.to_vec();
    for part in tokens.chunks(step) {
        all.extend(part);
        cache.grow(1, all.len()).unwrap();
        let numbers: Vec<f32> = part.iter().map(|t| *t as f32).collect();
        let rows = Array::from_slice(&numbers, &[1, 1, part.len() as i32, 1]);
        for layer in 0..2 {
            let past = cache.update(1, layer, rows.clone(), rows.clone()).unwrap();
            let start = past.positions().start as usize;
            let first = all.len() - part.len();
            assert!(start <= (first + 1).saturating_sub(REACH));
            assert!(layer == 1 || start == 0);
            let [keys, _] = past.numbers().unwrap();
            assert_eq!(keys.to_vec_cast::<u32>().unwrap(), all[start..]);
        }
    }
}

/// A prompt that ends after an answer; the tokens that were found.
fn live(cache: &mut KvCache, prompt: &[u32], answer: &[u32]) -> usize {
    let found = begin(cache, prompt);
    cache.seal(1, prompt);
    go_on(cache, prompt, answer, 1);
    cache.release(1, Some(&[prompt, answer].concat()));
    found
}

fn begin(cache: &mut KvCache, prompt: &[u32]) -> usize {
    let policy = KvPolicy::default();
    let found = cache.admit(1, prompt, prompt.len(), &policy).unwrap();
    go_on(cache, &prompt[..found], &prompt[found..], STEP);
    found
}

fn branch(same: usize) -> Vec<u32> {
    let mut branch = tokens(same);
    branch.extend([70_000, 70_001]);
    branch
}

#[test]
fn running_sequences_hold_what_they_need() {
    let mut cache = cache(100_000, 0);
    begin(&mut cache, &tokens(8000));
    // 8,192 tokens of the one layer, and of the other a window, what may be cut
    // back, the rest of a page and a step: 484, rounded up.
    assert_eq!(cache.counters().running_bytes, (8192 + 512) * 8);
    assert_eq!(cache.counters().kept_bytes, 0);
    let longer = tokens(9000);
    go_on(&mut cache, &longer[..8000], &longer[8000..], 1);
    assert!(cache.counters().running_bytes <= (9216 + 512) * 8);
    cache.release(1, None);
    assert_eq!(cache.counters().running_bytes, 0);
}

#[test]
fn memory_for_windows_alone_is_asked_for() {
    // 8,192 tokens of both layers would be far too many.
    let mut cache = cache(4500, 4500);
    begin(&mut cache, &tokens(8000));
    let refused = cache.admit(2, &tokens(8000), 8000, &KvPolicy::default());
    assert!(matches!(refused, Err(CacheError::Full { .. })));
}

#[test]
fn prompts_begin_anywhere_while_there_is_room() {
    let mut cache = cache(100_000, 100_000);
    assert_eq!(live(&mut cache, &tokens(3000), &[]), 0);
    for same in [2900, 2000, 1000, 300, 99, 2432] {
        assert_eq!(live(&mut cache, &branch(same), &[]), same);
    }
    assert_eq!(live(&mut cache, &tokens(3100), &[]), 3000);
}

#[test]
fn long_answers_leave_their_prompt_and_their_end() {
    let mut cache = cache(100_000, 100_000);
    let all = tokens(3000);
    live(&mut cache, &all[..1000], &all[1000..]);
    // The next turn, and another answer to the prompt.
    assert_eq!(live(&mut cache, &branch(2990), &[]), 2990);
    assert_eq!(live(&mut cache, &branch(1000), &[]), 960);
    // What windows held in the middle of the answer is gone: others go on where
    // they have all, and leave it for the next.
    assert_eq!(live(&mut cache, &branch(2000), &[]), 1000);
    assert_eq!(live(&mut cache, &branch(2000), &[]), 2001);
    cache.clear();
    assert_eq!(cache.counters().kept_bytes, 0);
}

#[test]
fn windows_used_longest_ago_go_first() {
    // Room for the pages of the one layer and a few of the other.
    let mut cache = cache(100_000, 2000);
    let all = tokens(3000);
    assert_eq!(live(&mut cache, &all, &[]), 0);
    let counters = cache.counters();
    assert!(counters.kept_bytes <= 2000 * 16 || counters.evicted == 0);
    assert_eq!(live(&mut cache, &branch(2999), &[]), 2999);
    let found = live(&mut cache, &branch(600), &[]);
    assert!(found < 600, "{found}");
}

#[test]
fn the_disk_has_what_windows_gave_up() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().to_owned();
    let disk = Disk::start(DiskOptions {
        folder,
        limit: 1 << 30,
    });
    let save = |cache: &mut KvCache| {
        while cache.write_behind() != Unsaved::None {
            disk.flush(Duration::from_secs(20));
        }
        disk.flush(Duration::from_secs(20));
    };
    let all = tokens(3000);
    let mut first = cache(100_000, 100_000).with_disk(disk.model("m"));
    live(&mut first, &all, &[]);
    save(&mut first);
    // After a restart, at any page's end.
    for same in [2990, 1000, 2000] {
        let mut other = cache(100_000, 100_000).with_disk(disk.model("m"));
        let found = same / PAGE_TOKENS * PAGE_TOKENS;
        assert_eq!(live(&mut other, &branch(same), &[]), found);
    }
    // And where memory has the pages but no more what windows held.
    let mut small = cache(100_000, 2000).with_disk(disk.model("m"));
    assert_eq!(live(&mut small, &all, &[]), 2944);
    assert_eq!(
        live(&mut small, &branch(600), &[]),
        600 / PAGE_TOKENS * PAGE_TOKENS
    );
    assert!(disk.counters().rejects.total() == 0);
}
