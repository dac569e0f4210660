//! The tree of sealed pages: found by hash chain, shared by reference count,
//! evicted leaves first and least recently used.
//!
//! A page stands for up to [`PAGE_TOKENS`] tokens after those of its parents.
//! Its keys and values lie in buffers of its own, or still in the tail of the
//! sequence that computed them. Not responsible for tails, limits or disks.
//!
//! Invariants: only full pages have children; a page whose content is its own,
//! that nobody refers to and that has no children is evictable, and no other;
//! siblings differ.

mod walk;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::{
    content::{PageContent, Snapshot},
    page::{PAGE_TOKENS, PageHash},
};

pub use walk::{Walk, WalkEnd};

/// Names a page for as long as it is kept; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageId(u64);

/// Names the tail of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HolderId(pub u64);

/// Where the keys and values of a page are.
#[derive(Debug)]
pub enum Place {
    Own(PageContent),
    In(HolderId),
}

#[derive(Debug)]
pub struct Page {
    pub hash: PageHash,
    /// What the hashes of its tree build on.
    pub root: PageHash,
    pub parent: Option<PageId>,
    pub tokens: Vec<u32>,
    pub place: Place,
    /// What windows hold of it, once their tail has given it up.
    pub window: Option<PageContent>,
    /// Running sequences that begin with it.
    pub references: usize,
    /// Whether the disk has it, or is to get it.
    pub saved: bool,
    /// Of recurrent layers, at its end.
    pub snapshot: Option<Snapshot>,
    children: Vec<PageId>,
    used: u64,
    bytes: u64,
}

impl Page {
    pub fn is_full(&self) -> bool {
        self.tokens.len() == PAGE_TOKENS
    }

    pub fn has_children(&self) -> bool {
        !self.children.is_empty()
    }

    pub fn is_in(&self, holder: HolderId) -> bool {
        matches!(self.place, Place::In(place) if place == holder)
    }

    fn is_evictable(&self) -> bool {
        self.references == 0 && self.children.is_empty() && matches!(self.place, Place::Own(_))
    }
}

/// Hashes of evicted pages that are remembered, to tell why a walk ends.
const REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
pub struct PageStore {
    pages: HashMap<PageId, Page>,
    by_hash: HashMap<PageHash, PageId>,
    /// First pages, by their root: one tree for each way in which keys and
    /// values are kept, and for each salt.
    first: HashMap<PageHash, Vec<PageId>>,
    evictable: BTreeSet<(u64, PageId)>,
    /// Those with something of windows, which may go at any time.
    windows: BTreeSet<(u64, PageId)>,
    clock: u64,
    last_id: u64,
    /// Of contents of their own, snapshots and what windows hold.
    bytes: u64,
    owned: usize,
    /// Full pages that the disk does not have, oldest first; some are gone.
    unsaved: VecDeque<PageId>,
    evicted: VecDeque<PageHash>,
    evicted_set: HashSet<PageHash>,
}

impl PageStore {
    /// Bytes and number of the pages with contents of their own.
    pub fn owned(&self) -> (u64, usize) {
        (self.bytes, self.owned)
    }

    pub fn get(&self, id: PageId) -> Option<&Page> {
        self.pages.get(&id)
    }

    pub fn contains(&self, id: PageId) -> bool {
        self.pages.contains_key(&id)
    }

    /// A moment later than all before.
    pub fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// The hash that pages after `parent` build on, `root` if there is none.
    pub fn hash_after(&self, root: PageHash, parent: Option<PageId>) -> PageHash {
        let page = parent.and_then(|parent| self.pages.get(&parent));
        page.map_or(root, |page| page.hash)
    }

    fn children(&self, root: PageHash, parent: Option<PageId>) -> &[PageId] {
        match parent {
            None => self.first.get(&root).map_or(&[], Vec::as_slice),
            Some(parent) => self.pages.get(&parent).map_or(&[], |page| &page.children),
        }
    }

