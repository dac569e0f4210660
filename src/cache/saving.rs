//! Pages on their way to lower tiers.

use std::{collections::HashMap, rc::Rc, sync::Arc};

use super::{
    KvCache, KvMode, PageContent, Snapshot,
    disk::ModelDisk,
    image::PageImage,
    page::PAGE_TOKENS,
    pages::{HolderId, PageId, Place},
    ram::Ram,
};
use crate::mlx;

/// Bytes of a page's file before its elements, at most.
const MOST_HEAD: usize = 64 << 10;
/// Bytes of pages that are handed to the disk's writer at once: a request that
/// comes meanwhile waits for them.
const AT_ONCE: u64 = 8 << 20;
const MOST_AT_ONCE: usize = 256;

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
        let kept = self.layers.iter().filter(|layer| layer.bytes() > 0);
        let file = self.plain.page_bytes() as usize + MOST_HEAD;
        mlx::prepare(file, 2 * kept.count());
        self.tiers.disk = Some(Rc::new(disk));
        self
    }

    /// Adds a disk tier that keeps what is plain in memory in `mode`, if the
    /// model can take it.
    pub fn with_disk_in(mut self, mode: KvMode, disk: ModelDisk) -> Self {
        let scheme = self.scheme(mode);
        let scheme = scheme.inspect_err(|refusal| {
            tracing::warn!(model = disk.id(), %refusal, "pages on the disk stay plain");
        });
        match scheme.ok().filter(|_| mode != KvMode::Plain) {
            Some(scheme) => {
                self.tiers.packing = Some(scheme);
                self.with_disk(disk.in_mode(mode))
            }
            None => self.with_disk(disk),
        }
    }

    /// Adds the host's memory: pages that have to go stay there for a while.
    pub fn with_ram(mut self, ram: Ram) -> Self {
        self.tiers.ram = Some(ram);
        self
    }

    /// Hands pages that the disk does not have to its writer, a few at a time.
    pub fn write_behind(&mut self) -> Unsaved {
        let Some(disk) = self.tiers.disk.clone() else {
            return Unsaved::None;
        };
        match (disk.is_writing(), disk.has_room()) {
            (false, _) => Unsaved::None,
            (true, false) => match self.pages.next_unsaved() {
                None => Unsaved::None,
                Some(page) => {
                    self.pages.still_unsaved(page);
                    Unsaved::Later
                }
            },
            (true, true) => self.hand_over(&disk),
        }
    }

    fn hand_over(&mut self, disk: &ModelDisk) -> Unsaved {
        let mut in_tails: HashMap<HolderId, Vec<PageId>> = HashMap::new();
        let (mut count, mut bytes) = (0, 0);
        while count < MOST_AT_ONCE
            && bytes < AT_ONCE
            && let Some(id) = self.pages.next_unsaved()
        {
            count += 1;
            let page = self.pages.get(id);
            let snapshot = page.and_then(|page| page.snapshot.as_ref());
            bytes += self.plain.page_bytes() + snapshot.map_or(0, Snapshot::bytes);
            match page.map(|page| &page.place) {
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
        let snapshot = page.snapshot.as_ref();
        let names = [page.hash, self.pages.hash_after(page.root, page.parent)];
        if !disk.has(page.root, page.hash, snapshot.is_some()) {
            let content = content.clone().with(page.window.as_ref());
            match self.tiers.disk_image(names, page, content) {
                Ok(image) => disk.write(page.root, Arc::new(image)),
                Err(error) => tracing::warn!(%error, "a page could not be read for the disk"),
            }
        }
        self.pages.mark_saved(id);
    }

    /// Removes an evictable page, which lower tiers get before if they lack it.
    pub(super) fn evict(&mut self, id: PageId) {
        if !self.save_before(id)
            && let Some(disk) = &self.tiers.disk
        {
            disk.count_lost();
        }
        self.keep_in_ram(id);
        self.pages.evict(id);
        self.evicted += 1;
    }

    /// Hands a page that is about to lose something to the disk, if the disk
    /// lacks it. `false` when the disk does not take it.
    pub(super) fn save_before(&mut self, id: PageId) -> bool {
        let unsaved = self.pages.get(id).is_some_and(|page| !page.saved);
        let Some(disk) = self.tiers.disk.clone().filter(|_| unsaved) else {
            return true;
        };
        let takes = disk.is_writing() && disk.has_room();
        match self.place_of(id) {
            _ if !takes => {}
            Some(holder) => self.save_from_tail(&disk, holder, &[id]),
            None => self.save(&disk, id),
        }
        takes
    }

    /// Keeps a page that is about to go, or to lose something, in the host's
    /// memory.
    pub(super) fn keep_in_ram(&self, id: PageId) {
        let page = self.pages.get(id).filter(|page| page.is_full());
        let (Some(ram), Some(page)) = (&self.tiers.ram, page) else {
            return;
        };
        let Place::Own(content) = &page.place else {
            return;
        };
        let content = content.clone().with(page.window.as_ref());
        let snapshot = page.snapshot.as_ref();
        let bytes = content.bytes() + snapshot.map_or(0, Snapshot::bytes);
        if ram.holds(page.hash, bytes) {
            return;
        }
        let names = [page.hash, self.pages.hash_after(page.root, page.parent)];
        match PageImage::of(names, &page.tokens, &content, snapshot) {
            Ok(image) => ram.put(image),
            Err(error) => tracing::warn!(%error, "a page could not be kept in the host's memory"),
        }
    }
}
