//! CPU kernels over plain slices: what MLX's CPU build lacks in speed.
//!
//! Everything here is row-major `f32` arithmetic without knowledge of MLX or of
//! models. Loops are written for the vectoriser and compiled once per
//! instruction set; [`pulp`] picks the widest at run time. Large calls are
//! split over rayon's threads; small ones stay on the caller's.
//!
//! Invariant: results do not depend on the number of threads.

mod activation;
mod attention;
mod dense;
mod norm;
pub mod packing;
mod product;
mod quantised;
mod recurrence;
mod rope;
mod simd;

pub use activation::swiglu;
pub use attention::{Attention, Heads, Records, Rows, Segment, attention};
pub use dense::{Dense, dense_matmul};
pub use norm::rms_norm;
pub use packing::Packing;
pub use quantised::{Quantised, quantized_matmul};
pub use recurrence::{Decays, Erase, Recurrence, recurrence};
pub use rope::{Rope, rope};

/// Multiply-adds below which a call is not worth splitting over threads.
const SPLIT_WORK: usize = 1 << 19;

/// How many pieces to cut `work` multiply-adds into: enough for every thread to
/// be busy, few enough that each is worth waking one.
fn pieces(work: usize) -> usize {
    if work < SPLIT_WORK {
        return 1;
    }
    rayon::current_num_threads().clamp(1, work / (SPLIT_WORK / 4))
}
