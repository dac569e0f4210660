//! The models on this machine and the way to get more.
//!
//! Finds model folders, says what they are and whether they fit in memory,
//! unpacks the guide, and downloads from the hub. Loads no weights.

mod download;
mod entry;
mod error;
mod explain;
mod fetch;
mod guide;
mod queue;
mod resolve;
mod scan;

pub use download::{Download, DownloadStatus};
pub use entry::{Fit, ModelEntry, Origin, TemplateFacts};
pub use error::LibraryError;
pub use guide::guide_folder;
pub use queue::Downloads;
pub use resolve::resolve;
pub use scan::{Room, describe_folder, scan};
