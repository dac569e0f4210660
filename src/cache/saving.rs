//! Pages on their way to the disk and back.

use std::collections::HashMap;

use super::{
    KvCache, PageContent, PageHash,
    disk::{ModelDisk, image},
    page::PAGE_TOKENS,
    pages::{HolderId, PageId, Place, Walk, WalkEnd},
};

/// Bytes of pages that are handed to the disk's writer at once: a request that
/// comes meanwhile waits for them.
const AT_ONCE: u64 = 8 << 20;

/// What is left to hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsaved {
    /// Nothing.
    None,
    /// More, at once.
    More,
    /// More, when the writer has caught up.
    Later,
}

impl KvCache {
    /// Adds the disk tier: pages of the model are found there and stored there.
    pub fn with_disk(mut self, disk: ModelDisk) -> Self {
        self.disk = Some(disk);
        self
    }

    /// Goes on where memory knows no more of `wanted`, and takes the pages that
    /// the disk has into memory, as far as there is room beside `promised`
    /// bytes. Gives the tokens that come from there.
    pub(super) fn read_on(
        &mut self,
        walk: &mut Walk,
        wanted: &[u32],
        promised: u64,
        page_bytes: u64,
    ) -> usize {
        let Some(disk) = self.disk.take() else {
            return 0;
        };
        let pinned = walk.path.len();
        let room = self.limit.saturating_sub(self.running_bytes() + promised);
        let most = (room / page_bytes) as usize;
        let pages = self.stored_pages(&disk, walk, wanted, most);
        if !pages.is_empty() {
            let pinned_pages = walk.sources();
            pinned_pages.iter().for_each(|page| self.pages.refer(*page));
            let bytes = page_bytes * pages.len() as u64;
            self.make_room(self.limit.saturating_sub(promised + bytes), &[]);
            for (hash, tokens) in pages {
                let parent = walk.path.last().copied();
                let parent_hash = self.pages.hash_after(walk.root, parent);
                let Some(content) = disk.read(walk.root, [hash, parent_hash], tokens) else {
                    break;
                };
                let (content, window) = content.split(self.plain.windows());
                let place = || Place::Own(content);
                let Some(page) = self.pages.insert((walk.root, parent), tokens, place) else {
                    break;
                };
                self.pages.put_window(page, window);
                self.pages.mark_saved(page);
                walk.path.push(page);
            }
            pinned_pages
                .iter()
                .for_each(|page| self.pages.release(*page));
            if walk.path.len() > pinned {
                walk.partial = None;
                walk.end = match walk.tokens() == wanted.len() {
                    true => WalkEnd::Complete,
                    false => WalkEnd::NoPage,
                };
            }
        }
        self.read_windows(&disk, walk);
        self.disk = Some(disk);
        (walk.path.len() - pinned) * PAGE_TOKENS
    }

    /// The full pages of `wanted` after `walk` that the disk has a file of.
    fn stored_pages<'a>(
        &self,
        disk: &ModelDisk,
        walk: &Walk,
        wanted: &'a [u32],
        most: usize,
    ) -> Vec<(PageHash, &'a [u32])> {
        let last = walk.path.last().copied();
        let mut hash = self.pages.hash_after(walk.root, last);
        let rest = wanted.chunks_exact(PAGE_TOKENS).skip(walk.path.len());
        let chain = rest.map(|tokens| {
            hash = hash.child(tokens);
            (hash, tokens)
        });
        chain
            .take(most)
            .take_while(|(hash, _)| disk.contains(walk.root, *hash))
            .collect()
    }

    /// Hands pages that the disk does not have to its writer, a few at a time.
    pub fn write_behind(&mut self) -> Unsaved {
        let Some(disk) = self.disk.take() else {
            return Unsaved::None;
        };
        let left = match (disk.is_writing(), disk.has_room()) {
            (false, _) => Unsaved::None,
            (true, false) => match self.pages.next_unsaved() {
                None => Unsaved::None,
                Some(page) => {
                    self.pages.still_unsaved(page);
                    Unsaved::Later
                }
            },
            (true, true) => self.hand_over(&disk),
        };
        self.disk = Some(disk);
        left
    }

    fn hand_over(&mut self, disk: &ModelDisk) -> Unsaved {
        let most = (AT_ONCE / self.plain.page_bytes()).clamp(1, 256) as usize;
        let mut in_tails: HashMap<HolderId, Vec<PageId>> = HashMap::new();
        let mut count = 0;
        while count < most
            && let Some(id) = self.pages.next_unsaved()
        {
            count += 1;
            match self.pages.get(id).map(|page| &page.place) {
                Some(Place::In(holder)) => in_tails.entry(*holder).or_default().push(id),
                _ => self.save(disk, id),
            }
        }
        for (holder, pages) in in_tails {
            self.save_from_tail(disk, holder, &pages);
        }
        if count == 0 {
            Unsaved::None
        } else {
            Unsaved::More
        }
    }

    fn save_from_tail(&mut self, disk: &ModelDisk, holder: HolderId, pages: &[PageId]) {
        let starts = pages.iter().map(|page| self.pages.start_of(*page));
        let ranges: Vec<_> = starts.map(|start| start..start + PAGE_TOKENS).collect();
        let Some(cut) = self.tail_mut(holder).map(|tail| tail.cut(&ranges, false)) else {
            return;
        };
        match cut {
            Ok(contents) => {
                for (id, content) in pages.iter().zip(contents) {
                    self.send(disk, *id, &content);
                }
            }
            Err(error) => tracing::warn!(%error, "pages could not be copied for the disk"),
        }
    }

    /// Saves a page with a content of its own.
    fn save(&mut self, disk: &ModelDisk, id: PageId) {
        if let Some(Place::Own(content)) = self.pages.get(id).map(|page| &page.place) {
            let content = content.clone();
            self.send(disk, id, &content);
        }
    }

    fn send(&mut self, disk: &ModelDisk, id: PageId, content: &PageContent) {
        let Some(page) = self.pages.get(id) else {
            return;
        };
        let parent = self.pages.hash_after(page.root, page.parent);
        if !disk.contains(page.root, page.hash) {
            let content = content.clone().with(page.window.as_ref());
            match image(page.hash, parent, &page.tokens, &content) {
                Ok(image) => disk.write(page.root, image),
                Err(error) => tracing::warn!(%error, "a page could not be read for the disk"),
            }
        }
        self.pages.mark_saved(id);
    }

    /// Removes an evictable page, which the disk gets before if it lacks it.
    pub(super) fn evict(&mut self, id: PageId) {
        if !self.save_before(id)
            && let Some(disk) = &self.disk
        {
            disk.count_lost();
        }
        self.pages.evict(id);
        self.evicted += 1;
    }

    /// Hands a page that is about to lose something to the disk, if the disk
    /// lacks it. `false` when the disk does not take it.
    pub(super) fn save_before(&mut self, id: PageId) -> bool {
        let unsaved = self.pages.get(id).is_some_and(|page| !page.saved);
        let Some(disk) = self.disk.take_if(|_| unsaved) else {
            return true;
        };
        let takes = disk.is_writing() && disk.has_room();
        match self.place_of(id) {
            _ if !takes => {}
            Some(holder) => self.save_from_tail(&disk, holder, &[id]),
            None => self.save(&disk, id),
        }
        self.disk = Some(disk);
        takes
    }
}