    /// The page of `tokens` after `parent`: the one there is, or a new one at
    /// `place`. `None` for less than a page that a sibling begins with.
    /// Beginnings of the new page that nobody refers to are removed.
    pub fn insert(
        &mut self,
        (root, parent): (PageHash, Option<PageId>),
        tokens: &[u32],
        place: impl FnOnce() -> Place,
    ) -> Option<PageId> {
        let hash = self.hash_after(root, parent).child(tokens);
        if let Some(id) = self.by_hash.get(&hash) {
            return Some(*id);
        }
        let siblings = self.children(root, parent);
        if siblings
            .iter()
            .any(|id| self.pages[id].tokens.starts_with(tokens))
        {
            return None;
        }
        let covered = siblings.iter().copied().filter(|id| {
            let page = &self.pages[id];
            page.references == 0 && tokens.starts_with(&page.tokens)
        });
        let covered: Vec<PageId> = covered.collect();
        self.last_id += 1;
        let id = PageId(self.last_id);
        let page = Page {
            hash,
            root,
            parent,
            tokens: tokens.to_vec(),
            place: Place::In(HolderId(0)),
            window: None,
            references: 0,
            saved: tokens.len() < PAGE_TOKENS,
            snapshot: None,
            children: Vec::new(),
            used: self.tick(),
            bytes: 0,
        };
        self.pages.insert(id, page);
        self.by_hash.insert(hash, id);
        self.adopt(root, parent, id);
        self.put(id, place());
        self.unsaved.push_back(id);
        self.forget_eviction(&hash);
        for id in covered {
            self.remove(id);
        }
        Some(id)
    }

    fn adopt(&mut self, root: PageHash, parent: Option<PageId>, id: PageId) {
        match parent {
            None => self.first.entry(root).or_default().push(id),
            Some(parent) => self.change(parent, |page| page.children.push(id)),
        }
    }

    /// Moves the content of a page.
    pub fn put(&mut self, id: PageId, place: Place) {
        let bytes = match &place {
            Place::Own(content) => content.bytes(),
            Place::In(_) => 0,
        };
        let Some(page) = self.pages.get(&id) else {
            return;
        };
        self.owned -= usize::from(matches!(page.place, Place::Own(_)));
        self.owned += usize::from(matches!(place, Place::Own(_)));
        self.bytes = self.bytes - page.bytes + bytes;
        self.change(id, |page| {
            page.place = place;
            page.bytes = bytes;
        });
    }

    /// Keeps, or gives up, what windows hold of a page.
    pub fn put_window(&mut self, id: PageId, window: Option<PageContent>) {
        let bytes = |window: &Option<PageContent>| window.as_ref().map_or(0, PageContent::bytes);
        let Some(page) = self.pages.get(&id) else {
            return;
        };
        self.bytes = self.bytes - bytes(&page.window) + bytes(&window);
        self.change(id, |page| page.window = window);
    }

    pub fn refer(&mut self, id: PageId) {
        self.change(id, |page| page.references += 1);
    }

    pub fn release(&mut self, id: PageId) {
        self.change(id, |page| {
            page.references = page.references.saturating_sub(1);
        });
    }

    /// Keeps what recurrent layers carry on at the end of a full page. What
    /// the disk has of it lacks that.
    pub fn keep_snapshot(&mut self, id: PageId, snapshot: Snapshot) {
        let Some(page) = self.pages.get_mut(&id) else {
            return;
        };
        if page.snapshot.is_none() {
            self.bytes += snapshot.bytes();
            page.snapshot = Some(snapshot);
            if std::mem::take(&mut page.saved) {
                self.unsaved.push_back(id);
            }
        }
    }

    /// Gives up the snapshot of a page that running sequences begin with, if
    /// there is any.
    pub fn forget_snapshot(&mut self) -> bool {
        let pages = self.pages.values_mut();
        let mut pages = pages.filter(|page| page.references > 0);
        let snapshot = pages.find_map(|page| page.snapshot.take());
        self.bytes -= snapshot.as_ref().map_or(0, Snapshot::bytes);
        snapshot.is_some()
    }

    pub fn mark_saved(&mut self, id: PageId) {
        self.change(id, |page| page.saved = true);
    }

