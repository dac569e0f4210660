//! Pages that are plain in memory and packed on the disk.

use std::{fs, path::Path, time::Duration};

use mlx_rs::{Array, Dtype, ops};

use super::*;
use crate::cache::{CacheOptions, KvCache, KvLayer, KvPolicy, KvStore, Packs, Unsaved};

const HEADS: i32 = 2;
const WIDTH: i32 = 64;
const TOKENS: usize = 300;

fn layers(packs: Packs) -> Vec<KvLayer> {
    let mut layer = KvLayer::new(HEADS as usize, WIDTH as usize, Dtype::Float32);
    layer.packs = packs;
    vec![layer; 2]
}

fn start(folder: &Path, mode: KvMode, packs: Packs) -> (Disk, KvCache) {
    let disk = Disk::start(DiskOptions {
        folder: folder.to_owned(),
        limit: 1 << 30,
    });
    let cache = KvCache::new(CacheOptions {
        fingerprint: "m".into(),
        layers: layers(packs),
        limit: 1 << 26,
        kept_limit: 1 << 26,
        ..CacheOptions::default()
    });
    let cache = cache.with_disk_in(mode, disk.model("a model"));
    (disk, cache)
}

fn rows(from: usize, to: usize) -> Array {
    let count = (to - from) as i32;
    let numbers = (from as i32 * WIDTH..to as i32 * WIDTH).flat_map(|i| {
        let row = (i as f32 * 0.37).sin();
        [row; HEADS as usize]
    });
    let numbers: Vec<f32> = numbers.collect();
    let rows = Array::from_slice(&numbers, &[1, count, WIDTH, HEADS]);
    rows.transpose_axes(&[0, 3, 1, 2])
        .unwrap()
        .contiguous()
        .unwrap()
}

/// Tokens found of a prompt in a way of memory, and how far what is seen of
/// its first page and of the others is from what it should be, at most.
fn live(cache: &mut KvCache, mode: KvMode) -> (usize, [f32; 2]) {
    let prompt: Vec<u32> = (0..TOKENS as u32).collect();
    let policy = KvPolicy {
        mode,
        ..KvPolicy::default()
    };
    let cached = cache.admit(1, &prompt, TOKENS, &policy).unwrap();
    let mut worst = [0f32; 2];
    for layer in [0, 1] {
        let new = rows(cached, TOKENS);
        let past = cache.update(1, layer, new.clone(), new).unwrap();
        for seen in past.numbers().unwrap() {
            let error = ops::abs(seen.subtract(rows(0, TOKENS)).unwrap()).unwrap();
            let parts = error.split_at_indices(&[64], 2).unwrap();
            for (worst, part) in worst.iter_mut().zip(parts) {
                *worst = worst.max(part.max(None).unwrap().item_exact::<f32>());
            }
        }
    }
    cache.release(1, Some(&prompt));
    (cached, worst)
}

fn save(cache: &mut KvCache, disk: &Disk) {
    while cache.write_behind() != Unsaved::None {}
    disk.flush(Duration::from_secs(20));
}

fn stored(folder: &Path) -> Vec<ModelUsage> {
    Folder::new(folder.to_owned()).usage().unwrap()
}

#[test]
fn packed_pages_are_small_on_the_disk_and_plain_in_memory() {
    // Elements of a page, as numbers of 32 bits.
    let page = 2 * 2 * HEADS as u64 * 64 * WIDTH as u64 * 4;
    for (mode, bits, bound) in [
        ("half", 16.0, 0.001),
        ("affine-8", 8.5, 0.01),
        ("affine-4", 4.5, 0.15),
        ("turbo-4", 4.5, 0.6),
        ("turbo-3-qjl", 4.0, 1.5),
    ] {
        let home = tempfile::tempdir().unwrap();
        let mode: KvMode = mode.parse().unwrap();
        let (disk, mut cache) = start(home.path(), mode, Packs::Yes);
        assert_eq!(live(&mut cache, KvMode::Plain), (0, [0.0; 2]));
        save(&mut cache, &disk);
        // In memory nothing has changed.
        assert_eq!(live(&mut cache, KvMode::Plain), (TOKENS - 1, [0.0; 2]));
        let [usage] = &stored(home.path())[..] else {
            panic!("one folder");
        };
        assert_eq!(usage.pages, 4);
        let expected = page as f64 * (1.0 + 3.0 * bits / 32.0);
        let ratio = usage.bytes as f64 / expected;
        assert!((0.95..1.1).contains(&ratio), "{mode}: {ratio}");

        let (disk, mut cache) = start(home.path(), mode, Packs::Yes);
        let (cached, [first, others]) = live(&mut cache, KvMode::Plain);
        assert_eq!((cached, first), (256, 0.0), "{mode}");
        assert!(others > 0.0 && others < bound, "{mode}: {others}");
        assert_eq!(disk.counters().rejects.total(), 0);
        // What was read is plain: unpacked once and for all.
        let page = cache.plain.page_bytes();
        assert!(cache.counters().kept_bytes >= 4 * page);
        save(&mut cache, &disk);
        assert_eq!(disk.counters().written_pages, 0);
    }
}

#[test]
fn disks_of_other_modes_are_apart() {
    let home = tempfile::tempdir().unwrap();
    let affine: KvMode = "affine-4".parse().unwrap();
    let (disk, mut cache) = start(home.path(), affine, Packs::Yes);
    live(&mut cache, KvMode::Plain);
    save(&mut cache, &disk);
    let (disk, mut cache) = start(home.path(), KvMode::Plain, Packs::Yes);
    assert_eq!(live(&mut cache, KvMode::Plain), (0, [0.0; 2]));
    save(&mut cache, &disk);
    assert_eq!(stored(home.path()).len(), 2);
    let (_disk, mut cache) = start(home.path(), KvMode::Plain, Packs::Yes);
    assert_eq!(live(&mut cache, KvMode::Plain), (256, [0.0; 2]));
}

#[test]
fn what_is_packed_in_memory_is_stored_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let [affine, turbo]: [KvMode; 2] = ["affine-8", "turbo-2"].map(|name| name.parse().unwrap());
    let (disk, mut cache) = start(home.path(), turbo, Packs::Yes);
    live(&mut cache, affine);
    save(&mut cache, &disk);
    let (_disk, mut cache) = start(home.path(), turbo, Packs::Yes);
    let (cached, [_, others]) = live(&mut cache, affine);
    assert_eq!(cached, 256);
    assert!(others < 0.01, "{others}");
}

#[test]
fn models_that_break_stay_plain() {
    let home = tempfile::tempdir().unwrap();
    let mode: KvMode = "affine-4".parse().unwrap();
    let packs = Packs::Refused("its heads have sinks");
    let (disk, mut cache) = start(home.path(), mode, packs);
    live(&mut cache, KvMode::Plain);
    save(&mut cache, &disk);
    // As if nothing had been said.
    let (disk, mut cache) = start(home.path(), KvMode::Plain, packs);
    assert_eq!(live(&mut cache, KvMode::Plain), (256, [0.0; 2]));
    assert_eq!(disk.counters().read_pages, 4);
    assert!(fs::read_dir(home.path()).unwrap().count() > 0);
}
