//! The disk tier: full pages survive the program.
//!
//! Written behind by a thread that gets bytes, never arrays; read by the
//! engine when a prompt begins like pages that memory does not hold. A file
//! that is not what it should be is removed and counts as not found.

mod ahead;
mod folder;
mod format;
#[cfg(test)]
mod mode_tests;
#[cfg(test)]
mod snapshot_tests;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    cell::RefCell,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

use serde::Serialize;

use ahead::{Ahead, Checked, Reading};
pub use folder::{Folder, ModelUsage, Swept};
pub use format::{Parts, Reject};
use writer::{Job, Owner, Shared};

use super::{KvMode, PageContent, PageHash, Snapshot, image::PageImage};

/// Bytes that may wait for the disk; more pages are not handed over.
const QUEUE_BYTES: u64 = 256 << 20;

/// Where pages are stored, and how many bytes at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskOptions {
    pub folder: PathBuf,
    pub limit: u64,
}

/// What the disk tier has done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DiskCounters {
    /// Whether there is one, and whether it still writes.
    pub on: bool,
    pub writing: bool,
    /// What the folder holds, of this program and others, and its limit.
    pub stored_bytes: u64,
    pub limit: u64,
    pub read_pages: u64,
    pub read_bytes: u64,
    pub written_pages: u64,
    pub written_bytes: u64,
    pub evicted_pages: u64,
    pub evicted_bytes: u64,
    /// Pages that wait to be written.
    pub queued: u64,
    pub queued_bytes: u64,
    /// Pages that were given up before they could be written.
    pub lost_pages: u64,
    pub rejects: RejectCounters,
}

/// Files that could not be used, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RejectCounters {
    pub checksum: u64,
    pub foreign: u64,
    pub truncated: u64,
    pub version: u64,
    /// The system refused to read it.
    pub io: u64,
}

impl RejectCounters {
    pub fn total(&self) -> u64 {
        self.checksum + self.foreign + self.truncated + self.version + self.io
    }
}

/// The disk tier of the whole program.
#[derive(Debug)]
pub struct Disk {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
    tally: Arc<Tally>,
}

/// What readers count.
#[derive(Debug, Default)]
struct Tally {
    read: AtomicU64,
    read_bytes: AtomicU64,
    lost: AtomicU64,
    checksum: AtomicU64,
    foreign: AtomicU64,
    truncated: AtomicU64,
    version: AtomicU64,
    io: AtomicU64,
}

/// A page that is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// What its hash builds on, itself, and its parent.
    pub root: PageHash,
    pub hash: PageHash,
    pub parent: PageHash,
    pub tokens: &'a [u32],
    /// With the snapshot at its end, after so many tokens.
    pub snapshot: Option<usize>,
}

/// A page that was found, with its snapshot if that was asked for.
#[derive(Debug)]
pub struct Stored {
    pub content: PageContent,
    pub snapshot: Option<Snapshot>,
}

/// The pages of one model on the disk.
#[derive(Debug)]
pub struct ModelDisk {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
    tally: Arc<Tally>,
    id: String,
    /// How what is plain in memory is kept.
    mode: KvMode,
    /// What is being read because it will be asked for.
    ahead: RefCell<Option<Ahead>>,
}

impl Disk {
    /// Starts the writer. Does not touch the disk itself.
    pub fn start(options: DiskOptions) -> Self {
        let folder = Folder::new(options.folder);
        let shared = Arc::new(Shared::new(folder, options.limit));
        let (jobs, queue) = mpsc::channel();
        let writer = {
            let shared = Arc::clone(&shared);
            move || writer::run(&shared, &queue)
        };
        // Without its thread the queue fills up and nothing more is handed over.
        if let Err(error) = thread::Builder::new()
            .name("kv-writer".into())
            .spawn(writer)
        {
            tracing::warn!(%error, "the thread that writes pages could not be started");
            shared.off.store(true, Relaxed);
        }
        Self {
            shared,
            jobs,
            tally: Arc::default(),
        }
    }

    /// The pages of the model with the name `id`.
    pub fn model(&self, id: &str) -> ModelDisk {
        ModelDisk {
            shared: Arc::clone(&self.shared),
            jobs: self.jobs.clone(),
            tally: Arc::clone(&self.tally),
            id: id.to_owned(),
            mode: KvMode::Plain,
            ahead: RefCell::default(),
        }
    }

    /// Waits until everything handed over so far is written, at most for
    /// `patience`.
    pub fn flush(&self, patience: Duration) {
        let (done, wait) = mpsc::sync_channel(1);
        if self.jobs.send(Job::Flush(done)).is_ok() {
            // Too slow, or the thread is gone: then there is nothing to wait for.
            let _ = wait.recv_timeout(patience);
        }
    }

    /// Whether pages wait to be written.
    pub fn is_busy(&self) -> bool {
        self.shared.queued.load(Relaxed) > 0
    }

    pub fn counters(&self) -> DiskCounters {
        let (shared, tally) = (&self.shared, &self.tally);
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        DiskCounters {
            on: true,
            writing: !shared.off.load(Relaxed),
            stored_bytes: of(&shared.stored_bytes),
            limit: shared.limit,
            read_pages: of(&tally.read),
            read_bytes: of(&tally.read_bytes),
            written_pages: of(&shared.written),
            written_bytes: of(&shared.written_bytes),
            evicted_pages: of(&shared.evicted),
            evicted_bytes: of(&shared.evicted_bytes),
            queued: of(&shared.queued),
            queued_bytes: of(&shared.queued_bytes),
            lost_pages: of(&tally.lost),
            rejects: RejectCounters {
                checksum: of(&tally.checksum),
                foreign: of(&tally.foreign),
                truncated: of(&tally.truncated),
                version: of(&tally.version),
                io: of(&tally.io),
            },
        }
    }
}

