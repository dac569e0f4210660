//! What sequences find in the cache, turn after turn.

use mlx_rs::{Array, Dtype};

use super::{page::PAGE_TOKENS, *};

/// One layer, one head of width 1: 8 bytes a token.
fn cache(limit_tokens: u64) -> KvCache {
    KvCache::new(CacheOptions {
        fingerprint: "m".into(),
        layers: vec![KvLayer::new(1, 1, Dtype::Float32)],
        limit: limit_tokens * 8,
        kept_limit: limit_tokens * 8,
        ..CacheOptions::default()
    })
}

fn admit(cache: &mut KvCache, sequence: usize, prompt: &[u32]) -> Result<usize, CacheError> {
    cache.admit(sequence, prompt, prompt.len(), &KvPolicy::default())
}

fn compute(cache: &mut KvCache, sequence: usize, tokens: &[u32]) -> Vec<u32> {
    let data: Vec<f32> = tokens.iter().map(|t| *t as f32).collect();
    let rows = Array::from_slice(&data, &[1, 1, tokens.len() as i32, 1]);
    let past = cache.update(sequence, 0, rows.clone(), rows).unwrap();
    let [keys, _] = past.numbers().unwrap();
    keys.to_vec_cast().unwrap()
}

fn run(cache: &mut KvCache, sequence: usize, prompt: &[u32]) -> usize {
    let cached = admit(cache, sequence, prompt).unwrap();
    let all = compute(cache, sequence, &prompt[cached..]);
    assert_eq!(all, prompt, "the cached part is not the prompt's");
    cached
}

fn tokens(count: u32) -> Vec<u32> {
    (0..count).collect()
}

/// A whole life: admitted, computed, ended. Gives the tokens found.
fn live(cache: &mut KvCache, prompt: &[u32]) -> usize {
    let cached = run(cache, 1000, prompt);
    cache.release(1000, Some(prompt));
    cached
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
    let prefix = counters.prefix;
    assert_eq!((prefix.memory_hits, prefix.misses), (2, 1));
    assert_eq!(prefix.memory_tokens, 249);
    assert_eq!((counters.used, counters.kept), (3, 0));
}

#[test]
fn a_branch_leaves_the_trunk() {
    let mut cache = cache(10_000);
    live(&mut cache, &tokens(400));
    let mut branch = tokens(300);
    branch[200] = 7777;
    assert_eq!(run(&mut cache, 2, &branch), 200);
    assert_eq!(run(&mut cache, 3, &tokens(401)), 400);
    assert_eq!(cache.counters().prefix.ended_other_tokens, 1);
}

#[test]
fn old_turns_are_found_as_pages() {
    let mut cache = cache(100_000);
    let chat = |which: u32| -> Vec<u32> { (0..300).map(|i| i * 20 + which).collect() };
    for which in 0..12 {
        assert_eq!(live(&mut cache, &chat(which)), 0);
    }
    let counters = cache.counters();
    assert_eq!(counters.kept, 12 * 5);
    // Eight were cut up: no unused room is left in their buffers.
    assert_eq!(counters.kept_bytes, (8 * 300 + 4 * 512) * 8);
    for which in 0..12 {
        let mut next = chat(which);
        next.push(5555);
        assert_eq!(live(&mut cache, &next), 300);
    }
    assert_eq!(cache.counters().evicted, 0);
}

#[test]
fn running_sequences_share_their_prompt() {
    let mut cache = cache(10_000);
    run(&mut cache, 1, &tokens(200));
    assert_eq!(run(&mut cache, 2, &tokens(200)), 0);
    cache.seal(1, &tokens(200));
    assert_eq!(run(&mut cache, 3, &tokens(200)), 199);
    assert_eq!(run(&mut cache, 4, &tokens(90)), 89);
    // Whoever computed it may go, by failing too.
    cache.release(1, None);
    assert_eq!(run(&mut cache, 5, &tokens(190)), 189);
    cache.release(3, Some(&tokens(200)));
    assert_eq!(run(&mut cache, 6, &tokens(250)), 200);
}

#[test]
fn going_on_in_place_costs_the_other_branch_a_few_tokens_at_most() {
    let mut cache = cache(10_000);
    live(&mut cache, &tokens(200));
    let mut other = tokens(210);
    other[190] = 4444;
    assert_eq!(live(&mut cache, &other), 190);
    assert_eq!(live(&mut cache, &tokens(200)), 190);
    other[160] = 3333;
    assert_eq!(live(&mut cache, &other), 160);
    assert_eq!(live(&mut cache, &tokens(200)), 199);
    assert_eq!(live(&mut cache, &other), 209);
}

