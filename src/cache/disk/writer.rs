//! The thread that writes pages: bytes come in through a queue, files go out.
//!
//! Invariant: whatever goes wrong with the disk, nobody waits and nothing
//! fails; writing is turned off with one warning.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender},
    },
};

use super::{folder::Folder, format};
use crate::cache::image::PageImage;

/// Files after which others' files are counted too.
const COUNT_AGAIN: u64 = 64;

/// Which model a page belongs to.
#[derive(Debug)]
pub(super) struct Owner {
    /// Its folder.
    pub key: String,
    /// Its name.
    pub id: String,
}

pub(super) enum Job {
    Write(Owner, Arc<PageImage<Vec<u8>>>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// What the thread and the engine both see.
#[derive(Debug)]
pub(super) struct Shared {
    pub folder: Folder,
    pub limit: u64,
    pub off: AtomicBool,
    pub queued: AtomicU64,
    pub queued_bytes: AtomicU64,
    pub written: AtomicU64,
    pub written_bytes: AtomicU64,
    pub evicted: AtomicU64,
    pub evicted_bytes: AtomicU64,
    /// What the folder holds, as far as is known.
    pub stored_bytes: AtomicU64,
}

impl Shared {
    pub fn new(folder: Folder, limit: u64) -> Self {
        Self {
            folder,
            limit,
            off: AtomicBool::new(false),
            queued: AtomicU64::new(0),
            queued_bytes: AtomicU64::new(0),
            written: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            evicted_bytes: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
        }
    }

    fn turn_off(&self, error: &io::Error) {
        if !self.off.swap(true, Relaxed) {
            tracing::warn!(
                folder = %self.folder.root().display(),
                %error,
                "the disk cache cannot be written to: pages are kept in memory only"
            );
        }
    }
}

/// Writes until nobody can send any more.
pub(super) fn run(shared: &Shared, jobs: &Receiver<Job>) {
    let mut named = HashSet::new();
    sweep(shared);
    for job in jobs {
        match job {
            Job::Flush(done) => {
                // Whoever asked may be gone.
                let _ = done.send(());
            }
            Job::Write(owner, page) => {
                let bytes = page.bytes();
                if !shared.off.load(Relaxed) {
                    match write(shared, &owner, &page, &mut named) {
                        Ok(()) => {}
                        Err(error) => shared.turn_off(&error),
                    }
                }
                shared.queued.fetch_sub(1, Relaxed);
                shared.queued_bytes.fetch_sub(bytes, Relaxed);
            }
        }
    }
}

fn write(
    shared: &Shared,
    owner: &Owner,
    page: &PageImage<Vec<u8>>,
    named: &mut HashSet<String>,
) -> io::Result<()> {
    if shared
        .folder
        .has(&owner.key, page.hash, page.states.is_some())
    {
        return Ok(());
    }
    let Some(head) = format::encode(page) else {
        return Ok(());
    };
    if !named.contains(&owner.key) {
        shared.folder.name(&owner.key, &owner.id)?;
        named.insert(owner.key.clone());
    }
    let mut parts = vec![head.as_slice()];
    let tensors = page.contents().chain(page.state_tensors());
    parts.extend(tensors.map(|tensor| tensor.bytes.as_slice()));
    let replaced = shared.folder.write(&owner.key, page.hash, &parts)?;
    let bytes: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let written = shared.written.fetch_add(1, Relaxed) + 1;
    shared.written_bytes.fetch_add(bytes, Relaxed);
    let stored = shared.stored_bytes.load(Relaxed) + bytes;
    let stored = stored.saturating_sub(replaced);
    shared.stored_bytes.store(stored, Relaxed);
    if stored > shared.limit || written.is_multiple_of(COUNT_AGAIN) {
        sweep(shared);
    }
    Ok(())
}

fn sweep(shared: &Shared) {
    match shared.folder.sweep(shared.limit) {
        Ok(Some(swept)) => {
            shared.stored_bytes.store(swept.left, Relaxed);
            shared.evicted.fetch_add(swept.pages, Relaxed);
            shared.evicted_bytes.fetch_add(swept.bytes, Relaxed);
            if swept.pages > 0 {
                tracing::debug!(
                    pages = swept.pages,
                    bytes = swept.bytes,
                    left = swept.left,
                    "pages evicted from the disk"
                );
            }
        }
        // Another program is at it.
        Ok(None) => {}
        Err(error) => shared.turn_off(&error),
    }
}
