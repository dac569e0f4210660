//! Mamba: a selective state space behind a short convolution, gated. What it
//! selects by comes out of the convolution.

use mlx_rs::{Array, error::Exception};

use super::{
    CausalConv, Context, Linear, Norm, by_sequence, gated_delta::parts, mamba2::time_steps, silu,
    split,
};
use crate::{
    mlx::{Decays, Erase, Recurrence},
    models::spec::{MambaLayout, MambaSpec},
};

#[derive(Debug, Clone)]
pub struct Mamba {
    pub spec: MambaSpec,
    /// To `[x | gate]`.
    pub input: Linear,
    pub conv: CausalConv,
    /// Of `x` after the convolution: `[what steps are made of | B | C]`.
    pub select: Linear,
    /// Of these three.
    pub norms: Option<[Norm; 3]>,
    /// To time steps, and what is added to them, `[heads]`, f32.
    pub step: Linear,
    pub step_bias: Array,
    /// What a time step adds to the ln of decays, `[heads]` or `[heads, state]`,
    /// and how much of its input a head passes on, `[heads]`, f32.
    pub slopes: Array,
    pub skip: Array,
    pub output: Linear,
}

impl Mamba {
    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array, at: &mut Context) -> Result<Array, Exception> {
        let [x, gate] = split(&self.input.forward(x)?, self.spec.width() as i32, 1)?;
        let y = by_sequence(&x, at, |rows, state| self.mix(rows, state))?;
        self.output.forward(&y.multiply(silu(&gate)?)?)
    }

    /// Rows `[B, T, x]` and what came before.
    fn mix(
        &self,
        rows: &Array,
        state: Option<Vec<Array>>,
    ) -> Result<(Array, Vec<Array>), Exception> {
        let spec = &self.spec;
        let (batch, count, dtype) = (rows.dim(0), rows.dim(1), rows.dtype());
        let [conv_state, state] = parts(state);
        let (x, conv_state) = self.conv.forward(rows, conv_state.as_ref())?;
        let x = silu(&x)?;
        let flat = x.reshape(&[batch * count, x.dim(2)])?.as_dtype(dtype)?;
        let [steps, keys, queries] = self.selected(&flat)?;
        let by_token = |x: &Array, shape: &[i32]| x.reshape(&[&[batch, count], shape].concat());
        let (heads, states) = (spec.heads as i32, spec.state as i32);
        let steps = by_token(&self.step.forward(&steps)?, &[heads])?;
        let steps = time_steps(&steps, &self.step_bias, spec.step_limit)?;
        let values = by_token(&x, &[heads, spec.head_dim as i32])?;
        let float = |x: &Array| by_token(x, &[1, states])?.as_dtype(mlx_rs::Dtype::Float32);
        let recurrence = Recurrence {
            queries: float(&queries)?,
            keys: float(&keys)?,
            values: values.clone(),
            decays: match spec.layout {
                MambaLayout::ByHead => Decays::Head(steps.multiply(&self.slopes)?),
                MambaLayout::Each => Decays::Slopes {
                    steps: steps.clone(),
                    slopes: self.slopes.clone(),
                },
            },
            weights: steps,
            state,
            erase: Erase::Nothing,
        };
        let (y, state) = recurrence.run()?;
        let y = y.add(values.multiply(self.skip.expand_dims(-1)?)?)?;
        let y = y.reshape(&[batch, count, spec.width() as i32])?;
        Ok((y.as_dtype(dtype)?, vec![conv_state, state]))
    }

    /// What time steps are made of, keys and queries of `x [T, width]`.
    fn selected(&self, x: &Array) -> Result<[Array; 3], Exception> {
        let [steps, rest] = split(&self.select.forward(x)?, self.spec.step_rank as i32, 1)?;
        let [keys, queries] = split(&rest, self.spec.state as i32, 1)?;
        match &self.norms {
            None => Ok([steps, keys, queries]),
            Some([of_steps, of_keys, of_queries]) => Ok([
                of_steps.forward(&steps)?,
                of_keys.forward(&keys)?,
                of_queries.forward(&queries)?,
            ]),
        }
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = vec![&self.step_bias, &self.slopes, &self.skip];
        arrays.extend(self.conv.arrays());
        for linear in [&self.input, &self.select, &self.step, &self.output] {
            arrays.extend(linear.arrays());
        }
        arrays.extend(self.norms.iter().flatten().flat_map(Norm::arrays));
        arrays
    }
}
