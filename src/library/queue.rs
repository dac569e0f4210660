//! The queue of downloads: one at a time, watched, paused, resumed, cancelled.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hf_hub::HFClient;
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Download, DownloadStatus, LibraryError,
    fetch::{Hub, Progress, fetch},
};
use crate::config::huggingface_cache;

/// Watchers hear of progress at most this often.
const TELL: Duration = Duration::from_millis(100);

/// The time that the speed is averaged over.
const SPEED_OVER: Duration = Duration::from_secs(3);

type List = Arc<Vec<Download>>;

/// The downloads of this process. Cheap to clone; the last clone to go stops
/// the one that runs, and what has come stays on disk.
#[derive(Clone)]
pub struct Downloads {
    inner: Arc<Inner>,
    _stop: Arc<DropGuard>,
}

struct Inner {
    /// Or why there is none.
    hub: Result<Hub, String>,
    list: watch::Sender<List>,
    wake: Notify,
    /// Stops the transfer that runs.
    current: Mutex<CancellationToken>,
}

impl Downloads {
    /// Begins with an empty queue that downloads into the Hugging Face cache
    /// from `HF_ENDPOINT`, with the token of `HF_TOKEN`. Must be called within
    /// a tokio runtime.
    pub fn start() -> Self {
        Self::with(HFClient::builder(), huggingface_cache())
    }

    /// The same from another hub and into another folder.
    pub fn start_at(endpoint: &str, cache: &Path) -> Self {
        let client = HFClient::builder().endpoint(endpoint);
        Self::with(client, cache.to_owned())
    }

    fn with(client: hf_hub::HFClientBuilder, cache: PathBuf) -> Self {
        let agent = concat!("maquette/", env!("CARGO_PKG_VERSION"));
        let client = client.user_agent(agent).cache_dir(&cache).build();
        let hub = match client {
            Ok(client) => Ok(Hub { client, cache }),
            Err(error) => Err(format!("{error}. Check HF_ENDPOINT.")),
        };
        let stop = CancellationToken::new();
        let inner = Arc::new(Inner {
            hub,
            list: watch::Sender::default(),
            wake: Notify::new(),
            current: Mutex::default(),
        });
        let worker = inner.clone();
        let ended = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = worker.work() => {}
                () = ended.cancelled() => {}
            }
        });
        Self {
            inner,
            _stop: Arc::new(stop.drop_guard()),
        }
    }

    /// Follows the queue, in the order it is worked through.
    pub fn watch(&self) -> watch::Receiver<List> {
        self.inner.list.subscribe()
    }

    /// Queues a model. One that is queued or running already is left alone;
    /// one that is paused, failed or done begins again where it was.
    pub fn add(&self, id: &str) -> Result<(), LibraryError> {
        let id = id.trim();
        if !is_id(id) {
            return Err(LibraryError::BadId { id: id.to_owned() });
        }
        if let Err(reason) = &self.inner.hub {
            return Err(LibraryError::Hub(reason.clone()));
        }
        self.inner.list.send_modify(|list| {
            let list = Arc::make_mut(list);
            match list.iter_mut().find(|download| download.id == id) {
                Some(download) if download.status == DownloadStatus::Running => {}
                Some(download) => download.status = DownloadStatus::Queued,
                None => list.push(queued(id)),
            }
        });
        self.inner.wake.notify_one();
        Ok(())
    }

    /// Stops a download and keeps what has come.
    pub fn pause(&self, id: &str) -> Result<(), LibraryError> {
        self.stop(id, |list, at| {
            if !matches!(list[at].status, DownloadStatus::Done(_)) {
                list[at].status = DownloadStatus::Paused;
                list[at].speed = 0.0;
            }
        })
    }

    /// Goes on with a download that is paused or has failed.
    pub fn resume(&self, id: &str) -> Result<(), LibraryError> {
        let list = self.inner.list.borrow().clone();
        match list.iter().any(|download| download.id == id) {
            true => self.add(id),
            false => Err(LibraryError::NoDownload { id: id.to_owned() }),
        }
    }

    /// Stops a download and takes it off the list. What has come stays in the
    /// cache, where a later download finds it.
    pub fn cancel(&self, id: &str) -> Result<(), LibraryError> {
        self.stop(id, |list, at| drop(list.remove(at)))
    }

    fn stop(
        &self,
        id: &str,
        change: impl FnOnce(&mut Vec<Download>, usize),
    ) -> Result<(), LibraryError> {
        let mut found = false;
        let mut running = false;
        self.inner.list.send_modify(|list| {
            let list = Arc::make_mut(list);
            if let Some(at) = list.iter().position(|download| download.id == id) {
                found = true;
                running = list[at].status == DownloadStatus::Running;
                change(list, at);
            }
        });
        if running {
            lock(&self.inner.current).cancel();
        }
        match found {
            true => Ok(()),
            false => Err(LibraryError::NoDownload { id: id.to_owned() }),
        }
    }
}

