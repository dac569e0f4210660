//! The real-gated linear recurrent unit behind a short convolution, beside a
//! gate (Griffin).
//!
//! Every number of the state is alone: `h ← a h + √(1 - a²) i x`, with decays
//! `a = e^(-8 r softplus(λ))` and gates i and r made of x.

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{CausalConv, Context, Linear, by_sequence, gated_delta::parts, split};
use crate::{
    mlx::{Decays, Erase, Recurrence},
    models::spec::{Activation, RgLruSpec},
};

/// What gates of 1 decay by, as a multiple of the rates.
const FASTEST: f32 = 8.0;

#[derive(Debug, Clone)]
pub struct RgLru {
    pub spec: RgLruSpec,
    pub gate: Linear,
    pub input: Linear,
    pub conv: CausalConv,
    /// The blocks `[heads, dim, dim]` of a gate's matrix, stored to be
    /// multiplied from the right, and its bias `[heads, dim]`.
    pub input_gate: (Array, Array),
    pub decay_gate: (Array, Array),
    /// softplus(λ), `[width]`, f32.
    pub rates: Array,
    pub output: Linear,
}

impl RgLru {
    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array, at: &mut Context) -> Result<Array, Exception> {
        let gate = Activation::Gelu.of(&self.gate.forward(x)?)?;
        let inner = self.input.forward(x)?;
        let y = by_sequence(&inner, at, |rows, state| self.mix(rows, state))?;
        self.output.forward(&y.multiply(gate)?)
    }

    /// Rows `[B, T, width]` and what came before.
    fn mix(
        &self,
        rows: &Array,
        state: Option<Vec<Array>>,
    ) -> Result<(Array, Vec<Array>), Exception> {
        let (batch, count, width) = (rows.dim(0), rows.dim(1), rows.dim(2));
        let [conv_state, state] = parts(state);
        let (x, conv_state) = self.conv.forward(rows, conv_state.as_ref())?;
        let fall = self.gate_of(&x, &self.decay_gate)?.multiply(&self.rates)?;
        let log_decays = fall.multiply(Array::from_f32(-FASTEST))?;
        let squared = ops::exp(log_decays.multiply(Array::from_f32(2.0))?)?;
        let mut share = Array::from_f32(1.0).subtract(squared)?.sqrt()?;
        if state.is_none() {
            // The first token has nothing to share with.
            let [first, others] = split(&share, 1, 1)?;
            share = ops::concatenate(
                &[ops::ones_dtype(first.shape(), Dtype::Float32)?, others],
                1,
            )?;
        }
        let taken = x
            .multiply(self.gate_of(&x, &self.input_gate)?)?
            .multiply(share)?;
        let ones = ops::ones_dtype(&[batch, count, 1, 1], Dtype::Float32)?;
        let recurrence = Recurrence {
            queries: ones.clone(),
            keys: ones,
            values: taken.expand_dims(-1)?,
            decays: Decays::Column(log_decays.expand_dims(-1)?),
            weights: ops::ones_dtype(&[batch, count, width], Dtype::Float32)?,
            state,
            erase: Erase::Nothing,
        };
        let (y, state) = recurrence.run()?;
        let y = y.reshape(&[batch, count, width])?;
        Ok((y.as_dtype(rows.dtype())?, vec![conv_state, state]))
    }

    /// `σ(W x + b)` of `x [B, T, width]`, W being blocks on a diagonal.
    fn gate_of(&self, x: &Array, (blocks, bias): &(Array, Array)) -> Result<Array, Exception> {
        let (batch, count, heads) = (x.dim(0), x.dim(1), self.spec.heads as i32);
        let parts = x.reshape(&[batch, count, heads, x.dim(2) / heads])?;
        let parts = parts.transpose_axes(&[0, 2, 1, 3])?;
        let blocks = blocks.as_dtype(Dtype::Float32)?;
        let y = ops::matmul(&parts, &blocks)?.transpose_axes(&[0, 2, 1, 3])?;
        ops::sigmoid(y.add(bias)?)?.reshape(x.shape())
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = vec![&self.rates];
        for (weight, bias) in [&self.input_gate, &self.decay_gate] {
            arrays.extend([weight, bias]);
        }
        for linear in [&self.gate, &self.input, &self.output] {
            arrays.extend(linear.arrays());
        }
        arrays.extend(self.conv.arrays());
        arrays
    }
}
