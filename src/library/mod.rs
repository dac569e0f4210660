//! The models on this machine and the way to get more.
//!
//! Finds model folders, says what they are and whether they fit in memory,
//! unpacks the guide, and downloads from the hub. Loads no weights.

mod download;
mod entry;

pub use download::{Download, DownloadStatus};
pub use entry::{Fit, ModelEntry, Origin, TemplateFacts};
