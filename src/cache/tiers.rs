//! The tiers below a device's memory, asked in their order: the host's memory,
//! then the disk.

use std::rc::Rc;

use super::{
    PageContent, PageHash, Snapshot,
    disk::{ModelDisk, Wanted},
    ram::Ram,
};

#[derive(Debug, Clone, Default)]
pub(super) struct Tiers {
    pub ram: Option<Ram>,
    pub disk: Option<Rc<ModelDisk>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    Ram,
    Disk,
}

/// A page that was found, with its snapshot if that was asked for.
#[derive(Debug)]
pub(super) struct Found {
    pub content: PageContent,
    pub snapshot: Option<Snapshot>,
    pub tier: Tier,
}

impl Tiers {
    pub fn any(&self) -> bool {
        self.ram.is_some() || self.disk.is_some()
    }

    /// Whether there is a page, whose hash builds on `root`; gives the bytes of
    /// its states. These are 0 without a snapshot, or if none is `wanted`.
    pub fn look(&self, root: PageHash, hash: PageHash, wanted: bool) -> Option<u64> {
        let ram = self.ram.as_ref().and_then(|ram| ram.look(hash));
        if ram.is_some_and(|states| states > 0 || !wanted) {
            return ram;
        }
        let disk = self.disk.as_ref().and_then(|disk| disk.look(root, hash));
        disk.map(|parts| parts.states).or(ram)
    }

    pub fn read(&self, page: Wanted) -> Option<Found> {
        self.from_ram(page).or_else(|| self.from_disk(page))
    }

    pub fn from_ram(&self, page: Wanted) -> Option<Found> {
        let ram = self.ram.as_ref()?;
        if page.snapshot.is_some() && ram.look(page.hash)? == 0 {
            return None;
        }
        let image = ram.get(page.hash)?;
        let stored = image.content().and_then(|content| {
            let snapshot = page.snapshot.map(|tokens| image.snapshot(tokens));
            Ok((content, snapshot.transpose()?.flatten()))
        });
        match stored {
            Ok((content, snapshot)) => Some(Found {
                content,
                snapshot,
                tier: Tier::Ram,
            }),
            Err(error) => {
                tracing::warn!(page = %page.hash, %error, "a page could not be taken back");
                ram.remove(page.hash);
                None
            }
        }
    }

    pub fn from_disk(&self, page: Wanted) -> Option<Found> {
        let stored = self.disk.as_ref()?.read(page)?;
        Some(Found {
            content: stored.content,
            snapshot: stored.snapshot,
            tier: Tier::Disk,
        })
    }
}
