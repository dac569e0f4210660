//! The one question a model asks of a cache: append these keys and values, and
//! show everything the sequence may look at.
//!
//! Not responsible for positions (the model's step carries them), for masks, or
//! for deciding what is kept.

use std::{ops::Range, rc::Rc};

use mlx_rs::{Array, error::Exception};

use super::{scheme::Rotation, tail::RowForm};
use crate::mlx::{self, Scoring, Segment};

/// Everything that a sequence may look at in a layer, in the order of positions:
/// all its tokens, or those at the end that the layer reaches.
#[derive(Debug)]
pub struct Past {
    segments: Vec<Segment>,
    /// The position of its first token.
    start: usize,
    /// Keys and values are rotated by it, if there is one.
    rotation: Option<Rc<Rotation>>,
}

impl Past {
    pub(super) fn new(
        segments: Vec<Segment>,
        start: usize,
        rotation: Option<Rc<Rotation>>,
    ) -> Self {
        Self {
            segments,
            start,
            rotation,
        }
    }

    /// Keys and values in one piece each.
    pub fn plain(keys: Array, values: Array) -> Self {
        Self::new(vec![Segment::plain(keys, values)], 0, None)
    }

    /// The positions of its tokens.
    pub fn positions(&self) -> Range<i32> {
        let count: i32 = self.segments.iter().map(Segment::rows).sum();
        let start = self.start as i32;
        start..start + count
    }

    /// Attention of queries `[1, heads, T, head_dim]`, the last `T` positions;
    /// see [`mlx::attention`].
    ///
    /// # Errors
    /// When the shapes do not fit or MLX refuses an operation.
    pub fn attend(&self, q: &Array, scoring: Scoring) -> Result<Array, Exception> {
        let Some(rotation) = &self.rotation else {
            return mlx::attention_over(q, &self.segments, scoring);
        };
        let q = rotation.rotate(q)?;
        let mixed = mlx::attention_over(&q, &self.segments, scoring)?;
        rotation.rotate_back(&mixed)
    }

    /// Keys `[1, kv_heads, L, head_dim]` and values as numbers of the type that
    /// was appended.
    ///
    /// # Errors
    /// When MLX refuses an operation.
    pub fn numbers(&self) -> Result<[Array; 2], Exception> {
        let plain = self.segments.iter().find(|s| s.packing.is_none());
        let dtype = plain.map_or(mlx::Dtype::Float32, |s| s.keys.dtype());
        let [keys, values] = mlx::join_segments(&self.segments, dtype)?;
        match &self.rotation {
            None => Ok([keys, values]),
            Some(rotation) => Ok([rotation.rotate_back(&keys)?, rotation.rotate_back(&values)?]),
        }
    }
}

/// The buffers of a sequence in a layer.
#[derive(Debug)]
pub struct Buffers {
    /// Keys and values, `[1, kv_heads, capacity, head_dim]`.
    pub arrays: [Array; 2],
    /// The position that they begin with.
    pub start: usize,
}

/// Keys and values of running sequences, by sequence and layer.
pub trait KvStore {
    /// Appends the keys and values of the next `T` tokens of `sequence` in
    /// `layer`, both `[1, kv_heads, T, head_dim]`, and returns the tokens of the
    /// sequence so far that the layer may look at, the appended ones last.
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
    ) -> Result<Past, Exception>;

    /// Whether [`KvStore::place`] serves this sequence and layer.
    fn has_place(&self, _sequence: usize, _layer: usize) -> bool {
        false
    }

    /// Counts `tokens` more tokens of `sequence` in `layer` and returns the whole
    /// buffers: the caller writes the tokens' keys and values into them in place.
    ///
    /// # Errors
    /// As for [`KvStore::update`], and from a store without such buffers.
    fn place(
        &mut self,
        _sequence: usize,
        (_layer, _tokens): (usize, usize),
        _form: RowForm,
    ) -> Result<Buffers, Exception> {
        Err(Exception::custom("this store has no buffers to write into"))
    }

    /// What `layer` carries on of `sequence`: as the last `set_state` left it,
    /// `None` before its first token.
    ///
    /// # Errors
    /// When the store keeps no states, or the sequence is unknown to it.
    fn state(&mut self, _sequence: usize, _layer: usize) -> Result<Option<Vec<Array>>, Exception> {
        Err(stateless())
    }

    /// Replaces what `layer` carries on of `sequence`, which has taken in some
    /// more tokens. What was carried on before the first [`Taken::Proposed`] one
    /// is kept until it is known which of them stay.
    ///
    /// # Errors
    /// As for [`KvStore::state`].
    fn set_state(
        &mut self,
        _sequence: usize,
        _layer: usize,
        _taken: Taken,
        _state: Vec<Array>,
    ) -> Result<(), Exception> {
        Err(stateless())
    }
}

/// How many tokens a recurrent layer has taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// They stay.
    Own(usize),
    /// They may be taken back.
    Proposed(usize),
}

fn stateless() -> Exception {
    Exception::custom("this store keeps no states")
}
