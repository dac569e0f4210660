//! Weights on disk: which files, what their headers promise, how each module is
//! quantised, and the tensors themselves.
//!
//! Everything is checked against headers and config.json before a byte of
//! weight data is read.

mod files;
mod finite;
mod loader;
mod quantisation;

pub use files::{TensorInfo, WeightFiles};
pub use finite::Finite;
pub use loader::FileSource;
pub use quantisation::{Affine, BITS, GROUPS, Quantisation};

use mlx_rs::Array;

use super::{ModelError, blocks::Matrix};

/// Where the builder of a model takes its tensors from.
pub trait Source {
    /// The weight `[rows, columns]` of `module`, dense or quantised.
    fn matrix(&mut self, module: &str, rows: usize, columns: usize) -> Result<Matrix, ModelError>;

    /// The tensor `name` of one axis, in the type of the activations.
    fn vector(&mut self, name: &str, length: usize) -> Result<Array, ModelError>;

    /// Called when everything of one layer has been taken: computes `arrays`
    /// and reports progress.
    fn settle(&mut self, arrays: &[&Array]) -> Result<(), ModelError>;
}
