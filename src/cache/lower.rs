//! Where memory knows no more of a prompt: the tiers below it.
//!
//! Models with recurrent layers begin at a snapshot: of their pages those up to
//! the deepest one that has a snapshot are read, and no other's snapshot.

use std::rc::Rc;

use super::{
    KvCache, PageHash, Scheme,
    disk::Wanted,
    page::PAGE_TOKENS,
    pages::{HolderId, PageId, Place, Walk, WalkEnd},
    tiers::{Tier, Tiers},
};

/// What lower tiers are asked for.
pub(super) struct Search<'a> {
    pub tiers: Tiers,
    root: PageHash,
    /// The full pages of the prompt: each hash and its tokens.
    chain: Vec<(PageHash, &'a [u32])>,
    /// So many pages are found anyway.
    least: usize,
    /// Bytes that what is read may take.
    room: u64,
    /// How memory keeps it.
    pub scheme: Rc<Scheme>,
    /// The ended sequence that is gone on from if nothing better is found.
    goes_on: Option<HolderId>,
}

/// Tokens that were found in the host's memory, and on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Below {
    pub ram: usize,
    pub disk: usize,
}

impl Below {
    fn add(&mut self, tier: Tier) {
        match tier {
            Tier::Ram => self.ram += PAGE_TOKENS,
            Tier::Disk => self.disk += PAGE_TOKENS,
        }
    }
}

impl Search<'_> {
    /// The page in this place, with the snapshot at its end if it is after so
    /// many tokens.
    pub fn page(&self, at: usize, snapshot: Option<usize>) -> Option<Wanted<'_>> {
        let (hash, tokens) = *self.chain.get(at)?;
        let parent = at.checked_sub(1).and_then(|at| self.chain.get(at));
        Some(Wanted {
            root: self.root,
            hash,
            parent: parent.map_or(self.root, |(hash, _)| *hash),
            tokens,
            snapshot,
        })
    }
}

impl KvCache {
    /// Goes on where memory knows no more of `wanted`, and takes the pages that
    /// lower tiers have into memory, as far as there is room beside `promised`
    /// bytes. Gives the tokens that come from there.
    pub(super) fn walk_on(
        &mut self,
        walk: &mut Walk,
        wanted: &[u32],
        promised: u64,
        scheme: &Rc<Scheme>,
    ) -> Below {
        if !self.tiers.any() {
            return Below::default();
        }
        let mut held = walk.path.clone();
        let mut goes_on = None;
        let in_pages = match self.snapshots_only {
            true => self.with_snapshot(&held) * PAGE_TOKENS,
            false => walk.tokens(),
        };
        let mut least = in_pages / PAGE_TOKENS;
        if let Some((at, common)) = self.continued(walk.root, wanted, in_pages) {
            goes_on = Some(self.hot[at].id);
            least = common / PAGE_TOKENS;
        }
        let search = Search {
            tiers: self.tiers.clone(),
            root: walk.root,
            chain: chain(walk.root, wanted),
            least,
            room: self.limit.saturating_sub(self.running_bytes() + promised),
            scheme: Rc::clone(scheme),
            goes_on,
        };
        let in_memory = held.len();
        let pinned = walk.sources();
        pinned.iter().for_each(|page| self.pages.refer(*page));
        let found = self.search(&search, promised, &mut held);
        for page in pinned.iter().chain(&held[in_memory..]) {
            self.pages.release(*page);
        }
        if let Some((end, _)) = found {
            held.truncate(end);
            walk.path = held;
            walk.partial = None;
            walk.end = match walk.tokens() == wanted.len() {
                true => WalkEnd::Complete,
                false => WalkEnd::NoPage,
            };
            if let Some(ram) = &self.tiers.ram {
                ram.touch(search.chain[..end].iter().map(|(hash, _)| *hash));
            }
        }
        self.read_windows(&search, walk);
        found.map_or_else(Below::default, |(_, below)| below)
    }

    /// How many of these pages there are up to the last one with a snapshot.
    fn with_snapshot(&self, pages: &[PageId]) -> usize {
        let has = |page: &PageId| {
            let page = self.pages.get(*page);
            page.is_some_and(|page| page.snapshot.is_some())
        };
        pages.iter().rposition(has).map_or(0, |last| last + 1)
    }

