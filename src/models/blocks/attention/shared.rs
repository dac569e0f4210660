//! What few models ask of attention. Layers that keep no keys and values of
//! their own look at those of an earlier layer, which lends them to the step's
//! plan; and heads may share key heads by turns.

use mlx_rs::{Array, error::Exception, ops};

use super::{Attention, Context};

impl Attention {
    /// Queries `[T, heads · head_dim]` that look at what another layer keeps.
    pub(super) fn mix_shared(
        &self,
        queries: &Array,
        layer: usize,
        at: &mut Context,
    ) -> Result<Array, Exception> {
        let parts = queries.split_at_indices(&at.plan.cuts, 0)?;
        let mut mixed = Vec::with_capacity(parts.len());
        for (part, rows) in parts.iter().zip(at.plan.sequences) {
            let count = rows.rows as i32;
            let shape = [1, count, self.heads, self.head_dim];
            let mut q = part.reshape(&shape)?.transpose_axes(&[0, 2, 1, 3])?;
            if let Some((norm, _)) = &self.parts.norms {
                q = norm.forward(&q)?;
            }
            if let Some(rope) = &self.rope {
                q = rope.forward(&q, rows.position)?;
            }
            let past = at.plan.lent([layer, rows.sequence])?;
            let y = self.attend_past(&q, &past, at)?;
            let y = y.transpose_axes(&[0, 2, 1, 3])?;
            mixed.push(y.reshape(&[count, self.heads * self.head_dim])?);
        }
        ops::concatenate(&mixed, 0)
    }

    /// Heads `[T, heads · head_dim]` in the order that the output's weights have.
    pub(super) fn in_order(&self, mixed: Array) -> Result<Array, Exception> {
        let Some(places) = &self.places else {
            return Ok(mixed);
        };
        let by_head = mixed.reshape(&[mixed.dim(0), self.heads, self.head_dim])?;
        by_head.take_axis(places, 1)?.reshape(mixed.shape())
    }
}
