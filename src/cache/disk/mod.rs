//! The disk tier: full pages survive the program.
//!
//! Written behind by a thread that gets bytes, never arrays; read by the
//! engine when a prompt begins like pages that memory does not hold. A file
//! that is not what it should be is removed and counts as not found.

mod folder;
mod format;
#[cfg(test)]
mod tests;
mod writer;

use std::{
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

pub use folder::{Folder, ModelUsage, Swept};
pub use format::{PageImage, Reject, Tensor};
use writer::{Job, Owner, Shared};

use super::{PageContent, PageHash};
use crate::mlx;

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

/// The pages of one model on the disk.
#[derive(Debug)]
pub struct ModelDisk {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
    tally: Arc<Tally>,
    id: String,
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
    /// Whether there is a file for the page, whose hash builds on `root`.
    pub fn contains(&self, root: PageHash, hash: PageHash) -> bool {
        self.path(root, hash).is_file()
    }

    fn path(&self, root: PageHash, hash: PageHash) -> PathBuf {
        self.shared.folder.path(&root.to_string(), hash)
    }

    /// Reads the page of `tokens` after its parent; `None` if it is not there,
    /// or not what it should be.
    pub fn read(
        &self,
        root: PageHash,
        [hash, parent]: [PageHash; 2],
        tokens: &[u32],
    ) -> Option<PageContent> {
        let path = self.path(root, hash);
        let file = match fs::read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a page could not be read");
                self.tally.io.fetch_add(1, Relaxed);
                return None;
            }
        };
        let page = format::decode(&file, hash).and_then(|page| {
            let same = page.parent == parent && page.tokens == tokens;
            same.then_some(page).ok_or(Reject::Foreign)
        });
        match page.and_then(|page| content(&page)) {
            Ok(content) => {
                folder::touch(&path);
                self.tally.read.fetch_add(1, Relaxed);
                self.tally.read_bytes.fetch_add(file.len() as u64, Relaxed);
                Some(content)
            }
            Err(reject) => {
                self.reject(&path, reject);
                None
            }
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
    pub fn write(&self, root: PageHash, page: PageImage<Vec<u8>>) {
        let bytes = page.bytes();
        self.shared.queued.fetch_add(1, Relaxed);
        self.shared.queued_bytes.fetch_add(bytes, Relaxed);
        let owner = Owner {
            key: root.to_string(),
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

/// The arrays of a page, each `[1, heads, tokens, width]`.
fn content(page: &PageImage<&[u8]>) -> Result<PageContent, Reject> {
    let tensor = |tensor: &Tensor<&[u8]>| {
        if tensor.shape[0] != 1 || tensor.shape[2] as usize != page.tokens.len() {
            return Err(Reject::Foreign);
        }
        mlx::from_bytes(tensor.bytes, &tensor.shape, tensor.dtype).map_err(|_| Reject::Foreign)
    };
    let layer = |layer: &Option<[Tensor<&[u8]>; 2]>| match layer {
        None => Ok(None),
        Some([keys, values]) => Ok(Some([tensor(keys)?, tensor(values)?])),
    };
    Ok(PageContent {
        layers: page.layers.iter().map(layer).collect::<Result<_, _>>()?,
    })
}

/// A page as bytes. Waits for its arrays.
///
/// # Errors
/// When they cannot be computed.
pub fn image(
    hash: PageHash,
    parent: PageHash,
    tokens: &[u32],
    content: &PageContent,
) -> Result<PageImage<Vec<u8>>, mlx::Exception> {
    let tensor = |array: &mlx::Array| -> Result<_, mlx::Exception> {
        let shape = <[i32; 4]>::try_from(array.shape());
        Ok(Tensor {
            dtype: array.dtype(),
            shape: shape.map_err(|_| mlx::Exception::custom("pages have four dimensions"))?,
            bytes: mlx::bytes(array)?,
        })
    };
    let layer = |layer: &Option<[mlx::Array; 2]>| match layer {
        None => Ok(None),
        Some([keys, values]) => Ok(Some([tensor(keys)?, tensor(values)?])),
    };
    let layers: Result<_, mlx::Exception> = content.layers.iter().map(layer).collect();
    Ok(PageImage {
        hash,
        parent,
        tokens: tokens.to_vec(),
        layers: layers?,
    })
}
