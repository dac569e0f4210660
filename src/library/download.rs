//! A download as its watchers see it.

use std::path::PathBuf;

/// One model on its way here.
#[derive(Debug, Clone, PartialEq)]
pub struct Download {
    /// The repository, such as `mlx-community/Qwen3-4B-4bit`.
    pub id: String,
    pub status: DownloadStatus,
    /// Bytes that are here, those of an earlier try included, and bytes of all
    /// files; `total` is 0 until the files are known.
    pub done: u64,
    pub total: u64,
    /// Bytes a second over the last seconds.
    pub speed: f64,
    /// The file being fetched.
    pub file: Option<String>,
    pub files_done: usize,
    pub files: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownloadStatus {
    Queued,
    Running,
    /// What came stays; `resume` goes on from there.
    Paused,
    /// The model's folder.
    Done(PathBuf),
    /// Why, and what to do, in a sentence or two.
    Failed(String),
}
