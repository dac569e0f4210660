//! The tier between a device's memory and the disk: pages as bytes in the
//! memory of the host, where that is another one.
//!
//! One store serves the caches of all models of a thread: hashes cover the
//! model. Invariant: what it holds is within its limit; what was used longest
//! ago goes first.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use serde::Serialize;

use super::{PageHash, image::PageImage};

/// What a page takes besides its bytes and tokens.
const OVERHEAD: u64 = 512;

/// What the tier has done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RamCounters {
    /// Whether there is one.
    pub on: bool,
    pub limit: u64,
    /// What it holds now.
    pub pages: u64,
    pub bytes: u64,
    /// Pages that came from the device's memory, and that went back there.
    pub stored_pages: u64,
    pub read_pages: u64,
    pub read_bytes: u64,
    pub evicted_pages: u64,
}

/// A handle to the store.
#[derive(Debug, Clone)]
pub struct Ram(Rc<RefCell<Store>>);

#[derive(Debug)]
struct Entry {
    image: Rc<PageImage<Vec<u8>>>,
    bytes: u64,
    used: u64,
}

#[derive(Debug, Default)]
struct Store {
    entries: HashMap<PageHash, Entry>,
    by_use: BTreeMap<u64, PageHash>,
    clock: u64,
    counters: RamCounters,
}

impl Ram {
    /// A store of at most `limit` bytes; `None` for 0.
    pub fn new(limit: u64) -> Option<Self> {
        let counters = RamCounters {
            on: true,
            limit,
            ..RamCounters::default()
        };
        let store = Store {
            counters,
            ..Store::default()
        };
        (limit > 0).then(|| Self(Rc::new(RefCell::new(store))))
    }

    pub fn counters(&self) -> RamCounters {
        self.0.borrow().counters
    }

    /// Bytes of a page's states, if it is there: 0 without a snapshot.
    pub(super) fn look(&self, hash: PageHash) -> Option<u64> {
        let store = self.0.borrow();
        store.entries.get(&hash).map(|it| it.image.state_bytes())
    }

    /// Whether a page is there with at least `bytes` bytes; it is used then.
    pub(super) fn holds(&self, hash: PageHash, bytes: u64) -> bool {
        let mut store = self.0.borrow_mut();
        let entry = store.entries.get(&hash);
        let holds = entry.is_some_and(|entry| entry.image.bytes() >= bytes);
        if holds {
            store.touch(hash);
        }
        holds
    }

    pub(super) fn get(&self, hash: PageHash) -> Option<Rc<PageImage<Vec<u8>>>> {
        let mut store = self.0.borrow_mut();
        let image = Rc::clone(&store.entries.get(&hash)?.image);
        store.counters.read_pages += 1;
        store.counters.read_bytes += image.bytes();
        Some(image)
    }

    /// Keeps a page in place of what there is of it.
    pub(super) fn put(&self, image: PageImage<Vec<u8>>) {
        let mut store = self.0.borrow_mut();
        let bytes = image.bytes() + 4 * image.tokens.len() as u64 + OVERHEAD;
        store.remove(image.hash);
        if bytes > store.counters.limit {
            return;
        }
        while store.counters.bytes + bytes > store.counters.limit {
            let oldest = store.by_use.first_key_value();
            let Some(oldest) = oldest.map(|(_, hash)| *hash) else {
                break;
            };
            tracing::debug!(page = %oldest, "page evicted from the host's memory");
            store.remove(oldest);
            store.counters.evicted_pages += 1;
        }
        let hash = image.hash;
        let entry = Entry {
            image: Rc::new(image),
            bytes,
            used: 0,
        };
        store.entries.insert(hash, entry);
        store.counters.bytes += bytes;
        store.counters.pages += 1;
        store.counters.stored_pages += 1;
        store.touch(hash);
    }

    /// Gives up a page.
    pub(super) fn remove(&self, hash: PageHash) {
        self.0.borrow_mut().remove(hash);
    }

    /// Marks a chain of pages as used: the deepest goes before those that it
    /// builds on.
    pub(super) fn touch(&self, chain: impl DoubleEndedIterator<Item = PageHash>) {
        let mut store = self.0.borrow_mut();
        chain.rev().for_each(|hash| store.touch(hash));
    }
}

impl Store {
    fn touch(&mut self, hash: PageHash) {
        let Some(entry) = self.entries.get_mut(&hash) else {
            return;
        };
        self.clock += 1;
        self.by_use.remove(&entry.used);
        entry.used = self.clock;
        self.by_use.insert(self.clock, hash);
    }

    fn remove(&mut self, hash: PageHash) {
        if let Some(entry) = self.entries.remove(&hash) {
            self.by_use.remove(&entry.used);
            self.counters.bytes -= entry.bytes;
            self.counters.pages -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use mlx_rs::Dtype;

    use super::*;
    use crate::cache::image::Tensor;

    fn page(name: u8, bytes: usize) -> PageImage<Vec<u8>> {
        let tensor = || Tensor {
            dtype: Dtype::Float32,
            shape: vec![bytes as i32 / 4],
            bytes: vec![name; bytes],
        };
        PageImage {
            hash: PageHash([name; 16]),
            parent: PageHash::default(),
            tokens: vec![1; 64],
            layers: vec![None],
            states: Some(vec![Some(vec![tensor()])]),
        }
    }

    #[test]
    fn the_oldest_go_first_and_bytes_are_counted() {
        let each = 1000 + 256 + OVERHEAD;
        let ram = Ram::new(3 * each).unwrap();
        let hash = |name: u8| PageHash([name; 16]);
        for name in 0..3 {
            ram.put(page(name, 1000));
        }
        // A chain: its end is the oldest of it.
        ram.touch([hash(0), hash(1)].into_iter());
        ram.put(page(3, 1000));
        ram.put(page(4, 1000));
        let there: Vec<u8> = (0..5).filter(|n| ram.look(hash(*n)).is_some()).collect();
        assert_eq!(there, [0, 3, 4]);
        assert_eq!(ram.look(hash(0)), Some(1000));
        assert!(ram.holds(hash(0), 1000) && !ram.holds(hash(0), 1001));
        assert_eq!(ram.get(hash(3)).map(|image| image.tokens.len()), Some(64));
        assert!(ram.get(hash(1)).is_none());
        // A larger one takes the place of two, and nothing that of one too large.
        ram.put(page(3, 1800));
        assert_eq!((ram.counters().pages, ram.look(hash(0))), (2, Some(1000)));
        ram.put(page(5, 9000));
        let counters = ram.counters();
        let bytes = 2 * each + 800;
        assert_eq!((counters.pages, counters.bytes), (2, bytes));
        assert_eq!((counters.stored_pages, counters.evicted_pages), (6, 3));
        assert_eq!((counters.read_pages, counters.read_bytes), (1, 1000));
        ram.remove(hash(3));
        assert_eq!(ram.counters().bytes, each);
        assert!(Ram::new(0).is_none());
    }
}