#[test]
fn the_least_recently_used_leaves_go_first() {
    let mut cache = cache(4096);
    cache.kept_limit = 640 * 8;
    let prompt = |which: u32| -> Vec<u32> { (0..128).map(|i| i + which * 1000).collect() };
    for which in 0..9 {
        live(&mut cache, &prompt(which));
        // Used again after every other.
        let mut first = prompt(0);
        first.push(which);
        live(&mut cache, &first);
    }
    let counters = cache.counters();
    assert!(
        counters.evicted > 0 && counters.kept_bytes <= 640 * 8,
        "{counters:?}"
    );
    assert_eq!(live(&mut cache, &prompt(0)), 127);
    assert_eq!(live(&mut cache, &prompt(1)), 0);
    assert_eq!(cache.counters().prefix.ended_evicted, 1);
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
    let error = admit(&mut cache, 4, &tokens(10)).unwrap_err();
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
    assert!(admit(&mut cache, 4, &tokens(10)).is_err());
    cache.release(3, None);
    assert_eq!(admit(&mut cache, 4, &tokens(10)).unwrap(), 0);
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

#[test]
fn proposals_are_forgotten_and_pages_are_not_cut() {
    let mut cache = cache(10_000);
    run(&mut cache, 1, &tokens(100));
    cache.seal(1, &tokens(100));
    let proposed: Vec<u32> = (0..64).map(|i| 9000 + i).collect();
    for accepted in [0, 1, 30, 64] {
        let mut all = tokens(100);
        all.extend(&proposed);
        assert_eq!(compute(&mut cache, 1, &proposed), all);
        cache.truncate(1, 100 + accepted).unwrap();
        let mut next = all[..100 + accepted].to_vec();
        next.push(5);
        assert_eq!(compute(&mut cache, 1, &[5]), next);
        cache.truncate(1, 100).unwrap();
    }
    let error = cache.truncate(1, 99).unwrap_err();
    assert!(error.what().contains("pages were made of 100"), "{error}");
    // What was refused changed nothing, and what was forgotten is not found.
    cache.release(1, Some(&tokens(100)));
    let mut other = tokens(100);
    other.extend(&proposed);
    assert_eq!(live(&mut cache, &other), 100);
    assert!(cache.truncate(77, 0).is_err());
}

/// A cache of a model with an attention layer and a recurrent one, whose state
/// are two numbers.
fn recurrent(limit: u64) -> KvCache {
    KvCache::new(CacheOptions {
        fingerprint: "m".into(),
        layers: vec![KvLayer::new(1, 1, Dtype::Float32)],
        state_bytes: 8,
        snapshots_only: true,
        limit,
        kept_limit: limit,
        ..CacheOptions::default()
    })
}

/// Computes `tokens` after `before`; the state is their number and sum.
fn carry_on(cache: &mut KvCache, sequence: usize, before: &[u32], tokens: &[u32]) {
    let state = cache.state(sequence, 1).unwrap();
    let state: Vec<f32> = state.map_or(vec![0.0; 2], |s| s[0].to_vec_exact().unwrap());
    let sum = |tokens: &[u32]| tokens.iter().sum::<u32>() as f32;
    assert_eq!(state, [before.len() as f32, sum(before)], "another state");
    let all = [before, tokens].concat();
    assert_eq!(compute(cache, sequence, tokens), all);
    let state = Array::from_slice(&[all.len() as f32, sum(&all)], &[2]);
    cache
        .set_state(sequence, 1, Taken::Own(tokens.len()), vec![state])
        .unwrap();
    cache.snapshot(sequence).unwrap();
}

/// A life of a prompt that is computed up to each of `ends`; tokens found.
fn live_by(cache: &mut KvCache, prompt: &[u32], ends: &[usize]) -> usize {
    let cached = admit(cache, 1, prompt).unwrap();
    let mut computed = cached;
    for end in ends.iter().filter(|end| **end > cached) {
        carry_on(cache, 1, &prompt[..computed], &prompt[computed..*end]);
        computed = *end;
    }
    cache.seal(1, prompt);
    cache.release(1, Some(prompt));
    cached
}

#[test]
fn snapshots_are_where_others_begin() {
    let mut cache = recurrent(1 << 20);
    let prompt = tokens(1500);
    assert_eq!(live_by(&mut cache, &prompt, &[512, 1024, 1472, 1500]), 0);
    // The whole of it goes on in place; its pages come closely now.
    let longer = tokens(1700);
    assert_eq!(
        live_by(&mut cache, &longer, &[1536, 1600, 1664, 1700]),
        1500
    );
    // Others begin at the deepest snapshot before they differ.
    for (same, found) in [
        (1699, 1664),
        (1600, 1472),
        (1400, 1024),
        (600, 512),
        (511, 0),
    ] {
        let mut branch = tokens(same);
        branch.extend([7777, 7778]);
        let end = branch.len();
        assert_eq!(live_by(&mut cache, &branch, &[end]), found, "{same}");
    }
    assert!(cache.counters().kept_bytes > 0);
    cache.clear();
    assert_eq!(cache.counters().kept_bytes, 0);
    assert_eq!(live_by(&mut cache, &prompt, &[1500]), 0);
}

#[test]
fn a_state_that_went_on_is_not_gone_back_to() {
    let mut cache = recurrent(1 << 20);
    let all = tokens(200);
    admit(&mut cache, 1, &all).unwrap();
    carry_on(&mut cache, 1, &[], &all[..128]);
    carry_on(&mut cache, 1, &all[..128], &all[128..]);
    // Its last tokens do not count: they were computed ahead.
    cache.release(1, Some(&all[..198]));
    assert_eq!(live_by(&mut cache, &all, &[200]), 128);
}

#[test]
fn states_count_as_memory_and_without_snapshots_leave_nothing() {
    let mut cache = recurrent(512 * 8 + 8);
    let prompt = tokens(100);
    admit(&mut cache, 1, &prompt).unwrap();
    carry_on(&mut cache, 1, &[], &prompt);
    assert_eq!(cache.arrays(1).count(), 3);
    assert!(cache.state(2, 1).is_err());
    cache.seal(1, &prompt);
    // Its promise counts the state: beside it there is room for 256 tokens
    // alone, but not for their state.
    assert!(matches!(
        admit(&mut cache, 2, &tokens(256)),
        Err(CacheError::Full { needed, .. }) if needed == 256 * 8 + 8
    ));
    cache.release(1, Some(&prompt[..99]));
    assert_eq!(cache.counters().kept_bytes, 0);
    assert_eq!(admit(&mut cache, 3, &prompt).unwrap(), 0);
    cache.release(3, None);
}
