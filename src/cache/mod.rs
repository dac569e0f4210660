//! What sequences leave behind for their later tokens: keys and values.
//!
//! Models write through [`KvStore`] and know nothing of how the store keeps
//! its memory. [`KvCache`] is the store: one growing tail of keys and values
//! a sequence (`tail`), and sequences that have ended, kept for prompts that
//! begin alike (`prefix`). Memory is counted in pages (`page`).

pub mod kv;
pub mod page;
pub mod prefix;
pub mod store;
pub mod tail;

pub use kv::{CacheCounters, CacheError, KvCache};
pub use page::{PAGE_TOKENS, PageHash};
pub use store::KvStore;
