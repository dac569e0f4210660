//! What stands between the two matrices of an MLP, gated or plain.

use std::f32::consts::{FRAC_1_SQRT_2, PI};

use mlx_rs::{Array, Dtype, error::Exception, ops};

use crate::{mlx, models::spec::Activation};

/// Most of a gate, and of the other half's size, before gpt-oss's activation.
const LIMIT: f32 = 7.0;
const SLOPE: f32 = 1.702;

impl Activation {
    /// From `[T, 2F]`, gates before the others, to `[T, F]`.
    pub fn forward(self, gate_up: &Array) -> Result<Array, Exception> {
        if self == Self::Silu {
            return mlx::swiglu(gate_up);
        }
        let parts = gate_up.split_equal(2, -1)?;
        let (gate, up) = (&parts[0], &parts[1]);
        if self == Self::Clamped {
            return clamped(gate, up);
        }
        if let Self::SiluWithin(limit) = self {
            return self.of(gate)?.multiply(within(up, limit)?);
        }
        self.of(gate)?.multiply(up)
    }

    /// Of numbers that stand for themselves, as in a plain MLP.
    pub fn of(self, x: &Array) -> Result<Array, Exception> {
        let number = |value: f32| Array::from_f32(value).as_dtype(x.dtype());
        match self {
            Self::Silu => silu(x),
            Self::SiluWithin(limit) => ops::minimum(silu(x)?, number(limit)?),
            Self::Gelu => gelu(x),
            Self::GeluExact => {
                let share = ops::erf(x.multiply(number(FRAC_1_SQRT_2)?)?)?;
                x.multiply(number(0.5)?)?.multiply(share.add(number(1.0)?)?)
            }
            Self::XieLu => Err(Exception::custom("xIELU is learned: see XieLu")),
            Self::SquaredRelu => ops::maximum(x, number(0.0)?)?.square(),
            Self::Clamped => {
                let x = ops::minimum(x, number(LIMIT)?)?;
                x.multiply(ops::sigmoid(x.multiply(number(SLOPE)?)?)?)
            }
        }
    }
}

fn clamped(gate: &Array, up: &Array) -> Result<Array, Exception> {
    let number = |x: f32| Array::from_f32(x).as_dtype(gate.dtype());
    let up = within(up, LIMIT)?;
    Activation::Clamped
        .of(gate)?
        .multiply(up.add(number(1.0)?)?)
}

/// `x`, but no more than ± `limit`.
pub fn within(x: &Array, limit: f32) -> Result<Array, Exception> {
    let number = |value: f32| Array::from_f32(value).as_dtype(x.dtype());
    ops::minimum(ops::maximum(x, number(-limit)?)?, number(limit)?)
}

/// `x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`
fn gelu(x: &Array) -> Result<Array, Exception> {
    let number = |value: f32| Array::from_f32(value).as_dtype(x.dtype());
    let cube = x.multiply(x)?.multiply(x)?.multiply(number(0.044_715)?)?;
    let inner = x.add(cube)?.multiply(number((2.0 / PI).sqrt())?)?;
    let share = ops::tanh(inner)?.add(number(1.0)?)?;
    x.multiply(share)?.multiply(number(0.5)?)
}

/// xIELU (arXiv 2411.13010): `αₚ x² + β x` for x > 0, elsewhere
/// `αₙ (e^min(x, ε) - 1 - x) + β x`.
#[derive(Debug, Clone)]
pub struct XieLu {
    /// Each `[1]`, f32.
    positive: Array,
    negative: Array,
    beta: Array,
    eps: Array,
}

impl XieLu {
    /// From the numbers that were learned, `αₚ = softplus(p)` and
    /// `αₙ = β + softplus(n)`.
    ///
    /// # Errors
    /// When they are not numbers.
    pub fn new(p: &Array, n: &Array, beta: Array, eps: Array) -> Result<Self, Exception> {
        let zero = Array::from_f32(0.0);
        Ok(Self {
            positive: ops::logaddexp(p, &zero)?,
            negative: ops::logaddexp(n, &zero)?.add(&beta)?,
            beta,
            eps,
        })
    }

    pub fn forward(&self, x: &Array) -> Result<Array, Exception> {
        let dtype = x.dtype();
        let x = x.as_dtype(Dtype::Float32)?;
        let above = x.square()?.multiply(&self.positive)?;
        let below = ops::expm1(ops::minimum(&x, &self.eps)?)?.subtract(&x)?;
        let below = below.multiply(&self.negative)?;
        let is_above = x.gt(Array::from_f32(0.0))?;
        let bent = ops::select(&is_above, &above, &below)?;
        bent.add(x.multiply(&self.beta)?)?.as_dtype(dtype)
    }

    pub fn arrays(&self) -> Vec<&Array> {
        vec![&self.positive, &self.negative, &self.beta, &self.eps]
    }
}

/// `x · sigmoid(x)`
pub fn silu(x: &Array) -> Result<Array, Exception> {
    x.multiply(ops::sigmoid(x)?)
}
