//! Weights on disk: which files, what their headers promise, how each module is
//! quantised, and the tensors themselves.
//!
//! Everything is checked against headers and config.json before a byte of
//! weight data is read.

mod files;
mod finite;
mod floats;
mod grouped;
mod loader;
mod mxfp4;
mod quantisation;

pub use files::{TensorInfo, WeightFiles};
pub use finite::Finite;
pub use floats::SmallFloat;
pub use grouped::Packer;
pub use loader::FileSource;
pub use mxfp4::from_mxfp4;
pub use quantisation::{Affine, BITS, GROUPS, Packing, Quantisation};

use mlx_rs::Array;

use super::{ModelError, blocks::Matrix};

/// Where the matrices of all experts are found: in one tensor
/// `[experts, rows, columns]`, or in one each, where `{}` stands for the
/// expert's number.
#[derive(Debug, Clone)]
pub struct ExpertNames {
    pub stacked: String,
    pub each: String,
}

/// Where the builder of a model takes its tensors from.
pub trait Source {
    /// The weight `[rows, columns]` of `module`, dense or quantised.
    fn matrix(&mut self, module: &str, rows: usize, columns: usize) -> Result<Matrix, ModelError>;

    /// The weights `[experts, rows, columns]` of a module of all experts.
    fn experts(&mut self, names: &ExpertNames, shape: [usize; 3]) -> Result<Matrix, ModelError>;

    /// The weights `[experts, rows, columns]` of a tensor that holds nothing but
    /// them, or packed blocks and their scales; `None` where there is neither.
    /// `transposed`: floats are stored `[experts, columns, rows]`. The first two
    /// dimensions may be one.
    fn joined(
        &mut self,
        name: &str,
        shape: [usize; 3],
        transposed: bool,
    ) -> Result<Option<Matrix>, ModelError>;

    /// The tensor `name`, in the type of the activations.
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Array, ModelError>;

    /// The tensor `name` in f32, where rounding would be felt.
    fn exact(&mut self, name: &str, shape: &[usize]) -> Result<Array, ModelError>;

    /// The shape in which `name` is stored; `None` where there is no such
    /// tensor, or nothing is stored.
    fn stored(&self, name: &str) -> Option<Vec<usize>>;

    /// Called when everything of one layer has been taken: computes `arrays`
    /// and reports progress.
    fn settle(&mut self, arrays: &[&Array]) -> Result<(), ModelError>;
}
