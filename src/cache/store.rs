//! The one question a model asks of a cache: append these keys and values, and
//! show everything the sequence may look at.
//!
//! Not responsible for positions (the model's step carries them), for masks, or
//! for deciding what is kept.

use mlx_rs::{Array, error::Exception};

use super::tail::RowForm;

/// Keys and values of running sequences, by sequence and layer.
pub trait KvStore {
    /// Appends the keys and values of the next `T` tokens of `sequence` in
    /// `layer`, both `[1, kv_heads, T, head_dim]`, and returns views
    /// `[1, kv_heads, L, head_dim]` of all `L` tokens of the sequence so far in
    /// that layer, the appended ones last, in the order of their positions.
    ///
    /// `sequence` is whatever number the caller of the model put into the step.
    /// A model calls this once per layer and sequence of a step, so a store
    /// counts tokens per layer or by the first layer, as it likes.
    ///
    /// # Errors
    /// When MLX refuses an operation, or the sequence is unknown to the store.
    fn update(
        &mut self,
        sequence: usize,
        layer: usize,
        keys: Array,
        values: Array,
    ) -> Result<(Array, Array), Exception>;

    /// Counts one more token of `sequence` in `layer` and returns the whole
    /// buffers of keys and values, `[1, kv_heads, capacity, head_dim]`: the
    /// caller writes the token's own into them in place. `None`, and nothing is
    /// counted, from a store without such buffers.
    ///
    /// # Errors
    /// As for [`KvStore::update`].
    fn place(
        &mut self,
        _sequence: usize,
        _layer: usize,
        _form: RowForm,
    ) -> Result<Option<(Array, Array)>, Exception> {
        Ok(None)
    }
}
