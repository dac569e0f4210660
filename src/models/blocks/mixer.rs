//! The two halves of a layer: what mixes tokens and what treats each alone.

use mlx_rs::{Array, error::Exception};

use super::{
    Attention, Context, GatedDelta, GatedMlp, Lightning, Linear, Mamba, Mamba2, Matrix, Mla, Moe,
    PlainMlp, RgLru, ShortConv,
};

#[derive(Debug, Clone)]
pub enum Mixer {
    Attention(Attention),
    Linear(Linear),
    Mla(Box<Mla>),
    ShortConv(ShortConv),
    GatedDelta(GatedDelta),
    Mamba(Mamba),
    Mamba2(Mamba2),
    Lightning(Lightning),
    RgLru(RgLru),
    /// Side by side, their results added.
    Both(Box<(Attention, Mamba2)>),
}

impl Mixer {
    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array, at: &mut Context) -> Result<Array, Exception> {
        match self {
            Self::Attention(attention) => attention.forward(x, at),
            Self::Linear(linear) => linear.forward(x),
            Self::Mla(attention) => attention.forward(x, at),
            Self::ShortConv(conv) => conv.forward(x, at),
            Self::GatedDelta(delta) => delta.forward(x, at),
            Self::Mamba(mamba) => mamba.forward(x, at),
            Self::Mamba2(mamba) => mamba.forward(x, at),
            Self::Lightning(attention) => attention.forward(x, at),
            Self::RgLru(unit) => unit.forward(x, at),
            Self::Both(both) => {
                let (attention, mamba) = &**both;
                let mixed = mamba.forward(x, at)?;
                mixed.add(attention.forward(x, at)?)
            }
        }
    }

    pub fn arrays(&self) -> Vec<&Array> {
        match self {
            Self::Attention(attention) => attention.arrays(),
            Self::Linear(linear) => linear.arrays(),
            Self::Mla(attention) => attention.arrays(),
            Self::ShortConv(conv) => conv.arrays(),
            Self::GatedDelta(delta) => delta.arrays(),
            Self::Mamba(mamba) => mamba.arrays(),
            Self::Mamba2(mamba) => mamba.arrays(),
            Self::Lightning(attention) => attention.arrays(),
            Self::RgLru(unit) => unit.arrays(),
            Self::Both(both) => {
                let (attention, mamba) = &**both;
                let mut arrays = attention.arrays();
                arrays.extend(mamba.arrays());
                arrays
            }
        }
    }
}

#[derive(Debug, Clone)]
pub enum Mlp {
    Gated(GatedMlp),
    Plain(PlainMlp),
    Linear(Linear),
    Moe(Box<Moe>),
    /// The second is added after the next layer.
    WithShortcut(Box<(GatedMlp, Moe)>),
}

impl Mlp {
    /// From `[T, hidden]` to `[T, hidden]`; `later` gets what is to be added after
    /// the next layer.
    pub fn forward(&self, x: &Array, later: &mut Option<Array>) -> Result<Array, Exception> {
        match self {
            Self::WithShortcut(both) => {
                *later = Some(both.1.forward(x)?);
                both.0.forward(x)
            }
            Self::Gated(mlp) => mlp.forward(x),
            Self::Plain(mlp) => mlp.forward(x),
            Self::Linear(linear) => linear.forward(x),
            Self::Moe(moe) => moe.forward(x),
        }
    }

    /// Whether its weights are quantised.
    pub fn is_packed(&self) -> bool {
        let down = match self {
            Self::Gated(mlp) => &mlp.down.weight,
            Self::Plain(mlp) => &mlp.down.weight,
            Self::Linear(linear) => &linear.weight,
            Self::Moe(moe) => &moe.down.weight,
            Self::WithShortcut(both) => &both.1.down.weight,
        };
        matches!(down, Matrix::Quantised { .. })
    }

    pub fn arrays(&self) -> Vec<&Array> {
        match self {
            Self::Gated(mlp) => mlp.arrays(),
            Self::Plain(mlp) => mlp.arrays(),
            Self::Linear(linear) => linear.arrays(),
            Self::Moe(moe) => moe.arrays(),
            Self::WithShortcut(both) => {
                let mut arrays = both.0.arrays();
                arrays.extend(both.1.arrays());
                arrays
            }
        }
    }
}
