//! The tiers below a device's memory, asked in their order: the host's memory,
//! then the disk.

use std::rc::Rc;

use mlx_rs::error::Exception;

use super::{
    PageContent, PageHash, Scheme, Snapshot,
    disk::{ModelDisk, Wanted},
    image::PageImage,
    pages::Page,
    ram::Ram,
};

#[derive(Debug, Clone, Default)]
pub(super) struct Tiers {
    pub ram: Option<Ram>,
    pub disk: Option<Rc<ModelDisk>>,
    /// How the disk keeps what is plain in memory, if not in the same way.
    pub packing: Option<Rc<Scheme>>,
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

    /// Begins to read from the disk what the host's memory lacks of pages that
    /// will be asked for in this order, the last one with its snapshot if
    /// `states`; what was begun before is given up.
    pub fn read_ahead(&self, root: PageHash, pages: &[PageHash], states: bool) {
        let in_ram = |hash: &PageHash| self.ram.as_ref().is_some_and(|r| r.look(*hash).is_some());
        let pages: Vec<PageHash> = pages.iter().filter(|it| !in_ram(it)).copied().collect();
        if let Some(disk) = &self.disk {
            disk.read_ahead(root, &pages, states);
        }
    }

    /// Reads a page that memory keeps as `scheme` says.
    pub fn read(&self, page: Wanted, scheme: &Scheme) -> Option<Found> {
        self.in_ram(page).or_else(|| self.on_disk(page, scheme))
    }

    pub fn in_ram(&self, page: Wanted) -> Option<Found> {
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

    pub fn on_disk(&self, page: Wanted, scheme: &Scheme) -> Option<Found> {
        let stored = self.disk.as_ref()?.read(page)?;
        let content = match &self.packing {
            Some(packing) => packing.unpack(stored.content, scheme),
            None => Ok(stored.content),
        };
        match content {
            Ok(content) => Some(Found {
                content,
                snapshot: stored.snapshot,
                tier: Tier::Disk,
            }),
            Err(error) => {
                tracing::warn!(page = %page.hash, %error, "a page could not be unpacked");
                None
            }
        }
    }

    /// The bytes of a page as the disk keeps it.
    ///
    /// # Errors
    /// When its arrays cannot be computed.
    pub fn disk_image(
        &self,
        names: [PageHash; 2],
        page: &Page,
        content: PageContent,
    ) -> Result<PageImage<Vec<u8>>, Exception> {
        let content = match &self.packing {
            Some(packing) => packing.pack(content, page.parent.is_none())?,
            None => content,
        };
        PageImage::of(names, &page.tokens, &content, page.snapshot.as_ref())
    }
}
