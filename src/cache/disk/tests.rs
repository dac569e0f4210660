//! Pages that survive the program, and files that are not what they should be.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use mlx_rs::{Array, Dtype};

use super::*;
use crate::cache::{
    CacheOptions, KvCache, KvLayer, KvPolicy, KvStore, PAGE_TOKENS, saving::Unsaved,
};

const TOKEN_BYTES: u64 = 2 * 2 * 4 * 2;

fn disk(folder: &Path, limit: u64) -> Disk {
    Disk::start(DiskOptions {
        folder: folder.to_owned(),
        limit,
    })
}

fn cache(disk: &Disk, fingerprint: &str) -> KvCache {
    let options = CacheOptions {
        fingerprint: fingerprint.into(),
        layers: vec![KvLayer::new(1, 2, Dtype::Float32); 2],
        limit: 4000 * TOKEN_BYTES,
        kept_limit: 2000 * TOKEN_BYTES,
        ..CacheOptions::default()
    };
    KvCache::new(options).with_disk(disk.model("a model"))
}

/// Admits and computes a prompt and compares what the model sees; tokens found.
fn live(cache: &mut KvCache, prompt: &[u32]) -> usize {
    let policy = KvPolicy::default();
    let cached = cache.admit(1, prompt, prompt.len(), &policy).unwrap();
    let expected: Vec<f32> = prompt.iter().map(|token| *token as f32).collect();
    let new = prompt.len() - cached;
    for layer in [0, 2] {
        let rows: Vec<f32> = expected[cached..].iter().flat_map(|k| [*k, -k]).collect();
        let rows = Array::from_slice(&rows, &[1, 1, new as i32, 2]);
        let past = cache.update(1, layer, rows.clone(), rows).unwrap();
        for seen in past.numbers().unwrap() {
            let seen: Vec<f32> = seen.to_vec_exact().unwrap();
            let all: Vec<f32> = expected.iter().flat_map(|k| [*k, -k]).collect();
            assert_eq!(seen, all);
        }
    }
    cache.release(1, Some(prompt));
    cached
}

fn save(cache: &mut KvCache, disk: &Disk) {
    while cache.write_behind() != Unsaved::None {}
    disk.flush(Duration::from_secs(20));
}

fn tokens(count: u32) -> Vec<u32> {
    (0..count).collect()
}

/// A folder with the three full pages of `tokens(200)`.
fn stored() -> (tempfile::TempDir, Vec<PathBuf>) {
    let home = tempfile::tempdir().unwrap();
    let disk = disk(home.path(), 1 << 30);
    let mut cache = cache(&disk, "m");
    live(&mut cache, &tokens(200));
    save(&mut cache, &disk);
    let files = files(home.path());
    assert_eq!(files.len(), 3);
    (home, files)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "kv") {
            found.push(path);
        }
    }
    found
}

/// A new program with the same folder: the tokens it finds of `prompt`.
fn restart(folder: &Path, prompt: &[u32]) -> (usize, DiskCounters) {
    let disk = disk(folder, 1 << 30);
    let mut cache = cache(&disk, "m");
    let cached = live(&mut cache, prompt);
    let prefix = cache.counters().prefix;
    assert_eq!(prefix.disk_tokens as usize, cached);
    (cached, disk.counters())
}

#[test]
fn pages_survive_the_program() {
    let (home, _) = stored();
    let (cached, counters) = restart(home.path(), &tokens(300));
    assert_eq!((cached, counters.read_pages), (192, 3));
    assert_eq!(counters.rejects, RejectCounters::default());
    // All but the last token of what is wanted.
    assert_eq!(restart(home.path(), &tokens(192)).0, 128);
    let mut branch = tokens(300);
    branch[70] = 9999;
    assert_eq!(restart(home.path(), &branch).0, 64);
}

#[test]
fn memory_goes_on_where_the_disk_does() {
    let (home, _) = stored();
    let disk = disk(home.path(), 1 << 30);
    let mut cache = cache(&disk, "m");
    let mut other = tokens(150);
    other[100] = 7777;
    assert_eq!(live(&mut cache, &other), 64);
    // One page from memory, with a better part of another, or two of the disk.
    assert_eq!(live(&mut cache, &tokens(190)), 128);
    assert_eq!(live(&mut cache, &tokens(190)), 189);
    save(&mut cache, &disk);
    assert_eq!(files(home.path()).len(), 4);
    assert_eq!(disk.counters().written_pages, 1);
}

