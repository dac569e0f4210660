//! Attention by kernels that write keys and values into a sequence's own
//! buffers, where the device has such.

use mlx_rs::{Array, Dtype, error::Exception};

use super::{Attention, Context};
use crate::{
    mlx,
    models::{
        spec::Sight,
        step::{Plan, SequenceRows},
    },
};

/// Rows from which the kernel for chunks is the faster one (H200, 8,192 tokens: 8
/// rows take it 12 ms instead of 13, 16 rows 12 instead of 19).
const FEW_ALONE: usize = 4;

impl Attention {
    /// Radians that the pairs of a head turn from a position to the next, if
    /// the device has kernels of ours for such heads.
    pub(super) fn turns(&self, dtype: Dtype) -> Option<&Array> {
        let known =
            self.plain && mlx::supports_decode(self.heads, self.kv_heads, self.head_dim, dtype);
        self.rope.as_ref().filter(|_| known)?.turns()
    }

    /// Rows of a sequence that go with single rows of others: a sequence alone
    /// has a kernel of its own from a few rows on.
    pub(super) fn few_rows(&self, qkv: &Array, plan: &Plan) -> usize {
        let heads = [self.heads, self.kv_heads, self.head_dim];
        let served = mlx::supports_chunk(qkv.dim(0) as usize, heads, qkv.dtype());
        match plan.sequences {
            [_] if served && self.turns(qkv.dtype()).is_some() => FEW_ALONE,
            _ => mlx::MOST_ROWS,
        }
    }

    /// The first `few` sequences, so many rows in all, by the kernel that writes
    /// into their buffers; `None` where that cannot be.
    pub(super) fn decode_in_place(
        &self,
        qkv: &Array,
        (few, count): (usize, usize),
        at: &mut Context,
    ) -> Result<Option<Array>, Exception> {
        let (Some(turns), true) = (self.turns(qkv.dtype()), few > 0) else {
            return Ok(None);
        };
        let seen = self.seen();
        let form = ([self.kv_heads, self.head_dim], qkv.dtype());
        let plan = at.plan;
        let mut rows = Vec::with_capacity(count);
        let sequences = &plan.sequences[..few];
        let mut placed = sequences.iter();
        if !placed.all(|row| at.kv.has_place(row.sequence, at.layer)) {
            return Ok(None);
        }
        for sequence in sequences {
            let own = (at.layer, sequence.rows);
            let buffers = at.kv.place(sequence.sequence, own, form)?;
            let [keys, values] = &buffers.arrays;
            rows.extend((0..sequence.rows as i32).map(|before| {
                let position = sequence.position + before;
                mlx::DecodeRow {
                    position,
                    first: position.saturating_sub(seen.saturating_sub(1)).max(0),
                    before,
                    start: buffers.start as i32,
                    keys: keys.clone(),
                    values: values.clone(),
                }
            }));
        }
        let own = match few == plan.sequences.len() {
            true => qkv.clone(),
            false => qkv.split_at_indices(&[count as i32], 0)?.swap_remove(0),
        };
        let table = plan.row_table(mlx::row_table(&rows), mlx::ROW_FIELDS);
        let norms = self.norms();
        mlx::decode_attention(&own, &self.decode, norms, turns, &rows, &table).map(Some)
    }

    /// [`Self::chunk`] by the kernel that writes into the sequence's buffers;
    /// `None` where that cannot be.
    pub(super) fn chunk_in_place(
        &self,
        qkv: &Array,
        rows: &SequenceRows,
        at: &mut Context,
    ) -> Result<Option<Array>, Exception> {
        let (count, dtype) = (rows.rows, qkv.dtype());
        let heads = [self.heads, self.kv_heads, self.head_dim];
        let served = mlx::supports_chunk(count, heads, dtype);
        let Some(turns) = self.turns(dtype).filter(|_| served) else {
            return Ok(None);
        };
        if !at.kv.has_place(rows.sequence, at.layer) {
            return Ok(None);
        }
        let form = ([self.kv_heads, self.head_dim], dtype);
        let buffers = at.kv.place(rows.sequence, (at.layer, count), form)?;
        let [keys, values] = buffers.arrays;
        let rows = mlx::ChunkRows {
            position: rows.position,
            window: self.seen(),
            start: buffers.start as i32,
            keys,
            values,
        };
        let table = at.plan.row_table(rows.table(), mlx::ROW_FIELDS);
        mlx::chunk_attention(qkv, &self.decode, self.norms(), turns, &rows, &table).map(Some)
    }

    /// Positions that a row sees at most, its own included.
    fn seen(&self) -> i32 {
        match self.sight {
            Sight::Window(window) => window as i32,
            Sight::All | Sight::Chunk(_) => i32::MAX,
        }
    }

    /// Weights of the norms of queries and keys.
    pub(super) fn norms(&self) -> Option<(&Array, &Array)> {
        let (q, k) = self.parts.norms.as_ref()?;
        Some((q.rms_weight()?, k.rms_weight()?))
    }
}