    /// Reads as many pages as there are. What cannot be read is looked for no
    /// more, and maybe less of it is worth something.
    fn search(
        &mut self,
        search: &Search,
        promised: u64,
        held: &mut Vec<PageId>,
    ) -> Option<(usize, Below)> {
        let mut below = Below::default();
        let mut most = search.chain.len();
        loop {
            let (end, bytes) = self.deepest(search, held.len(), most)?;
            self.make_room(
                self.limit.saturating_sub(promised + bytes),
                search.goes_on.as_slice(),
            );
            let loaded = self.load(search, held, end, &mut below);
            search.tiers.read_ahead(search.root, &[], false);
            match loaded {
                Ok(()) => return Some((end, below)),
                Err(bad) => most = bad,
            }
            if !self.snapshots_only && held.len() > search.least {
                return Some((held.len(), below));
            }
        }
    }

    /// How many pages of the first `most` can be had, if that is worth
    /// something, and how many bytes they add to the `held` ones in memory.
    fn deepest(&self, search: &Search, held: usize, most: usize) -> Option<(usize, u64)> {
        let bytes = |end: usize| end.saturating_sub(held) as u64 * search.scheme.page_bytes();
        let look = |at: usize| {
            let hash = search.chain[at].0;
            search.tiers.look(search.root, hash, self.snapshots_only)
        };
        let mut found = Vec::new();
        while held + found.len() < most
            && bytes(held + found.len() + 1) <= search.room
            && let Some(states) = look(held + found.len())
        {
            found.push(states);
        }
        let end = (held + found.len()).min(most);
        if !self.snapshots_only {
            return (end > search.least).then_some((end, bytes(end)));
        }
        let mut ends = (search.least + 1..=end).rev();
        ends.find_map(|end| {
            let known = (end - 1).checked_sub(held).map(|at| found[at]);
            let states = known.or_else(|| look(end - 1))?;
            let all = bytes(end).saturating_add(states);
            (states > 0 && all <= search.room).then_some((end, all))
        })
    }

    /// Reads what memory lacks of the first `end` pages, and the snapshot of
    /// the last if the model begins at one. What is read is pinned and added to
    /// `held`. The error is the place of a page that could not be read.
    fn load(
        &mut self,
        search: &Search,
        held: &mut Vec<PageId>,
        end: usize,
        below: &mut Below,
    ) -> Result<(), usize> {
        let first = held.len().min(end - 1);
        let hashes: Vec<PageHash> = search.chain[first..end].iter().map(|it| it.0).collect();
        let tiers = &search.tiers;
        tiers.read_ahead(search.root, &hashes, self.snapshots_only);
        for at in first..end {
            let tokens = search.chain[at].1;
            let with_snapshot = self.snapshots_only && at + 1 == end;
            let page = search.page(at, with_snapshot.then_some(end * PAGE_TOKENS));
            let stored = page
                .and_then(|page| search.tiers.read(page, &search.scheme))
                .ok_or(at)?;
            let page = match held.get(at) {
                Some(page) => *page,
                None => {
                    let after = (search.root, held.last().copied());
                    let (content, window) = stored.content.split(self.plain.windows());
                    let place = || Place::Own(content);
                    let page = self.pages.insert(after, tokens, place).ok_or(at)?;
                    self.pages.put_window(page, window);
                    self.pages.refer(page);
                    held.push(page);
                    page
                }
            };
            if let Some(snapshot) = stored.snapshot {
                self.pages.keep_snapshot(page, snapshot);
            }
            if stored.tier == Tier::Disk {
                self.pages.mark_saved(page);
            }
            below.add(stored.tier);
        }
        Ok(())
    }
}

/// The full pages of `wanted`: each hash and its tokens.
fn chain(root: PageHash, wanted: &[u32]) -> Vec<(PageHash, &[u32])> {
    let mut hash = root;
    let pages = wanted.chunks_exact(PAGE_TOKENS);
    let pages = pages.map(|tokens| {
        hash = hash.child(tokens);
        (hash, tokens)
    });
    pages.collect()
}