impl Inner {
    /// Works the queue through, for ever.
    async fn work(&self) {
        loop {
            let Some((id, stop)) = self.next() else {
                self.wake.notified().await;
                continue;
            };
            let Ok(hub) = &self.hub else {
                return;
            };
            let meter = Mutex::new(Meter::new());
            let report = |progress: Progress<'_>| {
                let told = lock(&meter).note(progress);
                if let Some(told) = told {
                    self.update(&id, |download| told.write(download));
                }
            };
            let result = tokio::select! {
                result = fetch(hub, &id, &report) => result,
                () = stop.cancelled() => continue,
            };
            let told = lock(&meter).state.clone();
            self.update(&id, |download| {
                told.write(download);
                download.speed = 0.0;
                download.file = None;
                download.status = match &result {
                    Ok(folder) => DownloadStatus::Done(folder.clone()),
                    Err(reason) => DownloadStatus::Failed(reason.clone()),
                };
            });
            match result {
                Ok(folder) => tracing::info!(model = id, folder = %folder.display(), "downloaded"),
                Err(reason) => tracing::error!(model = id, "the download failed: {reason}"),
            }
        }
    }

    /// Marks the first queued download as running.
    fn next(&self) -> Option<(String, CancellationToken)> {
        let mut next = None;
        self.list.send_if_modified(|list| {
            let queued = |download: &Download| download.status == DownloadStatus::Queued;
            let Some(at) = list.iter().position(queued) else {
                return false;
            };
            let download = &mut Arc::make_mut(list)[at];
            download.status = DownloadStatus::Running;
            let stop = CancellationToken::new();
            *lock(&self.current) = stop.clone();
            next = Some((download.id.clone(), stop));
            true
        });
        next
    }

    /// Changes a download that still runs.
    fn update(&self, id: &str, change: impl FnOnce(&mut Download)) {
        self.list.send_if_modified(|list| {
            let running = |download: &Download| {
                download.id == id && download.status == DownloadStatus::Running
            };
            let Some(at) = list.iter().position(running) else {
                return false;
            };
            change(&mut Arc::make_mut(list)[at]);
            true
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn queued(id: &str) -> Download {
    Download {
        id: id.to_owned(),
        status: DownloadStatus::Queued,
        done: 0,
        total: 0,
        speed: 0.0,
        file: None,
        files_done: 0,
        files: 0,
    }
}

/// `organisation/name`, or for some old models a name alone.
fn is_id(id: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.contains("..")
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    id.len() <= 200 && id.split('/').count() <= 2 && id.split('/').all(part)
}

/// What a watcher is told.
#[derive(Debug, Clone, Default)]
struct Told {
    done: u64,
    total: u64,
    speed: f64,
    file: Option<String>,
    files_done: usize,
    files: usize,
}

impl Told {
    fn write(self, download: &mut Download) {
        download.done = self.done;
        download.total = self.total;
        download.speed = self.speed;
        download.file = self.file;
        download.files_done = self.files_done;
        download.files = self.files;
    }
}

/// Adds progress up and decides when to tell of it.
struct Meter {
    state: Told,
    told: Instant,
    /// When how many bytes had come, over the last seconds.
    samples: VecDeque<(Instant, u64)>,
    received: u64,
}

impl Meter {
    fn new() -> Self {
        Self {
            state: Told::default(),
            told: Instant::now(),
            samples: VecDeque::new(),
            received: 0,
        }
    }

    fn note(&mut self, progress: Progress<'_>) -> Option<Told> {
        let mut tell = true;
        match progress {
            Progress::Plan { files, total, done } => {
                self.state.files = files;
                self.state.total = total;
                self.state.done = done;
            }
            Progress::File(name) => self.state.file = Some(name.to_owned()),
            Progress::FileDone => self.state.files_done += 1,
            Progress::Bytes(count) => {
                self.state.done = self.state.done.saturating_add_signed(count);
                self.received += count.max(0).cast_unsigned();
                tell = self.told.elapsed() >= TELL;
            }
        }
        tell.then(|| {
            self.told = Instant::now();
            self.state.speed = self.speed();
            self.state.clone()
        })
    }

    /// Bytes a second since the oldest sample.
    fn speed(&mut self) -> f64 {
        let now = Instant::now();
        self.samples.push_back((now, self.received));
        while self.samples.len() > 2 && now - self.samples[0].0 > SPEED_OVER {
            self.samples.pop_front();
        }
        let (since, before) = self.samples[0];
        let seconds = (now - since).as_secs_f64();
        if seconds < 0.05 {
            return 0.0;
        }
        (self.received - before) as f64 / seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_models() {
        for id in ["mlx-community/Qwen3-4B-4bit", "gpt2", "a/b_c.d-1"] {
            assert!(is_id(id), "{id}");
        }
        for id in [
            "",
            "a/b/c",
            "/b",
            "a/",
            "a b/c",
            "../c",
            "a/..",
            "-a/b",
            "https://hub/a/b",
            "a/b?x",
        ] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn progress_adds_up() {
        let mut meter = Meter::new();
        let plan = Progress::Plan {
            files: 2,
            total: 100,
            done: 10,
        };
        assert_eq!(meter.note(plan).unwrap().total, 100);
        assert_eq!(
            meter.note(Progress::File("a")).unwrap().file.as_deref(),
            Some("a")
        );
        assert!(
            meter.note(Progress::Bytes(30)).is_none(),
            "too soon to tell"
        );
        assert!(meter.note(Progress::Bytes(-10)).is_none());
        let told = meter.note(Progress::FileDone).unwrap();
        assert_eq!((told.done, told.files_done), (30, 1));
        assert!(meter.note(Progress::Bytes(-1000)).is_none());
        assert_eq!(meter.note(Progress::FileDone).unwrap().done, 0);
    }
}
