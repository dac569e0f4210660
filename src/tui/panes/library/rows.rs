//! The lines of the table: which, in which order, and what each column says.

use crate::tui::{state::Shared, types::*, units::bytes, widgets::speed};

/// A model that is here, or one on its way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Row<'s> {
    Model(&'s ModelEntry),
    Download(&'s DownloadState),
}

/// What the lines are ordered by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// Those that fit first, then by name.
    #[default]
    Fits,
    Name,
    /// The largest first.
    Size,
    Family,
}

impl Sort {
    pub fn next(self) -> Self {
        match self {
            Self::Fits => Self::Name,
            Self::Name => Self::Size,
            Self::Size => Self::Family,
            Self::Family => Self::Fits,
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Fits => "fits, then name",
            Self::Name => "name",
            Self::Size => "size",
            Self::Family => "family",
        }
    }
}

impl<'s> Row<'s> {
    pub fn id(&self) -> &'s str {
        match self {
            Self::Model(model) => &model.id,
            Self::Download(download) => &download.id,
        }
    }

    /// The download of this line, also where part of it is here already.
    pub fn download(&self, shared: &'s Shared) -> Option<&'s DownloadState> {
        match self {
            Self::Download(download) => Some(download),
            Self::Model(model) => shared
                .downloads
                .iter()
                .find(|d| d.id == model.id && unfinished(d)),
        }
    }

    /// Where it is and what happens to it.
    pub fn place(&self, shared: &Shared) -> String {
        if let Some(download) = self.download(shared) {
            return progress(download);
        }
        let Self::Model(model) = self else {
            return String::new();
        };
        if let Some((id, share)) = &shared.stats.loading
            && *id == model.id
        {
            return format!("loading {:.0} %", share * 100.0);
        }
        let used = shared
            .model
            .as_ref()
            .is_some_and(|loaded| loaded.id == model.id);
        match (used, &model.problem) {
            (true, _) => "● in use".into(),
            (false, Some(_)) => "cannot be loaded".into(),
            (false, None) => origin(model.origin).into(),
        }
    }
}

/// The lines that hold `filter` in their name, family or quantisation.
pub(super) fn rows<'s>(shared: &'s Shared, filter: &str, sort: Sort) -> Vec<Row<'s>> {
    let filter = filter.trim().to_lowercase();
    let fits = |text: &str| text.to_lowercase().contains(&filter);
    let models = shared
        .models
        .iter()
        .filter(|m| fits(&m.id) || fits(&m.family) || fits(&m.quantisation));
    let here = |id: &str| shared.models.iter().any(|model| model.id == id);
    let downloads = shared
        .downloads
        .iter()
        .filter(|d| unfinished(d) && !here(&d.id) && fits(&d.id));
    let mut models: Vec<_> = models.collect();
    models.sort_by(|a, b| {
        let name = || a.id.to_lowercase().cmp(&b.id.to_lowercase());
        let order = match sort {
            Sort::Fits => rank(a).cmp(&rank(b)),
            Sort::Name => std::cmp::Ordering::Equal,
            Sort::Size => b.weight_bytes.cmp(&a.weight_bytes),
            Sort::Family => a.family.cmp(&b.family),
        };
        order.then_with(name)
    });
    // What is on its way is looked at most.
    downloads
        .map(Row::Download)
        .chain(models.into_iter().map(Row::Model))
        .collect()
}

fn rank(model: &ModelEntry) -> u8 {
    match (&model.problem, model.fit.fits()) {
        (None, true) => 0,
        (None, false) => 1,
        (Some(_), _) => 2,
    }
}

fn unfinished(download: &DownloadState) -> bool {
    !matches!(download.status, DownloadStatus::Done(_))
}

/// Such as `61 % 48.0 MB/s`.
fn progress(download: &DownloadState) -> String {
    let share = match download.total {
        0 => String::new(),
        total => format!(" {:.0} %", download.done as f64 / total as f64 * 100.0),
    };
    match &download.status {
        DownloadStatus::Queued => "waits its turn".into(),
        DownloadStatus::Running if download.total == 0 => "asking the hub".into(),
        DownloadStatus::Running => format!("↓{share} {}", speed(download.speed)),
        DownloadStatus::Paused => format!("paused{share}"),
        DownloadStatus::Done(_) => "here".into(),
        DownloadStatus::Failed(_) => format!("failed{share}"),
    }
}

/// Where a model was found, in few words.
fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Guide => "built in",
        Origin::Models => "models folder",
        Origin::HuggingFace => "HF cache",
        Origin::Folder => "your folder",
    }
}

/// How far a download is, in words.
pub(super) fn download_facts(download: &DownloadState) -> String {
    let mut parts = vec![format!(
        "{} of {}",
        bytes(download.done),
        bytes(download.total)
    )];
    if download.files > 0 {
        parts.push(format!(
            "file {} of {}",
            (download.files_done + 1).min(download.files),
            download.files
        ));
    }
    parts.extend(download.file.clone());
    let left = download.total.saturating_sub(download.done);
    if download.status == DownloadStatus::Running && download.speed > 1.0 && left > 0 {
        parts.push(format!(
            "about {} left",
            duration(left as f64 / download.speed)
        ));
    }
    parts.join(" · ")
}

fn duration(seconds: f64) -> String {
    match seconds as u64 {
        s @ 0..90 => format!("{s} s"),
        s @ 90..5400 => format!("{} min", s.div_ceil(60)),
        s => format!("{:.1} h", s as f64 / 3600.0),
    }
}
