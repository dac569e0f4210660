//! The parts of a decoder. Each owns its weights and turns arrays into lazy
//! arrays; none evaluates anything, knows a family or keeps state.

mod activation;
mod attention;
mod gated_delta;
mod indexer;
mod layer_inputs;
mod lightning;
mod linear;
mod mamba;
mod mamba2;
mod matrix;
mod mixer;
mod mla;
mod mlp;
mod moe;
mod norm;
mod precision;
mod recurrent;
mod rg_lru;
mod rope;
mod short_conv;

pub use activation::{XieLu, silu, within};
pub use attention::{Attention, AttentionParts, Context};
pub use gated_delta::GatedDelta;
pub use indexer::{Indexer, IndexerParts};
pub use layer_inputs::{LayerInput, LayerInputs};
pub use lightning::Lightning;
pub use linear::{ExpertLinear, Linear, Projections, Through};
pub use mamba::Mamba;
pub use mamba2::Mamba2;
pub use matrix::Matrix;
pub use mixer::{Mixer, Mlp};
pub use mla::{Mla, MlaParts};
pub use mlp::{GatedMlp, PlainMlp};
pub use moe::{Moe, Router, Shared};
pub use norm::Norm;
pub use precision::{Precision, on_gpu};
pub use recurrent::{CausalConv, by_sequence};
pub use rg_lru::RgLru;
pub use rope::{Rope, yarn_magnitude};
pub use short_conv::ShortConv;

use mlx_rs::{Array, error::Exception};

/// What lies before and after a place along an axis.
fn split(x: &Array, at: i32, axis: i32) -> Result<[Array; 2], Exception> {
    <[Array; 2]>::try_from(x.split_at_indices(&[at], axis)?)
        .map_err(|_| Exception::custom("MLX split an array into too many parts"))
}