    /// Tokens before a page.
    pub fn start_of(&self, id: PageId) -> usize {
        let mut depth = 0;
        let mut page = self.pages.get(&id);
        while let Some(parent) = page.and_then(|page| page.parent) {
            depth += 1;
            page = self.pages.get(&parent);
        }
        depth * PAGE_TOKENS
    }

    /// Changes a page and keeps the order of eviction true.
    fn change(&mut self, id: PageId, change: impl FnOnce(&mut Page)) {
        let Some(page) = self.pages.get_mut(&id) else {
            return;
        };
        self.evictable.remove(&(page.used, id));
        self.windows.remove(&(page.used, id));
        change(page);
        if page.is_evictable() {
            self.evictable.insert((page.used, id));
        }
        if page.window.is_some() {
            self.windows.insert((page.used, id));
        }
    }

    /// Removes a page and everything after it.
    pub fn remove(&mut self, id: PageId) {
        let Some(page) = self.pages.get(&id) else {
            return;
        };
        let root = page.root;
        match page.parent {
            None => {
                let first = self.first.entry(root).or_default();
                first.retain(|child| *child != id);
                if first.is_empty() {
                    self.first.remove(&root);
                }
            }
            Some(parent) => {
                self.change(parent, |page| page.children.retain(|child| *child != id));
            }
        }
        let mut doomed = vec![id];
        while let Some(id) = doomed.pop() {
            if let Some(page) = self.pages.remove(&id) {
                self.evictable.remove(&(page.used, id));
                self.windows.remove(&(page.used, id));
                self.by_hash.remove(&page.hash);
                self.owned -= usize::from(matches!(page.place, Place::Own(_)));
                let snapshot = page.snapshot.as_ref().map_or(0, Snapshot::bytes);
                let window = page.window.as_ref().map_or(0, PageContent::bytes);
                self.bytes -= page.bytes + snapshot + window;
                doomed.extend(page.children);
            }
        }
    }

    /// The page to evict first, and when it was last used.
    pub fn oldest(&self) -> Option<(u64, PageId)> {
        self.evictable.first().copied()
    }

    /// The page whose windows' part to give up first, and when it was last used.
    pub fn oldest_window(&self) -> Option<(u64, PageId)> {
        self.windows.first().copied()
    }

    /// Removes an evictable page and remembers that.
    pub fn evict(&mut self, id: PageId) {
        let Some(page) = self.pages.get(&id) else {
            return;
        };
        let hash = page.hash;
        tracing::debug!(page = %hash, tokens = page.tokens.len(), bytes = page.bytes, "page evicted");
        self.remove(id);
        self.evicted.push_back(hash);
        self.evicted_set.insert(hash);
        if self.evicted.len() > REMEMBERED
            && let Some(oldest) = self.evicted.front().copied()
        {
            self.forget_eviction(&oldest);
        }
    }

    fn forget_eviction(&mut self, hash: &PageHash) {
        if self.evicted_set.remove(hash) {
            self.evicted.retain(|evicted| evicted != hash);
        }
    }

    /// The next full page that the disk does not have.
    pub fn next_unsaved(&mut self) -> Option<PageId> {
        while let Some(id) = self.unsaved.pop_front() {
            if self.pages.get(&id).is_some_and(|page| !page.saved) {
                return Some(id);
            }
        }
        None
    }

    /// Puts back what [`Self::next_unsaved`] gave.
    pub fn still_unsaved(&mut self, id: PageId) {
        self.unsaved.push_front(id);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self {
            last_id: self.last_id,
            clock: self.clock,
            ..Self::default()
        };
    }

    #[cfg(test)]
    pub fn all(&self) -> impl Iterator<Item = (PageId, &Page)> {
        self.pages.iter().map(|(id, page)| (*id, page))
    }

    /// All tokens up to the end of a page.
    #[cfg(test)]
    pub fn tokens_to(&self, id: PageId) -> Vec<u32> {
        let page = &self.pages[&id];
        let mut tokens = page.parent.map_or(Vec::new(), |p| self.tokens_to(p));
        tokens.extend(&page.tokens);
        tokens
    }
}
