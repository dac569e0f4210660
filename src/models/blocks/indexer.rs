//! The lightning indexer of sparse attention (DeepSeek-V3.2): judges the tokens
//! before each by `Σ weight · relu(query · key)` over a few small heads, and hides
//! all but the best.

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{Linear, Norm, Rope};
use crate::{
    mlx,
    models::spec::{IndexerSpec, MlaSpec, RopeSpec},
};

#[derive(Debug, Clone)]
pub struct Indexer {
    parts: IndexerParts,
    rope: Option<Rope>,
    heads: i32,
    top: i32,
    /// Of the heads' weights.
    scale: f32,
    /// `[dim]`, where the rotation lengthens: multiplies queries, for keys as
    /// well.
    stretch: Option<Array>,
}

/// The weights of an indexer.
#[derive(Debug, Clone)]
pub struct IndexerParts {
    /// From the queries' latent.
    pub query: Linear,
    pub key: Linear,
    pub norm: Norm,
    /// A number for each head.
    pub weights: Linear,
}

impl Indexer {
    pub fn new(mla: &MlaSpec, spec: &IndexerSpec, parts: IndexerParts) -> Self {
        let rope = mla.rope.as_ref().map(|rope| RopeSpec {
            dims: Some(mla.rope_dim),
            traditional: spec.traditional,
            ..rope.clone()
        });
        let squared = rope.as_ref().map_or(1.0, Rope::magnitude).powi(2) as f32;
        let factor = |i| if i < mla.rope_dim { squared } else { 1.0 };
        let stretch = || Array::from_iter((0..spec.dim).map(factor), &[spec.dim as i32]);
        Self {
            parts,
            rope: rope.map(|rope| Rope::new(&rope, spec.dim)),
            heads: spec.heads as i32,
            top: spec.top as i32,
            scale: 1.0 / ((spec.heads * spec.dim) as f32).sqrt(),
            stretch: (squared != 1.0).then(stretch),
        }
    }

    pub fn heads(&self) -> i32 {
        self.heads
    }

    pub fn rope(&self) -> Option<&Rope> {
        self.rope.as_ref()
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let parts = &self.parts;
        let mut arrays: Vec<&Array> = parts.norm.arrays().collect();
        for linear in [&parts.query, &parts.key, &parts.weights] {
            arrays.extend(linear.arrays());
        }
        arrays
    }

    /// Queries `[T, heads · dim]`, keys `[T, dim]` and weights `[T, heads]` of
    /// rows `x [T, hidden]` and the latent of their queries.
    pub fn rows(&self, x: &Array, latent: &Array) -> Result<[Array; 3], Exception> {
        let parts = &self.parts;
        let weights = parts.weights.forward(x)?;
        let scale = Array::from_f32(self.scale).as_dtype(weights.dtype())?;
        Ok([
            parts.query.forward(latent)?,
            parts.norm.forward(&parts.key.forward(x)?)?,
            weights.multiply(scale)?,
        ])
    }

    /// What to add to the scores `[T, L]` of attention, so that each row sees the
    /// best tokens alone; `None` while that is all of them. Queries `[1, heads,
    /// T, dim]` and keys `[1, 1, L, dim]` are rotated, weights `[1, heads, T,
    /// 1]`.
    pub fn mask(
        &self,
        queries: &Array,
        weights: &Array,
        keys: &Array,
    ) -> Result<Option<Array>, Exception> {
        let (heads, rows, dim) = (self.heads, queries.dim(2), queries.dim(3));
        let length = keys.dim(2);
        if length <= self.top {
            return Ok(None);
        }
        let queries = match &self.stretch {
            Some(stretch) => queries.multiply(stretch.as_dtype(queries.dtype())?)?,
            None => queries.clone(),
        };
        let queries = queries.reshape(&[heads * rows, dim])?;
        let scores = mlx::matmul_t(&queries, &keys.reshape(&[length, dim])?)?;
        let scores = scores
            .reshape(&[heads, rows, length])?
            .as_dtype(Dtype::Float32)?;
        let weights = weights.reshape(&[heads, rows, 1])?;
        let scores = ops::maximum(scores, Array::from_f32(0.0))?.multiply(weights)?;
        let lowest = Array::from_f32(f32::NEG_INFINITY);
        let places = ops::arange::<i32, i32>(0, length, None)?.reshape(&[1, length])?;
        let own = ops::arange::<i32, i32>(length - rows, length, None)?.reshape(&[rows, 1])?;
        let later = places.gt(own)?;
        let scores = ops::select(&later, &lowest, scores.sum_axis(0, false)?)?;
        let order = ops::argpartition_axis(scores.negative()?, self.top - 1, -1)?;
        let best = order.split_at_indices(&[self.top], -1)?.swap_remove(0);
        let hidden = ops::broadcast_to(&lowest, &[rows, length])?;
        let seen = ops::zeros_dtype(&[rows, self.top], Dtype::Float32)?;
        let mask = hidden.put_along_axis(best, seen, -1)?;
        let mask = ops::select(later, lowest, mask)?;
        Ok(Some(mask.as_dtype(queries.dtype())?))
    }
}
