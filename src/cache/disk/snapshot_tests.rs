//! Snapshots of recurrent layers that survive the program.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use mlx_rs::{Array, Dtype};

use super::*;
use crate::cache::{
    CacheOptions, KvCache, KvLayer, KvPolicy, KvStore, PAGE_TOKENS, Taken, saving::Unsaved,
};

/// A program with an empty memory and the folder of earlier ones.
struct Program {
    disk: Disk,
    cache: KvCache,
}

/// An attention layer beside two recurrent ones, or these alone.
fn start(folder: &Path, attention: bool) -> Program {
    let disk = Disk::start(DiskOptions {
        folder: folder.to_owned(),
        limit: 1 << 30,
    });
    let layer = match attention {
        true => KvLayer::new(1, 1, Dtype::Float32),
        false => KvLayer::nothing(Dtype::Float32),
    };
    let cache = KvCache::new(CacheOptions {
        fingerprint: "m".into(),
        layers: vec![layer],
        state_bytes: 40,
        snapshots_only: true,
        limit: 1 << 20,
        kept_limit: 1 << 20,
        ..CacheOptions::default()
    });
    let cache = cache.with_disk(disk.model("a model"));
    Program { disk, cache }
}

impl Program {
    /// A life of a prompt that is computed up to each of `ends`; tokens found.
    fn live(&mut self, prompt: &[u32], ends: &[usize]) -> usize {
        let attention = self.cache.plain.page_bytes() > 1;
        let cache = &mut self.cache;
        let policy = KvPolicy::default();
        let found = cache.admit(1, prompt, prompt.len(), &policy).unwrap();
        let mut done = found;
        for end in ends.iter().filter(|end| **end > found) {
            check(cache, &prompt[..done]);
            if attention {
                let rows: Vec<f32> = prompt[done..*end].iter().map(|t| *t as f32).collect();
                let rows = Array::from_slice(&rows, &[1, 1, rows.len() as i32, 1]);
                let [keys, _] = cache
                    .update(1, 0, rows.clone(), rows)
                    .unwrap()
                    .numbers()
                    .unwrap();
                let keys: Vec<u32> = keys.to_vec_cast().unwrap();
                assert_eq!(keys, prompt[..*end]);
            }
            for layer in [1, 3] {
                let state = states(&prompt[..*end]);
                cache
                    .set_state(1, layer, Taken::Own(end - done), state)
                    .unwrap();
            }
            cache.snapshot(1).unwrap();
            done = *end;
        }
        cache.seal(1, prompt);
        cache.release(1, Some(prompt));
        found
    }

    fn save(&mut self) {
        while self.cache.write_behind() != Unsaved::None {}
        self.disk.flush(Duration::from_secs(20));
    }

    fn read(&self) -> u64 {
        self.disk.counters().read_pages
    }
}

/// What recurrent layers carry on after `tokens`: their number and sum, in the
/// shapes and types that such layers have.
fn states(tokens: &[u32]) -> Vec<Array> {
    let sum = tokens.iter().sum::<u32>() as f32;
    let numbers = [tokens.len() as f32, sum];
    let deep = Array::from_slice(&numbers, &[1, 1, 2, 1, 1]);
    let flat = Array::from_slice(&[(tokens.len() / 64) as f32; 6], &[1, 3, 2]);
    // Not as its elements lie in memory.
    let turned = Array::from_slice(&[1.0f32, 2.0, sum, 4.0], &[1, 2, 2]);
    let turned = turned.transpose_axes(&[0, 2, 1]).unwrap();
    vec![deep, flat.as_dtype(Dtype::Bfloat16).unwrap(), turned]
}

fn check(cache: &mut KvCache, before: &[u32]) {
    for layer in [1, 3] {
        let Some(state) = cache.state(1, layer).unwrap() else {
            assert!(before.is_empty());
            continue;
        };
        for (own, expected) in state.iter().zip(states(before)) {
            assert_eq!(
                (own.shape(), own.dtype()),
                (expected.shape(), expected.dtype())
            );
            let numbers = |array: &Array| -> Vec<f32> {
                let array = array.contiguous().unwrap();
                array.to_vec_cast().unwrap()
            };
            assert_eq!(numbers(own), numbers(&expected), "after {}", before.len());
        }
    }
}

fn tokens(count: u32) -> Vec<u32> {
    (0..count).collect()
}

/// So many of `tokens(2000)`, and then others.
fn branch(same: usize) -> Vec<u32> {
    let mut branch = tokens(same as u32);
    branch.extend([7777; 30]);
    branch
}

/// A folder with 23 pages and snapshots after 512, 1024 and 1472 tokens.
fn stored(attention: bool) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let mut program = start(home.path(), attention);
    let ends = [512, 1024, 1472, 1500];
    assert_eq!(program.live(&tokens(1500), &ends), 0);
    program.save();
    assert_eq!(program.disk.counters().written_pages, 23);
    home
}

