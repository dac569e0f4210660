//! The folder of page files: `MODEL/AB/HASH.kv`, where `AB` are the first two
//! digits of the hash, beside a `model.json` with the model's name.
//!
//! Several programs may use one folder: files appear whole, by renaming, and
//! vanish at any time; only whoever holds the lock removes the old ones.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use super::format::{self, FIXED, Parts, Reject};
use crate::{cache::PageHash, mlx::HostBytes};

const PAGE: &str = "kv";
const TEMPORARY: &str = "tmp";
const NAME: &str = "model.json";
/// Nobody writes one page for so long: what is left of it belongs to a program
/// that was killed.
const ABANDONED: Duration = Duration::from_secs(600);

/// What the folder holds of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelUsage {
    /// The model's folder: the same weights computed in the same way.
    pub key: String,
    /// Its name when it was last used; empty if that is not known.
    pub id: String,
    pub pages: u64,
    pub bytes: u64,
    /// When the page that was not used for longest was used.
    pub oldest: Option<SystemTime>,
}

/// What was removed, and what is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub pages: u64,
    pub bytes: u64,
    pub left: u64,
}

#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

struct PageFile {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Folder {
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, key: &str, hash: PageHash) -> PathBuf {
        let hash = hash.to_string();
        let folder = self.root.join(key).join(&hash[..2]);
        folder.join(hash).with_extension(PAGE)
    }

    /// Whether there is a file of the page, with a snapshot if it has to have
    /// one.
    pub(super) fn has(&self, key: &str, hash: PageHash, snapshot: bool) -> bool {
        let parts = peek(&self.path(key, hash), hash);
        matches!(parts, Ok(Ok(parts)) if parts.states > 0 || !snapshot)
    }

    /// Writes a page's file; gives the bytes of the one that it replaces.
    pub fn write(&self, key: &str, hash: PageHash, parts: &[&[u8]]) -> io::Result<u64> {
        let path = self.path(key, hash);
        if let Some(folder) = path.parent() {
            create(folder)?;
        }
        let replaced = fs::metadata(&path).map_or(0, |file| file.len());
        write_whole(&path, parts)?;
        Ok(replaced)
    }

    /// Writes the model's name down.
    pub fn name(&self, key: &str, id: &str) -> io::Result<()> {
        let folder = self.root.join(key);
        create(&folder)?;
        let text = serde_json::json!({ "id": id }).to_string();
        write_whole(&folder.join(NAME), &[text.as_bytes()])
    }

    /// What there is, by model; the largest first.
    ///
    /// # Errors
    /// When the folder is there and cannot be read.
    pub fn usage(&self) -> io::Result<Vec<ModelUsage>> {
        let mut models = Vec::new();
        for folder in folders(&self.root)? {
            let files = page_files(&folder);
            let name = fs::read(folder.join(NAME)).unwrap_or_default();
            let name: serde_json::Value = serde_json::from_slice(&name).unwrap_or_default();
            models.push(ModelUsage {
                key: file_name(&folder),
                id: name["id"].as_str().unwrap_or_default().to_owned(),
                pages: files.len() as u64,
                bytes: files.iter().map(|file| file.bytes).sum(),
                oldest: files.iter().map(|file| file.used).min(),
            });
        }
        models.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.key.cmp(&b.key)));
        Ok(models)
    }

    /// Removes the pages of the models that `wanted` picks.
    ///
    /// # Errors
    /// When a model's folder cannot be removed.
    pub fn clear(&self, wanted: impl Fn(&ModelUsage) -> bool) -> io::Result<Swept> {
        let mut swept = Swept::default();
        for model in self.usage()? {
            if wanted(&model) {
                fs::remove_dir_all(self.root.join(&model.key))?;
                swept.pages += model.pages;
                swept.bytes += model.bytes;
            } else {
                swept.left += model.bytes;
            }
        }
        Ok(swept)
    }

    /// Removes what was not used for longest until at most nine tenths of
    /// `limit` are left, if there is more than `limit`. `None` if another
    /// program does so at this moment.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn sweep(&self, limit: u64) -> io::Result<Option<Swept>> {
        create(&self.root)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.root.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut files = Vec::new();
        for folder in folders(&self.root)? {
            files.extend(page_files(&folder));
        }
        let mut swept = Swept {
            left: files.iter().map(|file| file.bytes).sum(),
            ..Swept::default()
        };
        if swept.left <= limit {
            return Ok(Some(swept));
        }
        files.sort_by_key(|file| file.used);
        for file in files {
            if swept.left <= limit / 10 * 9 {
                break;
            }
            if fs::remove_file(&file.path).is_ok() {
                swept.pages += 1;
                swept.bytes += file.bytes;
            }
            swept.left -= file.bytes;
        }
        Ok(Some(swept))
    }
}

/// What the beginning of a page's file says.
pub fn peek(path: &Path, hash: PageHash) -> io::Result<Result<Parts, Reject>> {
    let mut start = Vec::with_capacity(FIXED);
    File::open(path)?
        .take(FIXED as u64)
        .read_to_end(&mut start)?;
    Ok(format::peek(&start, hash))
}

/// A page's file, without its states if these are not wanted.
pub fn read(path: &Path, hash: PageHash, states: bool) -> io::Result<Result<HostBytes, Reject>> {
    let mut opened = File::open(path)?;
    let mut start = Vec::with_capacity(FIXED);
    (&mut opened).take(FIXED as u64).read_to_end(&mut start)?;
    let parts = match format::peek(&start, hash) {
        Ok(parts) => parts,
        Err(reject) => return Ok(Err(reject)),
    };
    let all = opened.metadata()?.len();
    let length = match states {
        true => all,
        false => all.min(parts.page),
    };
    // At least what was read already, whatever the header says.
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut file = HostBytes::new(length.max(start.len()));
    let (head, rest) = file.split_at_mut(start.len());
    head.copy_from_slice(&start);
    let read = fill(&mut opened, rest)?;
    file.truncate(start.len() + read);
    Ok(Ok(file))
}

/// Reads until there is no more room or nothing left; how much that was.
fn fill(file: &mut File, mut room: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while !room.is_empty() {
        match file.read(room) {
            Ok(0) => break,
            Ok(count) => {
                filled += count;
                room = &mut room[count..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Marks a page as used now. A folder that is read-only keeps its order.
pub fn touch(path: &Path) {
    let file = File::open(path);
    let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
}

/// Prompts can be read from keys and values: they are nobody else's business.
fn create(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// Under another name first, so that no reader ever sees a part.
fn write_whole(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{number}.{TEMPORARY}", std::process::id()));
    let write = || {
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&temporary)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        drop(file);
        fs::rename(&temporary, path)
    };
    let written = write();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The folders in a folder; none if it is not there.
fn folders(root: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.is_dir()).collect())
}

/// The pages of a model. Removes what killed programs have left.
fn page_files(model: &Path) -> Vec<PageFile> {
    let mut files = Vec::new();
    for folder in folders(model).unwrap_or_default() {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            // It may have vanished since.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(PAGE) => files.push(PageFile {
                    path,
                    bytes: metadata.len(),
                    used,
                }),
                Some(TEMPORARY) if used.elapsed().is_ok_and(|age| age > ABANDONED) => {
                    let _ = fs::remove_file(path);
                }
                _ => {}
            }
        }
    }
    files
}
