//! Models: what they are ([`ModelSpec`]), where their weights come from, and
//! how they turn a step's rows into logits ([`Model::forward`]).
//!
//! `config.json` → `families` → [`ModelSpec`] → `build`, which takes tensors
//! from safetensors files or makes random ones. Uses `cache` for one trait
//! only. Not responsible for tokens' texts, scheduling, sampling or memory.

#[cfg(test)]
mod bad_config;
#[cfg(test)]
mod bad_weights;
pub mod blocks;
mod build;
mod config;
mod convert;
mod error;
pub mod families;
mod fingerprint;
mod inspect;
mod load;
mod model;
mod random;
pub mod spec;
mod step;
#[cfg(test)]
mod test_folder;
pub mod weights;

pub use config::Config;
pub use convert::{ConvertOptions, Converted, MIXED, Mixed, Recipe, convert};
pub use error::ModelError;
pub use fingerprint::{fingerprint, random_fingerprint};
pub use inspect::{ModelFacts, inspect};
pub use load::{LoadOptions, load};
pub use model::Model;
pub use random::random;
pub use spec::ModelSpec;
pub use step::{Input, Rows, SequenceRows, Step};
