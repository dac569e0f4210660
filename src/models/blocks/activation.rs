//! What stands between the two matrices of an MLP, gated or plain.

use std::f32::consts::{FRAC_1_SQRT_2, PI};

use mlx_rs::{Array, error::Exception, ops};

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
        self.of(gate)?.multiply(up)
    }

    /// Of numbers that stand for themselves, as in a plain MLP.
    pub fn of(self, x: &Array) -> Result<Array, Exception> {
        let number = |value: f32| Array::from_f32(value).as_dtype(x.dtype());
        match self {
            Self::Silu => silu(x),
            Self::Gelu => gelu(x),
            Self::GeluExact => {
                let share = ops::erf(x.multiply(number(FRAC_1_SQRT_2)?)?)?;
                x.multiply(number(0.5)?)?.multiply(share.add(number(1.0)?)?)
            }
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
    let up = ops::minimum(ops::maximum(up, number(-LIMIT)?)?, number(LIMIT)?)?;
    Activation::Clamped
        .of(gate)?
        .multiply(up.add(number(1.0)?)?)
}

/// `x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`
fn gelu(x: &Array) -> Result<Array, Exception> {
    let number = |value: f32| Array::from_f32(value).as_dtype(x.dtype());
    let cube = x.multiply(x)?.multiply(x)?.multiply(number(0.044_715)?)?;
    let inner = x.add(cube)?.multiply(number((2.0 / PI).sqrt())?)?;
    let share = ops::tanh(inner)?.add(number(1.0)?)?;
    x.multiply(share)?.multiply(number(0.5)?)
}

/// `x · sigmoid(x)`
pub fn silu(x: &Array) -> Result<Array, Exception> {
    x.multiply(ops::sigmoid(x)?)
}
