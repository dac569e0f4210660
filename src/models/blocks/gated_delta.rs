//! The gated delta rule behind a short convolution, with a gated norm after it
//! (Qwen3-Next, Qwen3.5, OLMo Hybrid), and its variant with a decay for every
//! column of a head's state (Kimi Linear).

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{CausalConv, Context, Linear, Norm, Projections, Through, by_sequence, silu, split};
use crate::{
    mlx::{self, Decays, Erase, Recurrence},
    models::spec::{DeltaLayout, GatedDeltaSpec},
};

/// Added to the squared length of queries and keys.
const LENGTH_EPS: f32 = 1e-6;

#[derive(Debug, Clone)]
pub struct GatedDelta {
    pub spec: GatedDeltaSpec,
    /// To `[queries | keys | values | β | decays | gate]`.
    pub input: Projections,
    /// Decays and gate, where they are not part of it.
    pub low_rank: Option<[Through; 2]>,
    pub conv: CausalConv,
    /// What a time step adds to the ln of each value head's decay,
    /// `[value_heads]` or, with decays for columns, `[value_heads, 1]`, and what
    /// is added to the step before, `[decays]`, f32.
    pub slopes: Array,
    pub step_bias: Array,
    /// Of each head's result.
    pub norm: Norm,
    pub output: Linear,
}

impl GatedDelta {
    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array, at: &mut Context) -> Result<Array, Exception> {
        let spec = &self.spec;
        let (rows, dtype) = (x.dim(0), x.dtype());
        let inner = (spec.channels() + spec.value_heads + spec.decays()) as i32;
        let mut input = self.input.forward(x)?;
        if let Some([decays, gate]) = &self.low_rank {
            input = ops::concatenate(&[input, decays.forward(x)?, gate.forward(x)?], 1)?;
        }
        let [inner, gate] = split(&input, inner, 1)?;
        let y = by_sequence(&inner, at, |rows, state| self.mix(rows, state))?;
        let heads = [rows, spec.value_heads as i32, spec.value_dim as i32];
        let normed = self.norm.forward(&y.reshape(&heads)?)?;
        let gate = gate.as_dtype(Dtype::Float32)?;
        let gate = match spec.layout {
            DeltaLayout::LowRank => ops::sigmoid(&gate)?,
            _ => silu(&gate)?,
        };
        let gate = gate.reshape(&heads)?;
        let y = normed.as_dtype(Dtype::Float32)?.multiply(gate)?;
        let y = y.as_dtype(dtype)?.reshape(&[rows, spec.values() as i32])?;
        self.output.forward(&y)
    }

    /// Rows `[B, T, queries | keys | values | β | decay]` and what came before.
    fn mix(
        &self,
        rows: &Array,
        state: Option<Vec<Array>>,
    ) -> Result<(Array, Vec<Array>), Exception> {
        let spec = &self.spec;
        let dtype = rows.dtype();
        let (batch, count) = (rows.dim(0), rows.dim(1));
        let [conv_state, state] = parts(state);
        let [qkv, scalars] = split(rows, spec.channels() as i32, 2)?;
        let (qkv, conv_state) = self.conv.forward(&qkv, conv_state.as_ref())?;
        let qkv = silu(&qkv)?;
        let [queries, rest] = split(&qkv, spec.keys() as i32, 2)?;
        let [keys, values] = split(&rest, spec.keys() as i32, 2)?;
        let key_heads = [batch, count, spec.key_heads as i32, spec.key_dim as i32];
        let value_heads = [batch, count, spec.value_heads as i32, spec.value_dim as i32];
        // Of length 1, and queries besides over √key_dim.
        let width = spec.key_dim as f32;
        let unit = |x: &Array, scale: f32| {
            let normed = mlx::rms_norm(&x.reshape(&key_heads)?, None, LENGTH_EPS / width)?;
            normed.multiply(Array::from_f32(scale))
        };
        let scalars = scalars.as_dtype(Dtype::Float32)?;
        let [weights, steps] = split(&scalars, spec.value_heads as i32, 2)?;
        let steps = ops::logaddexp(steps.add(&self.step_bias)?, Array::from_f32(0.0))?;
        let decays = match spec.layout.by_column() {
            true => {
                let columns = [batch, count, spec.value_heads as i32, spec.key_dim as i32];
                Decays::Column(steps.reshape(&columns)?.multiply(&self.slopes)?)
            }
            false => Decays::Head(steps.multiply(&self.slopes)?),
        };
        let mut weights = ops::sigmoid(&weights)?;
        if spec.doubled {
            weights = weights.multiply(Array::from_f32(2.0))?;
        }
        let recurrence = Recurrence {
            queries: unit(&queries, 1.0 / width)?,
            keys: unit(&keys, 1.0 / width.sqrt())?,
            values: values.reshape(&value_heads)?,
            decays,
            weights,
            state,
            erase: Erase::Key,
        };
        let (y, state) = recurrence.run()?;
        let y = y.reshape(&[batch, count, spec.values() as i32])?;
        Ok((y.as_dtype(dtype)?, vec![conv_state, state]))
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = self.input.arrays();
        arrays.extend(self.low_rank.iter().flatten().flat_map(Through::arrays));
        arrays.extend(self.conv.arrays());
        arrays.extend([&self.slopes, &self.step_bias]);
        arrays.extend(self.norm.arrays());
        arrays.extend(self.output.arrays());
        arrays
    }
}

/// What a mixer with two arrays of state carries on.
pub fn parts(state: Option<Vec<Array>>) -> [Option<Array>; 2] {
    let mut state = state.unwrap_or_default().into_iter();
    [state.next(), state.next()]
}
