//! Mamba 2: a selective state space behind a short convolution, gated.

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{CausalConv, Context, Linear, Norm, by_sequence, gated_delta::parts, silu, split};
use crate::{
    mlx::{Decays, Erase, Recurrence},
    models::spec::Mamba2Spec,
};

#[derive(Debug, Clone)]
pub struct Mamba2 {
    pub spec: Mamba2Spec,
    /// To `[gate | x | B | C | time steps]`.
    pub input: Linear,
    pub conv: CausalConv,
    /// What a time step adds to the ln of each head's decay, what is added to
    /// the step before, and how much of its input a head passes on, `[heads]`,
    /// f32.
    pub slopes: Array,
    pub step_bias: Array,
    pub skip: Array,
    pub norm: Option<Norm>,
    pub output: Linear,
}

impl Mamba2 {
    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array, at: &mut Context) -> Result<Array, Exception> {
        let width = self.spec.width() as i32;
        let [gate, inner] = split(&self.input.forward(x)?, width, 1)?;
        let y = by_sequence(&inner, at, |rows, state| self.mix(rows, state))?;
        let y = y.multiply(silu(&gate)?)?;
        let y = match (&self.norm, self.spec.norm_groups) {
            (Some(norm), Some(groups)) => norm.by_groups(&y, groups as i32)?,
            (Some(norm), None) => norm.forward(&y)?,
            (None, _) => y,
        };
        self.output.forward(&y)
    }

    /// Rows `[B, T, x | B | C | time steps]` and what came before.
    fn mix(
        &self,
        rows: &Array,
        state: Option<Vec<Array>>,
    ) -> Result<(Array, Vec<Array>), Exception> {
        let spec = &self.spec;
        let dtype = rows.dtype();
        let (batch, count) = (rows.dim(0), rows.dim(1));
        let [conv_state, state] = parts(state);
        let [inner, steps] = split(rows, spec.channels() as i32, 2)?;
        let (inner, conv_state) = self.conv.forward(&inner, conv_state.as_ref())?;
        let inner = silu(&inner)?;
        let [x, rest] = split(&inner, spec.width() as i32, 2)?;
        let [keys, queries] = split(&rest, (spec.groups * spec.state) as i32, 2)?;
        let values = [batch, count, spec.heads as i32, spec.head_dim as i32];
        let groups = [batch, count, spec.groups as i32, spec.state as i32];
        let x = x.reshape(&values)?;
        let steps = time_steps(&steps, &self.step_bias, spec.step_limit)?;
        let recurrence = Recurrence {
            queries: queries.reshape(&groups)?,
            keys: keys.reshape(&groups)?,
            values: x.clone(),
            decays: Decays::Head(steps.multiply(&self.slopes)?),
            weights: steps,
            state,
            erase: Erase::Nothing,
        };
        let (y, state) = recurrence.run()?;
        let y = y.add(x.multiply(self.skip.expand_dims(-1)?)?)?;
        let y = y.reshape(&[batch, count, spec.width() as i32])?;
        Ok((y.as_dtype(dtype)?, vec![conv_state, state]))
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = self.input.arrays();
        arrays.extend(self.conv.arrays());
        arrays.extend([&self.slopes, &self.step_bias, &self.skip]);
        arrays.extend(self.norm.iter().flat_map(Norm::arrays));
        arrays.extend(self.output.arrays());
        arrays
    }
}

/// Time steps of a state space: softplus of `x` and a bias, within limits, f32.
pub fn time_steps(x: &Array, bias: &Array, (least, most): (f32, f32)) -> Result<Array, Exception> {
    let steps = x.as_dtype(Dtype::Float32)?.add(bias)?;
    let steps = ops::logaddexp(steps, Array::from_f32(0.0))?;
    let steps = ops::maximum(steps, Array::from_f32(least))?;
    ops::minimum(steps, Array::from_f32(most))
}
