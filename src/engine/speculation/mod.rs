//! Speculative decoding: tokens are proposed cheaply, computed together in one
//! forward pass, and kept as far as the model would have chosen them itself.
//!
//! Responsible for proposals (`lookup`, `draft`), for which of them are kept
//! (`verify`), and for when all this pays (`gain`, `state`). Not responsible
//! for steps and caches, which treat proposals as rows like others.
//!
//! Invariant: what a request is answered has the same distribution with and
//! without proposals; greedy and seeded requests get the same tokens.

pub(super) mod draft;
pub(super) mod gain;
pub(super) mod lookup;
pub(super) mod state;
pub(super) mod verify;
