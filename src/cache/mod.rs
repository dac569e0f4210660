//! What sequences leave behind for their later tokens: keys and values.
//!
//! Models write through [`KvStore`] and know nothing of how the store keeps
//! its memory. The stores themselves live beside it.

pub mod store;

pub use store::KvStore;
