//! What a device's memory gives up is found in the host's.

use mlx_rs::{Array, Dtype};

use super::{
    disk::{Disk, DiskOptions},
    *,
};

const TOKEN_BYTES: u64 = 2 * 4;

/// One layer, one head of width 1; keeps so many tokens of ended sequences.
fn cache(kept_tokens: u64, ram: &Ram) -> KvCache {
    let cache = KvCache::new(CacheOptions {
        fingerprint: "m".into(),
        layers: vec![KvLayer::new(1, 1, Dtype::Float32)],
        limit: 4096 * TOKEN_BYTES,
        kept_limit: kept_tokens * TOKEN_BYTES,
        ..CacheOptions::default()
    });
    cache.with_ram(ram.clone())
}

/// A prompt's life in `mode`; tokens found.
fn live_in(cache: &mut KvCache, prompt: &[u32], mode: KvMode) -> usize {
    let policy = KvPolicy {
        mode,
        ..KvPolicy::default()
    };
    let cached = cache.admit(1, prompt, prompt.len(), &policy).unwrap();
    let rows: Vec<f32> = prompt[cached..].iter().map(|t| *t as f32).collect();
    let rows = Array::from_slice(&rows, &[1, 1, rows.len() as i32, 1]);
    let past = cache.update(1, 0, rows.clone(), rows).unwrap();
    let [keys, _] = past.numbers().unwrap();
    let keys: Vec<u32> = keys.to_vec_cast().unwrap();
    assert_eq!(keys, prompt, "what was found is not the prompt's");
    cache.release(1, Some(prompt));
    cached
}

fn live(cache: &mut KvCache, prompt: &[u32]) -> usize {
    live_in(cache, prompt, KvMode::Plain)
}

fn prompt(which: u32) -> Vec<u32> {
    (0..300).map(|i| i + which * 1000).collect()
}

#[test]
fn what_memory_gives_up_is_found_again() {
    let ram = Ram::new(1 << 20).unwrap();
    let mut cache = cache(512, &ram);
    for which in 0..8 {
        assert_eq!(live(&mut cache, &prompt(which)), 0);
    }
    assert!(cache.counters().evicted > 20);
    // Pages that are not full go with them; full ones are there.
    let mut next = prompt(0);
    next.extend([5, 6, 7]);
    assert_eq!(live(&mut cache, &next), 256);
    let prefix = cache.counters().prefix;
    assert_eq!((prefix.ram_hits, prefix.ram_tokens), (1, 256));
    assert_eq!((prefix.memory_hits, prefix.disk_hits), (0, 0));
    assert_eq!(ram.counters().read_pages, 4);
    // A branch of another finds its part.
    let mut branch = prompt(1);
    branch[130] = 9999;
    assert_eq!(live(&mut cache, &branch), 128);
    // What goes again is not copied again.
    let stored = ram.counters().stored_pages;
    for which in 2..8 {
        assert_eq!(live(&mut cache, &prompt(which)), 256, "{which}");
    }
    let now = ram.counters();
    assert!(now.stored_pages <= stored + 8, "{now:?}");
    assert!(now.pages > 0 && now.bytes <= now.limit);
}

#[test]
fn the_least_recently_used_pages_leave_the_hosts_memory() {
    let page = 64 * TOKEN_BYTES + 64 * 4 + 512;
    let ram = Ram::new(10 * page).unwrap();
    let mut cache = cache(300, &ram);
    for which in 0..8 {
        live(&mut cache, &prompt(which));
        // Used again after every other.
        live(&mut cache, &prompt(0));
    }
    let counters = ram.counters();
    assert!(counters.evicted_pages > 0 && counters.pages <= 10);
    live(&mut cache, &prompt(9));
    live(&mut cache, &prompt(10));
    assert_eq!(live(&mut cache, &prompt(0)), 256);
    assert_eq!(live(&mut cache, &prompt(1)), 0);
}

#[test]
fn another_model_or_mode_finds_nothing_and_the_same_one_does() {
    let ram = Ram::new(1 << 20).unwrap();
    let mut one = cache(0, &ram);
    live(&mut one, &prompt(0));
    live(&mut one, &prompt(1));
    assert!(ram.counters().pages >= 4);
    assert_eq!(live_in(&mut one, &prompt(0), KvMode::Half), 0);
    drop(one);
    // After another model was in use.
    let mut again = cache(0, &ram);
    assert_eq!(live(&mut again, &prompt(0)), 256);
    let options = CacheOptions {
        fingerprint: "another".into(),
        layers: vec![KvLayer::new(1, 1, Dtype::Float32)],
        limit: 1 << 20,
        ..CacheOptions::default()
    };
    let mut other = KvCache::new(options).with_ram(ram);
    assert_eq!(live(&mut other, &prompt(0)), 0);
}

#[test]
fn the_hosts_memory_is_asked_before_the_disk() {
    let home = tempfile::tempdir().unwrap();
    let disk = Disk::start(DiskOptions {
        folder: home.path().to_owned(),
        limit: 1 << 30,
    });
    let ram = Ram::new(1 << 20).unwrap();
    let mut cache = cache(0, &ram).with_disk(disk.model("a model"));
    live(&mut cache, &prompt(0));
    live(&mut cache, &prompt(1));
    disk.flush(std::time::Duration::from_secs(20));
    assert_eq!(disk.counters().written_pages, 4);
    assert_eq!(live(&mut cache, &prompt(0)), 256);
    assert_eq!(
        (ram.counters().read_pages, disk.counters().read_pages),
        (4, 0)
    );
    // Nothing of it there: the disk has it still.
    let mut cache = super::ram_tests::cache(0, &Ram::new(1 << 20).unwrap());
    cache = cache.with_disk(disk.model("a model"));
    assert_eq!(live(&mut cache, &prompt(0)), 256);
    assert_eq!(cache.counters().prefix.disk_tokens, 256);
}
