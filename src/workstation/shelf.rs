//! The models on this machine, as the library's latest scan found them.
//!
//! Scans read many files, so they run on a thread of their own, one at a time;
//! what asks for one during another gets one more afterwards.

use std::sync::Arc;

use tokio::sync::watch;

use super::ModelEntry;
use crate::{
    config::{Paths, Settings},
    library::{self, Download, DownloadStatus, Room},
    mlx::{self, Backend},
};

type Models = Arc<Vec<ModelEntry>>;

/// Looks for models.
pub(super) type Scan = Arc<dyn Fn() -> Vec<ModelEntry> + Send + Sync>;

/// The library's scan, with the room that there is at the time.
pub(super) fn scanner(paths: &Paths, settings: &Settings) -> Scan {
    let (paths, settings) = (paths.clone(), settings.clone());
    Arc::new(move || library::scan(&paths, &settings.library.folders, room(&settings)))
}

/// What models may take, as the engine sees it.
pub(super) fn room(settings: &Settings) -> Room {
    let device = mlx::device_info();
    let limit = settings.engine.memory_limit.unwrap_or(u64::MAX);
    Room {
        available: device.memory_available.min(limit),
        // Keys and values have the type of the activations.
        kv_number: match device.backend {
            Backend::Cpu => 4,
            Backend::Metal | Backend::Cuda => 2,
        },
    }
}

/// Looks for models again after every download that is done.
pub(super) async fn rescan_after(
    mut downloads: watch::Receiver<Arc<Vec<Download>>>,
    shelf: Arc<Shelf>,
) {
    let done = |list: &[Download]| {
        let done = list.iter();
        done.filter(|download| matches!(download.status, DownloadStatus::Done(_)))
            .count()
    };
    let mut before = done(&downloads.borrow_and_update());
    while downloads.changed().await.is_ok() {
        let now = done(&downloads.borrow_and_update());
        if now > before {
            shelf.rescan();
        }
        before = now;
    }
}

pub(super) struct Shelf {
    models: watch::Sender<Models>,
    /// Scans that were asked for.
    asked: watch::Sender<u64>,
    /// The highest number of `asked` that a finished scan covers.
    done: watch::Receiver<u64>,
}

impl Shelf {
    /// A shelf whose first scan begins at once. Needs a tokio runtime.
    pub fn start(scan: Scan) -> Self {
        let models = watch::Sender::new(Models::default());
        let asked = watch::Sender::new(1);
        let (finished, done) = watch::channel(0);
        tokio::spawn(run(scan, asked.subscribe(), finished, models.clone()));
        Self {
            models,
            asked,
            done,
        }
    }

    pub fn models(&self) -> watch::Receiver<Models> {
        self.models.subscribe()
    }

    /// The models once the first scan is done.
    pub async fn scanned(&self) -> Models {
        let mut done = self.done.clone();
        // Fails only when the scanning task is gone; then this is all there is.
        let _ = done.wait_for(|&done| done > 0).await;
        self.models.borrow().clone()
    }

    pub fn rescan(&self) {
        self.asked.send_modify(|asked| *asked += 1);
    }
}

async fn run(
    scan: Scan,
    mut asked: watch::Receiver<u64>,
    finished: watch::Sender<u64>,
    models: watch::Sender<Models>,
) {
    loop {
        let number = *asked.borrow_and_update();
        let scan = Arc::clone(&scan);
        match tokio::task::spawn_blocking(move || scan()).await {
            Ok(found) => {
                models.send_replace(Arc::new(found));
            }
            Err(error) => tracing::error!(%error, "looking for models failed"),
        }
        finished.send_replace(number);
        if asked.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn every_request_is_followed_by_a_scan() {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let shelf = Shelf::start(Arc::new(move || {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            vec![ModelEntry {
                id: number.to_string(),
                ..ModelEntry::default()
            }]
        }));
        assert_eq!(shelf.scanned().await[0].id, "0");
        let mut models = shelf.models();
        models.borrow_and_update();
        shelf.rescan();
        models.changed().await.unwrap();
        assert_eq!(models.borrow()[0].id, "1");
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}
