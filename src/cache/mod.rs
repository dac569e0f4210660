//! What sequences leave behind for their later tokens: keys and values.
//!
//! Models write through [`KvStore`] and know nothing of how the store keeps
//! its memory. [`KvCache`] is the store: one growing tail of keys and values
//! a sequence (`tail`), whose tokens become sealed pages of 64 (`pages`) that
//! prompts with the same beginning share (`finding`; `holder` says where a
//! page's content lies at which time). A mode says in how many bits full pages
//! are kept (`mode`, `scheme`); recurrent layers leave snapshots at ends of pages
//! (`snapshots`), and layers that look back a part of the way only give up what
//! lies behind it (`windows`). Full pages go to a folder as well (`disk`), and
//! those that a GPU's memory gives up to the host's (`ram`): there as bytes
//! (`image`, `saving`) and back (`tiers`, `lower`).

mod content;
mod counters;
pub mod disk;
mod finding;
mod holder;
mod image;
pub mod kv;
mod lower;
mod mode;
pub mod page;
mod pages;
mod ram;
mod repack;
mod saving;
mod scheme;
mod snapshots;
pub mod store;
pub mod tail;
mod tiers;
mod windows;

#[cfg(test)]
mod kv_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod ram_tests;
#[cfg(test)]
mod windows_tests;

pub use content::{PageContent, Snapshot};
pub use counters::{CacheCounters, PrefixCounters};
pub use kv::{CacheError, CacheOptions, KvCache, KvPolicy};
pub use mode::{KvMode, UnknownMode};
pub use page::{PAGE_TOKENS, PageHash};
pub use ram::{Ram, RamCounters};
pub use saving::Unsaved;
pub use scheme::{KvLayer, Packs, Refusal, Scheme};
pub use store::{Buffers, KvStore, Past, Taken};