fn path(folder: &Path, pages: usize) -> PathBuf {
    let root = PageHash::root("m", "plain", "");
    let tokens = tokens(2000);
    let parts = tokens.chunks(PAGE_TOKENS).take(pages);
    let hash = parts.fold(root, |hash, part| hash.child(part));
    Folder::new(folder.to_owned()).path(&root.to_string(), hash)
}

#[test]
fn others_begin_at_stored_snapshots() {
    for attention in [true, false] {
        let home = stored(attention);
        for (same, found) in [
            (1600, 1472),
            (1471, 1024),
            (1025, 1024),
            (1000, 512),
            (400, 0),
        ] {
            let mut program = start(home.path(), attention);
            let prompt = branch(same);
            assert_eq!(program.live(&prompt, &[prompt.len()]), found, "{same}");
            // None that is deeper.
            assert_eq!(program.read(), (found / PAGE_TOKENS) as u64);
            let prefix = program.cache.counters().prefix;
            assert_eq!(prefix.disk_tokens, found as u64);
            assert_eq!(program.disk.counters().rejects.total(), 0);
        }
    }
}

#[test]
fn pages_in_memory_get_their_snapshot_from_the_disk() {
    let home = stored(true);
    let mut program = start(home.path(), true);
    assert_eq!(program.live(&branch(1600), &[1630]), 1472);
    assert_eq!(program.read(), 23);
    // Only that of the last page was read.
    assert_eq!(program.live(&branch(1100), &[1130]), 1024);
    assert_eq!(program.read(), 24);
    assert_eq!(program.live(&branch(1101), &[1131]), 1024);
    assert_eq!(program.read(), 24);
    // Nothing is written again.
    program.save();
    assert_eq!(program.disk.counters().written_pages, 0);
}

#[test]
fn a_sequence_that_goes_on_in_memory_reads_nothing() {
    let home = stored(true);
    let mut program = start(home.path(), true);
    assert_eq!(program.live(&tokens(1500), &[1500]), 1472);
    let read = program.read();
    assert_eq!(program.live(&tokens(1530), &[1530]), 1500);
    assert_eq!(program.read(), read);
}

#[test]
fn a_page_is_written_again_when_its_snapshot_comes() {
    let home = stored(true);
    let before = fs::metadata(path(home.path(), 10)).unwrap().len();
    let mut program = start(home.path(), true);
    let ends = [640, 660];
    assert_eq!(program.live(&branch(650), &ends), 512);
    program.save();
    assert_eq!(program.disk.counters().written_pages, 1);
    assert!(fs::metadata(path(home.path(), 10)).unwrap().len() > before);
    let mut program = start(home.path(), true);
    assert_eq!(program.live(&branch(649), &[679]), 640);
}

#[test]
fn a_bad_snapshot_is_refused_and_an_earlier_one_found() {
    for damage in [0, 1, 2] {
        let home = stored(true);
        let path = path(home.path(), 23);
        let mut file = fs::read(&path).unwrap();
        let last = file.len() - 1;
        match damage {
            0 => file[last] ^= 1,
            1 => file.truncate(last),
            // All of the snapshot, at the end of the page's part.
            _ => {
                let parts = format::peek(&file, PageHash(file[40..56].try_into().unwrap()));
                file.truncate(parts.unwrap().page as usize);
            }
        }
        fs::write(&path, file).unwrap();
        let mut program = start(home.path(), true);
        assert_eq!(program.live(&branch(1600), &[1630]), 1024);
        let rejects = program.disk.counters().rejects;
        let expected = if damage == 0 { (1, 0) } else { (0, 1) };
        assert_eq!((rejects.checksum, rejects.truncated), expected);
        assert!(!path.exists());
    }
}

#[test]
fn pages_of_an_older_program_are_misses_and_written_anew() {
    let home = stored(true);
    for pages in 1..=23 {
        let path = path(home.path(), pages);
        let mut file = fs::read(&path).unwrap();
        file[8] = 2;
        fs::write(&path, file).unwrap();
    }
    let mut program = start(home.path(), true);
    assert_eq!(program.live(&tokens(1500), &[1472, 1500]), 0);
    assert!(program.disk.counters().rejects.version > 0);
    program.save();
    assert_eq!(program.disk.counters().written_pages, 23);
    let mut program = start(home.path(), true);
    assert_eq!(program.live(&tokens(1501), &[1501]), 1472);
}

#[test]
fn a_hole_in_the_pages_ends_what_is_found() {
    let home = stored(true);
    fs::remove_file(path(home.path(), 17)).unwrap();
    let mut program = start(home.path(), true);
    assert_eq!(program.live(&branch(1600), &[1630]), 1024);
    let home = stored(true);
    fs::remove_file(path(home.path(), 16)).unwrap();
    // A read-only file system is no reason to look for it for ever.
    let mut program = start(home.path(), true);
    assert_eq!(program.live(&branch(1600), &[1630]), 512);
}
