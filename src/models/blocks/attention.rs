//! Attention with grouped queries: the one block that knows sequences.
//!
//! Everything up to the rotation works on rows; then each sequence of the step
//! writes its keys and values and looks at its own past.

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{Linear, Norm, Projections, Rope};
use crate::{
    cache::KvStore,
    mlx,
    models::{
        spec::AttentionSpec,
        step::{Plan, SequenceRows},
    },
};

#[derive(Debug, Clone)]
pub struct Attention {
    qkv: Projections,
    output: Linear,
    /// Norms of the heads of queries and keys.
    qk_norm: Option<(Norm, Norm)>,
    rope: Rope,
    heads: i32,
    kv_heads: i32,
    head_dim: i32,
    window: Option<i32>,
    scale: f32,
    /// For the kernel that serves single rows, where the device has one.
    decode: mlx::DecodeSpec,
}

/// One layer of a step, as attention needs it.
pub struct Context<'a> {
    pub layer: usize,
    pub plan: &'a Plan<'a>,
    pub kv: &'a mut dyn KvStore,
}

impl Attention {
    pub fn new(
        spec: &AttentionSpec,
        qkv: Projections,
        output: Linear,
        qk_norm: Option<(Norm, Norm)>,
    ) -> Self {
        let magnitude = Rope::magnitude(&spec.rope);
        let scale = (magnitude * magnitude / (spec.head_dim as f64).sqrt()) as f32;
        let form = [spec.heads, spec.kv_heads, spec.head_dim].map(|n| n as i32);
        let eps = qk_norm.as_ref().map(|(q, _)| q.eps);
        Self {
            decode: mlx::DecodeSpec::new(form, eps, spec.rope.traditional, scale),
            qkv,
            output,
            qk_norm,
            rope: Rope::new(&spec.rope, spec.head_dim),
            heads: spec.heads as i32,
            kv_heads: spec.kv_heads as i32,
            head_dim: spec.head_dim as i32,
            window: spec.window.map(|window| window as i32),
            scale,
        }
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = self.qkv.arrays();
        arrays.extend(self.output.arrays());
        if let Some((q, k)) = &self.qk_norm {
            arrays.extend([&q.weight, &k.weight]);
        }
        arrays
    }

    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array, mut at: Context) -> Result<Array, Exception> {
        let qkv = self.qkv.forward(x)?;
        let mixed = self.mix(&qkv, at.plan, &mut at)?;
        self.output.forward(&mixed)
    }

    fn mix(&self, qkv: &Array, plan: &Plan, at: &mut Context) -> Result<Array, Exception> {
        let singles = plan.leading_singles();
        if let Some(mixed) = self.decode_in_place(qkv, singles, at)? {
            return self.with_chunks(mixed, qkv, singles, at);
        }
        match (plan.sequences, &plan.positions) {
            ([only], _) => self.chunk(qkv, only, at),
            (_, Some(positions)) if self.rope.is_static() => self.decode_rows(qkv, positions, at),
            _ => self.chunks(qkv, 0, at),
        }
    }

    /// All sequences from the `first` on, `qkv` being their rows.
    fn chunks(&self, qkv: &Array, first: usize, at: &mut Context) -> Result<Array, Exception> {
        let sequences = &at.plan.sequences[first..];
        if let [only] = sequences {
            return self.chunk(qkv, only, at);
        }
        let start = first
            .checked_sub(1)
            .map_or(0, |before| at.plan.cuts[before]);
        let cuts: Vec<i32> = at.plan.cuts[first..]
            .iter()
            .map(|cut| cut - start)
            .collect();
        let parts = qkv.split_at_indices(&cuts, 0)?;
        let mixed: Result<Vec<Array>, _> = parts
            .iter()
            .zip(sequences)
            .map(|(part, rows)| self.chunk(part, rows, at))
            .collect();
        ops::concatenate(&mixed?, 0)
    }

    /// `mixed`, of the first `singles` sequences, followed by the others.
    fn with_chunks(
        &self,
        mixed: Array,
        qkv: &Array,
        singles: usize,
        at: &mut Context,
    ) -> Result<Array, Exception> {
        if singles == at.plan.sequences.len() {
            return Ok(mixed);
        }
        let parts = qkv.split_at_indices(&[singles as i32], 0)?;
        let rest = self.chunks(&parts[1], singles, at)?;
        ops::concatenate(&[mixed, rest], 0)
    }

    /// Whether the device has kernels of ours for heads of this form.
    fn decodes_in_place(&self, dtype: Dtype) -> bool {
        self.rope.turns().is_some()
            && mlx::supports_decode(self.heads, self.kv_heads, self.head_dim, dtype)
    }

    /// The first `singles` sequences, one row each, by the kernel that writes
    /// into their buffers; `None` where that cannot be.
    fn decode_in_place(
        &self,
        qkv: &Array,
        singles: usize,
        at: &mut Context,
    ) -> Result<Option<Array>, Exception> {
        let served = singles > 0 && self.decodes_in_place(qkv.dtype());
        let (Some(turns), true) = (self.rope.turns(), served) else {
            return Ok(None);
        };
        let form = ([self.kv_heads, self.head_dim], qkv.dtype());
        let plan = at.plan;
        let mut rows = Vec::with_capacity(singles);
        let mut singly = plan.sequences[..singles].iter();
        if !singly.all(|row| at.kv.has_place(row.sequence, at.layer)) {
            return Ok(None);
        }
        for sequence in &plan.sequences[..singles] {
            let [keys, values] = at.kv.place(sequence.sequence, at.layer, form)?;
            let seen = self.window.unwrap_or(i32::MAX);
            rows.push(mlx::DecodeRow {
                position: sequence.position,
                first: sequence
                    .position
                    .saturating_sub(seen.saturating_sub(1))
                    .max(0),
                keys,
                values,
            });
        }
        let own = match singles == plan.sequences.len() {
            true => qkv.clone(),
            false => qkv.split_at_indices(&[singles as i32], 0)?.swap_remove(0),
        };
        let table = plan.row_table(mlx::row_table(&rows));
        let norms = self.norms();
        mlx::decode_attention(&own, &self.decode, norms, turns, &rows, &table).map(Some)
    }

    fn all_heads(&self) -> i32 {
        self.heads + 2 * self.kv_heads
    }

    /// Rows of one sequence: `[T, (heads + 2 kv_heads) · head_dim]` to
    /// `[T, heads · head_dim]`.
    fn chunk(
        &self,
        qkv: &Array,
        rows: &SequenceRows,
        at: &mut Context,
    ) -> Result<Array, Exception> {
        let count = rows.rows as i32;
        let [q, k, v] = self.chunk_heads(qkv, rows, at.plan)?;
        let mixed = self.attend(q, k, v, rows.sequence, at)?;
        match count {
            1 => mixed.reshape(&[1, self.heads * self.head_dim]),
            _ => mixed
                .transpose_axes(&[0, 2, 1, 3])?
                .reshape(&[count, self.heads * self.head_dim]),
        }
    }

    /// Queries, keys and values `[1, heads, T, head_dim]` of rows of one
    /// sequence, normed and rotated.
    fn chunk_heads(
        &self,
        qkv: &Array,
        rows: &SequenceRows,
        plan: &Plan,
    ) -> Result<[Array; 3], Exception> {
        if let (Some(turns), true) = (self.rope.turns(), self.decodes_in_place(qkv.dtype())) {
            let table = plan.row_table(vec![rows.position, 0, 0]);
            return mlx::spread_heads(qkv, &self.decode, self.norms(), turns, &table);
        }
        let count = rows.rows as i32;
        // With one row, rows before heads and heads before rows are the same.
        let heads = match count {
            1 => qkv.reshape(&[1, self.all_heads(), 1, self.head_dim])?,
            _ => qkv
                .reshape(&[1, count, self.all_heads(), self.head_dim])?
                .transpose_axes(&[0, 2, 1, 3])?,
        };
        let [q, k, v] = self.heads(&heads)?;
        let q = self.rope.forward(&q, rows.position)?;
        let k = self.rope.forward(&k, rows.position)?;
        Ok([q, k, v])
    }

    /// Weights of the norms of queries and keys.
    fn norms(&self) -> Option<(&Array, &Array)> {
        self.qk_norm.as_ref().map(|(q, k)| (&q.weight, &k.weight))
    }

    /// One row of each of several sequences: normed and rotated together.
    fn decode_rows(
        &self,
        qkv: &Array,
        positions: &Array,
        at: &mut Context,
    ) -> Result<Array, Exception> {
        let sequences = at.plan.sequences;
        let count = sequences.len() as i32;
        let heads = qkv.reshape(&[count, self.all_heads(), 1, self.head_dim])?;
        let [q, k, v] = self.heads(&heads)?;
        let q = self
            .rope
            .forward_each(&q, positions)?
            .split_equal(count, 0)?;
        let k = self
            .rope
            .forward_each(&k, positions)?
            .split_equal(count, 0)?;
        let v = v.split_equal(count, 0)?;
        let mut mixed = Vec::with_capacity(sequences.len());
        for (((rows, q), k), v) in sequences.iter().zip(q).zip(k).zip(v) {
            mixed.push(self.attend(q, k, v, rows.sequence, at)?);
        }
        ops::concatenate(&mixed, 0)?.reshape(&[count, self.heads * self.head_dim])
    }

    /// Splits `[B, heads + 2 kv_heads, T, head_dim]` into queries, keys and
    /// values, the first two normed where the model wants it.
    fn heads(&self, heads: &Array) -> Result<[Array; 3], Exception> {
        let cuts = [self.heads, self.heads + self.kv_heads];
        let parts = heads.split_at_indices(&cuts, 1)?;
        let [q, k, v] = <[Array; 3]>::try_from(parts)
            .map_err(|_| Exception::custom("MLX split queries, keys and values wrongly"))?;
        Ok(match &self.qk_norm {
            Some((q_norm, k_norm)) => [q_norm.forward(&q)?, k_norm.forward(&k)?, v],
            None => [q, k, v],
        })
    }

    /// Stores `k` and `v` and mixes what `q [1, heads, T, head_dim]` may see.
    fn attend(
        &self,
        q: Array,
        k: Array,
        v: Array,
        sequence: usize,
        at: &mut Context,
    ) -> Result<Array, Exception> {
        let past = at.kv.update(sequence, at.layer, k, v)?;
        let rows = q.dim(2);
        let Some(window) = self.window else {
            return past.attend(&q, self.scale, rows > 1, None);
        };
        let [mut keys, mut values] = past.numbers()?;
        let length = keys.dim(2);
        // The first row sees back to `window - 1` tokens before itself.
        let skip = (length - rows - (window - 1)).max(0);
        if skip > 0 {
            keys = tail(&keys, skip)?;
            values = tail(&values, skip)?;
        }
        let mut mask = None;
        if rows > 1 && length > window {
            let keys = length - skip;
            mask = Some(at.plan.window_mask(rows, keys, window, q.dtype())?);
        }
        let causal = rows > 1 && mask.is_none();
        mlx::attention(&q, &keys, &values, self.scale, causal, mask.as_ref())
    }
}

/// `x [1, H, L, D]` without its first `skip` tokens.
fn tail(x: &Array, skip: i32) -> Result<Array, Exception> {
    x.split_at_indices(&[skip], 2)?
        .pop()
        .ok_or_else(|| Exception::custom("MLX split keys or values wrongly"))
}
