//! The parts of a decoder. Each owns its weights and turns arrays into lazy
//! arrays; none evaluates anything, knows a family or keeps state.

mod attention;
mod linear;
mod matrix;
mod mlp;
mod norm;
mod precision;
mod rope;

pub use attention::{Attention, Context};
pub use linear::{Linear, Projections};
pub use matrix::Matrix;
pub use mlp::Mlp;
pub use norm::Norm;
pub use precision::{Precision, on_gpu};
pub use rope::Rope;
