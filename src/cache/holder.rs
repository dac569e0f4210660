//! Tails and the pages whose content lies in them: becoming pages, moving on,
//! making room.
//!
//! Invariants: a page that lies in a tail is in that holder's path, at the
//! place of its tokens; every page of a running holder's path has a reference
//! of it.

use super::{
    KvCache, Snapshot,
    page::{PAGE_TOKENS, PageHash},
    pages::{HolderId, PageId, Place},
    tail::Tail,
};

/// What becomes of pages that only a tail holds which they leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// They are removed, but for those that others build on.
    Removed,
    /// They get buffers of their own.
    Copied,
    /// So do they, and the tail is given up for it.
    CutUp,
}

/// A tail and the pages that its tokens are.
#[derive(Debug)]
pub(super) struct Holder {
    pub id: HolderId,
    /// What the hashes of its pages build on.
    pub root: PageHash,
    pub tail: Tail,
    /// Of recurrent layers, at ends of pages that are not made yet.
    pub snapshots: Vec<Snapshot>,
    /// Pages of its beginning, in order; all but the last are full. Some may
    /// have been removed since.
    pub path: Vec<PageId>,
    /// Once it has ended: what it stands for, and when it ended.
    pub tokens: Vec<u32>,
    pub used: u64,
}

impl Default for Holder {
    fn default() -> Self {
        Self::new(HolderId(0), PageHash::default(), Tail::default())
    }
}

impl Holder {
    pub fn new(id: HolderId, root: PageHash, tail: Tail) -> Self {
        Self {
            id,
            root,
            tail,
            snapshots: Vec::new(),
            path: Vec::new(),
            tokens: Vec::new(),
            used: 0,
        }
    }
}

/// A running sequence and the bytes promised to it, allocated or not.
#[derive(Debug)]
pub(super) struct Running {
    pub holder: Holder,
    pub promised: u64,
    /// Of what it was admitted with: all but the last token, where windows give
    /// up tokens before they are pages.
    pub prompt: Vec<u32>,
}

impl Running {
    pub fn bytes(&self) -> u64 {
        let snapshots: u64 = self.holder.snapshots.iter().map(Snapshot::bytes).sum();
        self.holder.tail.bytes().max(self.promised) + snapshots
    }
}

impl KvCache {
    pub(super) fn running_bytes(&self) -> u64 {
        self.running.values().map(Running::bytes).sum()
    }

    pub(super) fn kept_bytes(&self) -> u64 {
        let hot: u64 = self.hot.iter().map(|hot| hot.tail.bytes()).sum();
        hot + self.pages.owned().0
    }

    fn holders(&self) -> impl Iterator<Item = &Holder> {
        let running = self.running.values().map(|running| &running.holder);
        running.chain(&self.hot)
    }

    pub(super) fn tail(&self, id: HolderId) -> Option<&Tail> {
        let mut holders = self.holders();
        holders
            .find(|holder| holder.id == id)
            .map(|holder| &holder.tail)
    }

    pub(super) fn tail_mut(&mut self, id: HolderId) -> Option<&mut Tail> {
        let running = self.running.values_mut().map(|running| &mut running.holder);
        let mut holders = running.chain(&mut self.hot);
        let holder = holders.find(|holder| holder.id == id);
        holder.map(|holder| &mut holder.tail)
    }

    /// A holder whose tokens the page is part of, in its place `depth`.
    fn shared_with(&self, depth: usize, page: PageId) -> Option<HolderId> {
        let mut holders = self.holders();
        let holder = holders.find(|holder| holder.path.get(depth) == Some(&page));
        holder.map(|holder| holder.id)
    }

    /// The holder that a page lies in.
    pub(super) fn place_of(&self, page: PageId) -> Option<HolderId> {
        match self.pages.get(page)?.place {
            Place::In(holder) => Some(holder),
            Place::Own(_) => None,
        }
    }

    /// Makes pages of `tokens`, which a running holder's tail begins with, as
    /// far as there are none yet.
    pub(super) fn register(&mut self, holder: &mut Holder, tokens: &[u32]) {
        let still = |page: &&PageId| {
            let full = self.pages.get(**page).map(|page| page.is_full());
            full == Some(true)
        };
        let valid = holder.path.iter().take_while(still).count();
        let valid = valid.min(tokens.len() / PAGE_TOKENS);
        for page in &holder.path[valid..] {
            self.pages.release(*page);
        }
        self.vacate(holder, valid, Rest::Removed);
        for part in tokens.chunks(PAGE_TOKENS).skip(valid) {
            let parent = holder.path.last().copied();
            let place = || Place::In(holder.id);
            let after = (holder.root, parent);
            let Some(page) = self.pages.insert(after, part, place) else {
                return;
            };
            self.pages.refer(page);
            let start = holder.path.len() * PAGE_TOKENS;
            if start >= holder.tail.window_start() && !self.has_window(page, start) {
                // Whoever has it lacks a part that this one has.
                self.pages.put(page, Place::In(holder.id));
            }
            holder.path.push(page);
            if self.snapshots_only {
                self.keep_snapshot(holder, page);
            }
        }
    }