#[test]
fn another_model_finds_nothing() {
    let (home, _) = stored();
    let disk = disk(home.path(), 1 << 30);
    let mut cache = cache(&disk, "another");
    assert_eq!(live(&mut cache, &tokens(200)), 0);
}

#[test]
fn a_flipped_bit_is_a_miss_and_the_file_goes() {
    let (_home, paths) = stored();
    let length = fs::metadata(&paths[0]).unwrap().len() as usize;
    let places = [
        0,
        9,
        13,
        20,
        30,
        45,
        57,
        62,
        100,
        330,
        400,
        length / 2,
        length - 1,
    ];
    for place in places {
        let (home, paths) = stored();
        for path in &paths {
            let mut file = fs::read(path).unwrap();
            file[place] ^= 0x10;
            fs::write(path, file).unwrap();
        }
        let (cached, counters) = restart(home.path(), &tokens(200));
        assert_eq!((cached, counters.rejects.total()), (0, 1), "{place}");
        assert_eq!(files(home.path()).len(), 2);
    }
}

#[test]
fn files_cut_short_foreign_or_of_another_version_are_counted_apart() {
    let (home, mut paths) = stored();
    paths.sort();
    let good = fs::read(&paths[0]).unwrap();
    let disk = disk(home.path(), 1 << 30);
    let tokens = tokens(200);
    let root = PageHash::root("m", "plain", "");
    let first = root.child(&tokens[..64]);
    let model = disk.model("a model");
    let path = model.path(root, first);
    let good = if paths[0] == path {
        good
    } else {
        fs::read(&path).unwrap()
    };
    let wanted = |parent, tokens| Wanted {
        root,
        hash: first,
        parent,
        tokens,
        snapshot: None,
    };
    let right = wanted(root, &tokens[..64]);
    let read = |file: &[u8]| {
        fs::write(&path, file).unwrap();
        assert!(model.read(right).is_none());
        assert!(!path.exists());
    };
    for cut in [0, 1, 7, 8, 63, 64, 200, good.len() / 2, good.len() - 1] {
        read(&good[..cut]);
    }
    assert_eq!(disk.counters().rejects.truncated, 9);
    read(b"a letter to my grandmother, who has never seen a page of keys and values");
    let other = paths.iter().find(|other| **other != path).unwrap();
    read(&fs::read(other).unwrap());
    let mut old = good.clone();
    old[8] = 99;
    read(&old);
    let rejects = disk.counters().rejects;
    assert_eq!(
        (rejects.foreign, rejects.version, rejects.total()),
        (2, 1, 12)
    );
    // A folder in a file's place: the system's own words.
    fs::create_dir(&path).unwrap();
    assert!(model.read(right).is_none());
    assert_eq!(disk.counters().rejects.io, 1);
    fs::remove_dir(&path).unwrap();
    fs::write(&path, &good).unwrap();
    assert!(model.read(right).is_some());
    // The right page after the wrong parent, or of other tokens.
    assert!(model.read(wanted(first, &tokens[..64])).is_none());
    fs::write(&path, &good).unwrap();
    assert!(model.read(wanted(root, &tokens[1..65])).is_none());
}

#[test]
fn a_folder_that_cannot_be_written_turns_writing_off_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    // A file where the folder should be: as good as read-only, for root too.
    let folder = home.path().join("kv");
    fs::write(&folder, "in the way").unwrap();
    let disk = disk(&folder, 1 << 30);
    let mut cache = cache(&disk, "m");
    live(&mut cache, &tokens(200));
    save(&mut cache, &disk);
    assert!(!disk.counters().writing);
    assert_eq!(disk.counters().written_pages, 0);
    assert_eq!(live(&mut cache, &tokens(300)), 200);
    assert_eq!(cache.write_behind(), Unsaved::None);
    assert_eq!(disk.counters().queued, 0);
}

