//! The two halves of a layer: what mixes tokens and what treats each alone.

use mlx_rs::{Array, error::Exception};

use super::{Attention, Context, GatedMlp, Matrix, Mla, Moe, ShortConv};

#[derive(Debug, Clone)]
pub enum Mixer {
    Attention(Attention),
    Mla(Mla),
    ShortConv(ShortConv),
}

impl Mixer {
    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array, at: &mut Context) -> Result<Array, Exception> {
        match self {
            Self::Attention(attention) => attention.forward(x, at),
            Self::Mla(attention) => attention.forward(x, at),
            Self::ShortConv(conv) => conv.forward(x, at),
        }
    }

    pub fn arrays(&self) -> Vec<&Array> {
        match self {
            Self::Attention(attention) => attention.arrays(),
            Self::Mla(attention) => attention.arrays(),
            Self::ShortConv(conv) => conv.arrays(),
        }
    }
}

#[derive(Debug, Clone)]
pub enum Mlp {
    Gated(GatedMlp),
    Moe(Moe),
}

impl Mlp {
    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array) -> Result<Array, Exception> {
        match self {
            Self::Gated(mlp) => mlp.forward(x),
            Self::Moe(moe) => moe.forward(x),
        }
    }

    /// Whether its weights are quantised.
    pub fn is_packed(&self) -> bool {
        let down = match self {
            Self::Gated(mlp) => &mlp.down.weight,
            Self::Moe(moe) => &moe.down.weight,
        };
        matches!(down, Matrix::Quantised { .. })
    }

    pub fn arrays(&self) -> Vec<&Array> {
        match self {
            Self::Gated(mlp) => mlp.arrays(),
            Self::Moe(moe) => moe.arrays(),
        }
    }
}