impl ModelDisk {
    /// The same in another mode: apart, since the pages are others.
    pub fn in_mode(self, mode: KvMode) -> Self {
        Self { mode, ..self }
    }

    /// The model's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder of pages whose hashes build on `root`.
    fn key(&self, root: PageHash) -> String {
        match self.mode {
            KvMode::Plain => root.to_string(),
            mode => format!("{root}-{mode}"),
        }
    }

    /// Whether there is a file of the page, whose hash builds on `root`, and
    /// how long its parts are. Reads no more than its beginning.
    pub fn look(&self, root: PageHash, hash: PageHash) -> Option<Parts> {
        let path = self.path(root, hash);
        match folder::peek(&path, hash) {
            Ok(parts) => parts.map_err(|reject| self.reject(&path, reject)).ok(),
            Err(error) => {
                self.refused(&path, &error);
                None
            }
        }
    }

    /// Whether a page is stored, with its snapshot if it has one.
    pub fn has(&self, root: PageHash, hash: PageHash, snapshot: bool) -> bool {
        let parts = self.look(root, hash);
        parts.is_some_and(|parts| parts.states > 0 || !snapshot)
    }

    fn path(&self, root: PageHash, hash: PageHash) -> PathBuf {
        self.shared.folder.path(&self.key(root), hash)
    }

    /// Begins to read pages that will be asked for in this order, the last one
    /// with its snapshot if `states`; what was begun before is given up.
    pub fn read_ahead(&self, root: PageHash, pages: &[PageHash], states: bool) {
        let last = pages.len().saturating_sub(1);
        let file = |(at, hash): (usize, &PageHash)| Reading {
            path: self.path(root, *hash),
            hash: *hash,
            states: states && at == last,
        };
        let files: Vec<Reading> = pages.iter().enumerate().map(file).collect();
        let ahead = (files.len() > 1).then(|| Ahead::start(files));
        *self.ahead.borrow_mut() = ahead;
    }

    /// Reads a page; `None` if it is not there, or not what it should be.
    pub fn read(&self, page: Wanted) -> Option<Stored> {
        let reading = Reading {
            path: self.path(page.root, page.hash),
            hash: page.hash,
            states: page.snapshot.is_some(),
        };
        let begun = self
            .ahead
            .borrow()
            .as_ref()
            .and_then(|it| it.take(page.hash));
        let file = match begun.unwrap_or_else(|| reading.run()) {
            Ok(file) => file,
            Err(error) => {
                self.refused(&reading.path, &error);
                return None;
            }
        };
        let stored = file.and_then(|file| Ok((page.stored(&file)?, file.file.len() as u64)));
        match stored {
            Ok((stored, bytes)) => {
                folder::touch(&reading.path);
                self.tally.read.fetch_add(1, Relaxed);
                self.tally.read_bytes.fetch_add(bytes, Relaxed);
                Some(stored)
            }
            Err(reject) => {
                self.reject(&reading.path, reject);
                None
            }
        }
    }

    /// The system's own reasons; a file that is not there is none.
    fn refused(&self, path: &Path, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::warn!(path = %path.display(), %error, "a page could not be read");
            self.tally.io.fetch_add(1, Relaxed);
        }
    }

    fn reject(&self, path: &Path, reject: Reject) {
        tracing::warn!(path = %path.display(), reason = %reject, "a page on the disk is removed");
        let counter = match reject {
            Reject::Checksum => &self.tally.checksum,
            Reject::Foreign => &self.tally.foreign,
            Reject::Truncated => &self.tally.truncated,
            Reject::Version => &self.tally.version,
        };
        counter.fetch_add(1, Relaxed);
        // Read-only folders keep it; it is refused again.
        let _ = fs::remove_file(path);
    }

    /// Whether pages are written, and whether the queue takes another now.
    pub fn is_writing(&self) -> bool {
        !self.shared.off.load(Relaxed)
    }

    pub fn has_room(&self) -> bool {
        self.shared.queued_bytes.load(Relaxed) < QUEUE_BYTES
    }

    /// Hands a page to the writer.
    pub fn write(&self, root: PageHash, page: Arc<PageImage<Vec<u8>>>) {
        let bytes = page.bytes();
        self.shared.queued.fetch_add(1, Relaxed);
        self.shared.queued_bytes.fetch_add(bytes, Relaxed);
        let owner = Owner {
            key: self.key(root),
            id: self.id.clone(),
        };
        let job = Job::Write(owner, page);
        if self.jobs.send(job).is_err() {
            self.shared.queued.fetch_sub(1, Relaxed);
            self.shared.queued_bytes.fetch_sub(bytes, Relaxed);
        }
    }

    /// Counts a page that went before it could be written.
    pub fn count_lost(&self) {
        self.tally.lost.fetch_add(1, Relaxed);
    }
}

impl Wanted<'_> {
    /// What is in its file.
    fn stored(&self, checked: &Checked) -> Result<Stored, Reject> {
        let page = format::image(&checked.file, checked.end, self.hash)?;
        if page.parent != self.parent || page.tokens != self.tokens {
            return Err(Reject::Foreign);
        }
        let snapshot = match self.snapshot {
            Some(_) if page.states.is_none() => return Err(Reject::Truncated),
            Some(tokens) => page.snapshot(tokens),
            None => Ok(None),
        };
        Ok(Stored {
            content: page.content().map_err(|_| Reject::Foreign)?,
            snapshot: snapshot.map_err(|_| Reject::Foreign)?,
        })
    }
}