#[test]
fn a_read_only_folder_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let (home, paths) = stored();
    let mode = |mode: u32| {
        for path in paths.iter().flat_map(|path| path.ancestors().take(4)) {
            if path.starts_with(home.path()) && path.is_dir() {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
    };
    mode(0o500);
    let (cached, counters) = restart(home.path(), &tokens(200));
    mode(0o700);
    assert_eq!((cached, counters.read_pages), (192, 3));
}

#[test]
fn what_a_killed_writer_leaves_is_no_page_and_goes() {
    let (home, paths) = stored();
    let whole = fs::read(&paths[0]).unwrap();
    let fresh = paths[0].with_extension("99999-0.tmp");
    let old = paths[0].with_extension("99999-1.tmp");
    fs::write(&fresh, &whole[..whole.len() / 3]).unwrap();
    fs::write(&old, &whole[..whole.len() / 2]).unwrap();
    let hours_ago = SystemTime::now() - Duration::from_secs(7200);
    let options = File::options().write(true).open(&old).unwrap();
    options.set_modified(hours_ago).unwrap();
    fs::remove_file(&paths[0]).unwrap();
    let (cached, counters) = restart(home.path(), &tokens(200));
    assert!(cached < 192);
    assert_eq!(counters.rejects.total(), 0);
    Folder::new(home.path().to_owned()).sweep(1 << 30).unwrap();
    // Somebody may still be writing the young one.
    assert!(fresh.exists() && !old.exists());
}

#[test]
fn the_least_recently_used_files_go_first() {
    let home = tempfile::tempdir().unwrap();
    let page = PAGE_TOKENS as u64 * TOKEN_BYTES + 448;
    let disk = disk(home.path(), page * 10);
    let mut cache = cache(&disk, "m");
    let prompt = |which: u32| -> Vec<u32> { (0..130).map(|i| i + which * 500).collect() };
    let now = SystemTime::now();
    for which in 0..8 {
        live(&mut cache, &prompt(which));
        save(&mut cache, &disk);
        // Clocks of files are coarse.
        for path in files(home.path()) {
            let file = File::open(&path).unwrap();
            if file.metadata().unwrap().modified().unwrap() > now - Duration::from_secs(60) {
                let age = Duration::from_secs(u64::from(8 - which) * 1000);
                file.set_modified(now - age).unwrap();
            }
        }
    }
    let counters = disk.counters();
    assert!(
        counters.evicted_pages >= 6 && counters.stored_bytes <= page * 10,
        "{counters:?}"
    );
    let left = files(home.path()).len() as u64;
    assert_eq!(left + counters.evicted_pages, counters.written_pages);
    assert_eq!(restart(home.path(), &prompt(7)).0, 128);
    assert_eq!(restart(home.path(), &prompt(0)).0, 0);
}

#[test]
fn two_programs_share_a_folder() {
    let home = tempfile::tempdir().unwrap();
    let page = PAGE_TOKENS as u64 * TOKEN_BYTES + 448;
    let work = |seed: u32| {
        let folder = home.path().to_owned();
        move || {
            let disk = disk(&folder, page * 12);
            let mut cache = cache(&disk, "m");
            for round in 0..30 {
                // Half of the texts are the other's too.
                let which = (round % 6) + seed * 3;
                let prompt: Vec<u32> = (0..200).map(|i| i + which * 1000).collect();
                live(&mut cache, &prompt);
                save(&mut cache, &disk);
                cache.clear();
                live(&mut cache, &prompt);
            }
            disk.counters()
        }
    };
    let workers = [0, 1].map(|seed| std::thread::spawn(work(seed)));
    for worker in workers {
        let counters = worker.join().unwrap();
        assert!(counters.writing && counters.queued == 0);
        assert_eq!(counters.rejects, RejectCounters::default());
        assert!(counters.read_pages > 0, "{counters:?}");
    }
    Folder::new(home.path().to_owned())
        .sweep(page * 12)
        .unwrap();
    assert!(files(home.path()).len() <= 12);
}

#[test]
fn people_see_and_clear_what_there_is() {
    let (home, _) = stored();
    let folder = Folder::new(home.path().to_owned());
    let usage = folder.usage().unwrap();
    assert_eq!(
        (usage.len(), usage[0].pages, usage[0].id.as_str()),
        (1, 3, "a model")
    );
    assert!(usage[0].bytes > 3 * 64 * TOKEN_BYTES && usage[0].oldest.is_some());
    assert_eq!(folder.clear(|model| model.id == "other").unwrap().pages, 0);
    let swept = folder.clear(|_| true).unwrap();
    assert_eq!((swept.pages, swept.bytes), (3, usage[0].bytes));
    assert!(folder.usage().unwrap().is_empty());
    let nowhere = Folder::new(home.path().join("nowhere"));
    assert!(nowhere.usage().unwrap().is_empty());
}
