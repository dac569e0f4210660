//! What stands between the two halves of a gated MLP.

use std::f32::consts::PI;

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
        let number = |x: f32| Array::from_f32(x).as_dtype(gate.dtype());
        match self {
            Self::Silu | Self::Gelu => gelu(gate)?.multiply(up),
            Self::Clamped => {
                let gate = ops::minimum(gate, number(LIMIT)?)?;
                let up = ops::minimum(ops::maximum(up, number(-LIMIT)?)?, number(LIMIT)?)?;
                let gate = gate.multiply(ops::sigmoid(gate.multiply(number(SLOPE)?)?)?)?;
                gate.multiply(up.add(number(1.0)?)?)
            }
        }
    }
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
