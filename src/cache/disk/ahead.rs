//! Files of pages, read and checked by several threads before they are asked
//! for.
//!
//! Invariant: no more than [`WINDOW`] files are read and not taken.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use super::{
    folder,
    format::{self, Reject},
};
use crate::{cache::PageHash, mlx};

/// One thread copies some 8 GB a second from the system's cache of files.
const THREADS: usize = 8;
/// As many as there are buffers that the device can read, less those that it
/// may be reading.
const WINDOW: usize = 10;

/// A file whose checksums are right; its page ends at `end`.
#[derive(Debug)]
pub(super) struct Checked {
    pub file: mlx::HostBytes,
    pub end: usize,
}

/// What became of a file: the system may have refused, or it is not what it
/// should be.
pub(super) type Outcome = io::Result<Result<Checked, Reject>>;

/// A file to read.
#[derive(Debug)]
pub(super) struct Reading {
    pub path: PathBuf,
    pub hash: PageHash,
    /// Whether the states at its end are wanted.
    pub states: bool,
}

impl Reading {
    pub fn run(&self) -> Outcome {
        let file = folder::read(&self.path, self.hash, self.states)?;
        Ok(file.and_then(|file| {
            let end = format::verify(&file)?;
            Ok(Checked { file, end })
        }))
    }
}

/// Files that are being read, in the order in which they will be taken.
#[derive(Debug)]
pub(super) struct Ahead {
    shared: Arc<Shared>,
    places: HashMap<PageHash, usize>,
}

#[derive(Debug)]
struct Shared {
    files: Vec<Reading>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The next file to read, and the next one that nobody has asked for.
    next: usize,
    wanted: usize,
    done: HashMap<usize, Outcome>,
    /// Threads that may still read.
    readers: usize,
    stopped: bool,
}

impl Ahead {
    pub fn start(files: Vec<Reading>) -> Self {
        let places = files.iter().enumerate();
        let places = places.map(|(at, file)| (file.hash, at)).collect();
        let count = THREADS.min(files.len());
        let shared = Arc::new(Shared {
            files,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        for _ in 0..count {
            let reader = Arc::clone(&shared);
            shared.lock().readers += 1;
            let name = thread::Builder::new().name("kv-reader".into());
            if name.spawn(move || reader.read()).is_err() {
                shared.lock().readers -= 1;
            }
        }
        Self { shared, places }
    }

    /// Waits for the file of a page; `None` if nobody reads it.
    pub fn take(&self, hash: PageHash) -> Option<Outcome> {
        let at = *self.places.get(&hash)?;
        let mut state = self.shared.lock();
        state.wanted = state.wanted.max(at + 1);
        self.shared.changed.notify_all();
        loop {
            if let Some(outcome) = state.done.remove(&at) {
                return Some(outcome);
            }
            // Taken already, or left by readers that are gone.
            if state.readers == 0 {
                return None;
            }
            state = self.shared.wait(state);
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// What each thread does.
    fn read(&self) {
        let _leaving = Leaving(self);
        let mut state = self.lock();
        loop {
            if state.stopped || state.next == self.files.len() {
                return;
            }
            if state.next >= state.wanted + WINDOW {
                state = self.wait(state);
                continue;
            }
            let at = state.next;
            state.next += 1;
            drop(state);
            let outcome = self.files[at].run();
            state = self.lock();
            state.done.insert(at, outcome);
            self.changed.notify_all();
        }
    }
}

/// Counts a reader out, even if it panics.
struct Leaving<'a>(&'a Shared);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.lock().readers -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &std::path::Path, count: u8) -> Vec<Reading> {
        let file = |at: u8| Reading {
            path: folder.join(at.to_string()),
            hash: PageHash([at; 16]),
            states: false,
        };
        (0..count).map(file).collect()
    }

    #[test]
    fn files_come_in_any_order_and_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("3"), b"nothing of the kind").unwrap();
        let ahead = Ahead::start(files(folder.path(), 40));
        for at in [0, 7, 3, 39, 1] {
            let outcome = ahead.take(PageHash([at; 16])).unwrap();
            match at {
                3 => assert!(matches!(outcome, Ok(Err(_)))),
                _ => assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::NotFound),
            }
        }
        // Once all are read nobody waits for what was taken.
        assert!(ahead.take(PageHash([7; 16])).is_none());
        assert!(ahead.take(PageHash([99; 16])).is_none());
    }

    #[test]
    fn no_more_is_read_than_is_wanted_soon() {
        let folder = tempfile::tempdir().unwrap();
        let ahead = Ahead::start(files(folder.path(), 60));
        assert!(ahead.take(PageHash([4; 16])).is_some());
        thread::sleep(std::time::Duration::from_millis(50));
        assert!(ahead.shared.lock().next <= 5 + WINDOW);
    }
}
