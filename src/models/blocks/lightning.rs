//! Lightning attention: linear attention whose heads forget at fixed rates,
//! with rotated queries and keys, a norm by groups and a gate.

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{Context, Linear, Norm, Rope, by_sequence, split};
use crate::{
    mlx::{Decays, Erase, Recurrence},
    models::spec::LightningSpec,
};

#[derive(Debug, Clone)]
pub struct Lightning {
    pub spec: LightningSpec,
    /// To queries, keys and values.
    pub input: Linear,
    /// Of heads' queries and keys.
    pub norms: Option<(Norm, Norm)>,
    pub rope: Rope,
    /// ln of what a head keeps from token to token, `[heads]`, f32.
    pub decays: Array,
    pub gate: Linear,
    pub norm: Norm,
    pub output: Linear,
}

impl Lightning {
    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array, at: &mut Context) -> Result<Array, Exception> {
        let (rows, width) = (x.dim(0), self.spec.width() as i32);
        let (heads, dim) = (self.spec.heads() as i32, self.spec.head_dim as i32);
        let [q, rest] = split(&self.input.forward(x)?, width, 1)?;
        let [k, v] = split(&rest, width, 1)?;
        let each =
            |own: &crate::models::step::SequenceRows| own.position..own.position + own.rows as i32;
        let positions = at.plan.sequences.iter().flat_map(each);
        let positions = Array::from_iter(positions, &[rows]);
        let turned = |x: &Array, norm: Option<&Norm>| {
            let mut x = x.reshape(&[rows, heads, 1, dim])?;
            if let Some(norm) = norm {
                x = norm.forward(&x)?;
            }
            self.rope
                .forward_each(&x, &positions)?
                .reshape(&[rows, width])
        };
        let (q_norm, k_norm) = self.norms.as_ref().map(|(q, k)| (q, k)).unzip();
        let qkv = ops::concatenate(&[turned(&q, q_norm)?, turned(&k, k_norm)?, v], 1)?;
        let y = by_sequence(&qkv, at, |rows, state| self.mix(rows, state))?;
        let y = self.norm.by_groups(&y, self.spec.norm_groups as i32)?;
        let gate = ops::sigmoid(self.gate.forward(x)?)?;
        self.output.forward(&y.multiply(gate)?)
    }

    /// Rows `[B, T, queries | keys | values]` and the state before them.
    fn mix(
        &self,
        rows: &Array,
        state: Option<Vec<Array>>,
    ) -> Result<(Array, Vec<Array>), Exception> {
        let (batch, count, dtype) = (rows.dim(0), rows.dim(1), rows.dtype());
        let (heads, dim) = (self.spec.heads() as i32, self.spec.head_dim as i32);
        let parts = rows.as_dtype(Dtype::Float32)?.split_equal(3, 2)?;
        let by_head = |x: &Array| x.reshape(&[batch, count, heads, dim]);
        let scalars = [batch, count, heads];
        let scale = Array::from_f32(1.0 / (dim as f32).sqrt());
        let recurrence = Recurrence {
            queries: by_head(&parts[0])?.multiply(scale)?,
            keys: by_head(&parts[1])?,
            values: by_head(&parts[2])?,
            decays: Decays::Head(ops::broadcast_to(&self.decays, &scalars)?),
            weights: ops::ones_dtype(&scalars, Dtype::Float32)?,
            state: state.and_then(|state| state.into_iter().next()),
            erase: Erase::Nothing,
        };
        let (y, state) = recurrence.run()?;
        let y = y.reshape(&[batch, count, heads * dim])?;
        Ok((y.as_dtype(dtype)?, vec![state]))
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = vec![&self.decays];
        for linear in [&self.input, &self.gate, &self.output] {
            arrays.extend(linear.arrays());
        }
        if let Some((q, k)) = &self.norms {
            arrays.extend(q.arrays().chain(k.arrays()));
        }
        arrays.extend(self.norm.arrays());
        arrays
    }
}
