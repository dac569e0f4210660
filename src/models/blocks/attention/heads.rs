//! Heads of queries, keys and values: apart, normed, rotated, and lengthened with
//! their positions.

use mlx_rs::{Array, error::Exception};

use super::{Attention, Places, split};
use crate::{
    mlx,
    models::{
        spec::{QkNorm, Temperature},
        step::SequenceRows,
    },
};

impl Attention {
    /// Splits rows of queries, keys and values, `shape` sequences of so many
    /// each, into `[B, heads, T, head_dim]`; the first two normed and rotated
    /// where the model wants it.
    pub(super) fn heads(
        &self,
        qkv: &Array,
        shape: [i32; 2],
        places: Places,
    ) -> Result<[Array; 3], Exception> {
        let [q, k, v] = match self.value_dim == self.head_dim {
            true => {
                let heads = by_head(qkv, shape, self.heads + 2 * self.kv_heads)?;
                let [q, rest] = split(&heads, self.heads, 1)?;
                let [k, v] = split(&rest, self.kv_heads, 1)?;
                [q, k, v]
            }
            false => {
                let of_keys = self.heads + self.kv_heads;
                let [qk, v] = split(qkv, of_keys * self.head_dim, 1)?;
                let [q, k] = split(&by_head(&qk, shape, of_keys)?, self.heads, 1)?;
                [q, k, by_head(&v, shape, self.kv_heads)?]
            }
        };
        let v = match self.value_norm {
            true => mlx::rms_norm(&v, None, self.plain_eps)?,
            false => v,
        };
        let v = match self.value_scale {
            None => v,
            Some(scale) => v.multiply(Array::from_f32(scale).as_dtype(v.dtype())?)?,
        };
        let (mut q, mut k) = match (&self.parts.norms, self.norm) {
            (Some((q_norm, k_norm)), QkNorm::Head | QkNorm::EachHead) => {
                (q_norm.forward(&q)?, k_norm.forward(&k)?)
            }
            _ => (q, k),
        };
        if let Some(rope) = &self.rope {
            let turn = |x: &Array| match places {
                Places::From(position) => rope.forward(x, position),
                Places::Each(positions, _) => rope.forward_each(x, positions),
            };
            (q, k) = (turn(&q)?, turn(&k)?);
        }
        match (self.norm, &self.parts.norms) {
            (QkNorm::Plain, _) => {
                q = mlx::rms_norm(&q, None, self.plain_eps)?;
                k = mlx::rms_norm(&k, None, self.plain_eps)?;
            }
            (QkNorm::HeadAfter, Some((q_norm, k_norm))) => {
                (q, k) = (q_norm.forward(&q)?, k_norm.forward(&k)?);
            }
            _ => {}
        }
        if let Some(stretch) = &self.stretch {
            q = q.multiply(stretch.as_dtype(q.dtype())?)?;
        }
        if let Some(temperature) = self.temperature {
            q = q.multiply(temperature.of(places, q.dim(2)).as_dtype(q.dtype())?)?;
        }
        Ok([q, k, v])
    }
}

/// `x [B · T, heads · width]` as `[B, heads, T, width]`.
fn by_head(x: &Array, [batch, rows]: [i32; 2], heads: i32) -> Result<Array, Exception> {
    let width = x.dim(1) / heads;
    match rows {
        // Rows before heads and heads before rows are the same.
        1 => x.reshape(&[batch, heads, 1, width]),
        _ => x
            .reshape(&[batch, rows, heads, width])?
            .transpose_axes(&[0, 2, 1, 3]),
    }
}

impl Temperature {
    /// Factors `[T, 1]` of all rows of some sequences.
    pub fn of_rows(self, sequences: &[SequenceRows]) -> Array {
        let positions = |rows: &SequenceRows| rows.position..rows.position + rows.rows as i32;
        let factors = sequences.iter().flat_map(positions).map(|p| self.at(p));
        let count = sequences.iter().map(|rows| rows.rows as i32).sum();
        Array::from_iter(factors, &[count, 1])
    }

    fn at(self, position: i32) -> f32 {
        let steps = (f64::from(position + i32::from(self.first)) / self.floor).floor();
        (1.0 + self.scale * (steps + 1.0).ln()) as f32
    }

    /// Factors of the queries of `rows` rows: `[rows, 1]`, or `[T, 1, 1, 1]`.
    fn of(self, places: Places, rows: i32) -> Array {
        let factor = |position: i32| self.at(position);
        match places {
            Places::From(first) => Array::from_iter((first..first + rows).map(factor), &[rows, 1]),
            Places::Each(_, sequences) => {
                let factors = sequences.iter().map(|rows| factor(rows.position));
                Array::from_iter(factors, &[sequences.len() as i32, 1, 1, 1])
            }
        }
    }
}