    /// Sees to it that no page from the place `from` of its path on lies in
    /// this holder, which is not among the others any more. Pages that another
    /// holder has too move there; `rest` says what becomes of the others.
    pub(super) fn vacate(&mut self, holder: &mut Holder, from: usize, rest: Rest) {
        let leaving = holder.path.split_off(from.min(holder.path.len()));
        let (mut copied, mut ranges) = (Vec::new(), Vec::new());
        let mut left = Vec::new();
        // Deepest first: parents of what is removed may go too.
        for (at, id) in leaving.into_iter().enumerate().rev() {
            let depth = from + at;
            let Some(page) = self.pages.get(id).filter(|page| page.is_in(holder.id)) else {
                continue;
            };
            let start = depth * PAGE_TOKENS;
            let range = start..start + page.tokens.len();
            let keep = rest != Rest::Removed || page.has_children();
            match self.shared_with(depth, id) {
                Some(other) => {
                    let had = start >= holder.tail.window_start();
                    self.pages.put(id, Place::In(other));
                    if had && !self.has_window(id, start) {
                        left.push((id, range));
                    }
                }
                None if keep => {
                    copied.push(id);
                    ranges.push(range);
                }
                None => self.pages.remove(id),
            }
        }
        if let Err(error) = self.keep_windows(&holder.tail, &left) {
            tracing::warn!(%error, "what windows hold could not be copied and is given up");
        }
        if copied.is_empty() {
            return;
        }
        match holder.tail.cut(&ranges, rest == Rest::CutUp) {
            Ok(contents) => {
                for (id, content) in copied.into_iter().zip(contents) {
                    self.put_content(id, content);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "pages could not be copied and are given up");
                copied.into_iter().for_each(|id| self.pages.remove(id));
            }
        }
    }

    /// Cuts an ended sequence up into pages.
    pub(super) fn cool(&mut self, at: usize) {
        if let Some(mut holder) = self.hot.remove(at) {
            self.vacate(&mut holder, 0, Rest::CutUp);
        }
    }

    /// Gives up what is kept until all of it is within the limits; snapshots of
    /// pages in use if nothing else is left.
    pub(super) fn keep_within_limit(&mut self) {
        self.make_room(self.limit, &[]);
        while self.running_bytes() + self.kept_bytes() > self.limit {
            if !self.pages.forget_snapshot() {
                return;
            }
        }
    }

    /// Gives up what was used longest ago until at most `bytes` are in use and
    /// what is kept is within its limit. The holders in `needed` stay.
    pub(super) fn make_room(&mut self, bytes: u64, needed: &[HolderId]) {
        loop {
            let kept = self.kept_bytes();
            let short = self.running_bytes() + kept > bytes;
            if !short && kept <= self.kept_limit {
                return;
            }
            if !self.drop_copies() && !self.give_up_one(short, needed) {
                return;
            }
        }
    }

    /// Gives up the buffers of pages that running sequences hold as well.
    fn drop_copies(&mut self) -> bool {
        let mut any = false;
        for running in self.running.values() {
            for page in &running.holder.path {
                if matches!(self.pages.get(*page).map(|p| &p.place), Some(Place::Own(_))) {
                    self.pages.put(*page, Place::In(running.holder.id));
                    any = true;
                }
            }
        }
        any
    }

    /// Evicts the page or cuts up the sequence that was used longest ago. The
    /// latest sequence stays whole unless memory is `short`.
    fn give_up_one(&mut self, short: bool, needed: &[HolderId]) -> bool {
        let spared = usize::from(!short);
        let mut hot = self.hot.iter().take(self.hot.len().saturating_sub(spared));
        let hot = hot.position(|holder| !needed.contains(&holder.id));
        if self.give_up_window(hot.map(|at| self.hot[at].used)) {
            return true;
        }
        match (self.pages.oldest(), hot) {
            (Some((used, page)), hot) if hot.is_none_or(|at| used <= self.hot[at].used) => {
                let depth = self.pages.start_of(page) / PAGE_TOKENS;
                match self.shared_with(depth, page) {
                    Some(holder) => self.pages.put(page, Place::In(holder)),
                    None => self.evict(page),
                }
            }
            (_, Some(at)) => self.cool(at),
            _ => return false,
        }
        true
    }
}
