//! Keys and values of consecutive tokens in buffers that grow.
//!
//! Rows are written in place where the device allows it. Invariant: what lies
//! behind `end` is garbage.

use mlx_rs::{Array, Dtype, error::Exception, ops};

use crate::mlx;

/// Buffers grow by this many tokens.
pub const GROWTH: usize = 256;

/// Heads, their width, and the type of a token's keys or values in a layer.
pub type RowForm = ([i32; 2], Dtype);

/// The form of rows `[1, heads, T, width]`.
pub fn form(rows: &Array) -> RowForm {
    ([rows.dim(1), rows.dim(3)], rows.dtype())
}

#[derive(Debug, Clone)]
pub struct Run {
    /// Of keys and of values, `[1, heads, capacity, width]`.
    pub buffers: [Array; 2],
    /// The positions whose tokens lie in them.
    pub start: usize,
    pub end: usize,
}

impl Run {
    /// An empty run at `start`, with room for `capacity` tokens.
    pub fn empty(forms: [RowForm; 2], start: usize, capacity: usize) -> Result<Self, Exception> {
        Ok(Self {
            buffers: [empty(forms[0], capacity)?, empty(forms[1], capacity)?],
            start,
            end: start,
        })
    }

    /// A run of the tokens in `parts`, at `start`, with room for `capacity`.
    pub fn joined(parts: &[Slice], start: usize, capacity: usize) -> Result<Self, Exception> {
        let count: usize = parts.iter().map(|part| part.count).sum();
        let join = |which: usize| {
            let parts: Vec<mlx::Part> = parts.iter().map(|part| part.part(which)).collect();
            mlx::join_rows(&parts, capacity)
        };
        Ok(Self {
            buffers: [join(0)?, join(1)?],
            start,
            end: start + count,
        })
    }

    pub fn count(&self) -> usize {
        self.end - self.start
    }

    pub fn bytes(&self) -> u64 {
        let [keys, values] = &self.buffers;
        (keys.nbytes() + values.nbytes()) as u64
    }

    /// Makes room for `count` more tokens: for `reserve` in all, if it has to
    /// grow.
    pub fn make_room(&mut self, count: usize, reserve: usize) -> Result<(), Exception> {
        let needed = self.count() + count;
        let capacity = needed.max(reserve).next_multiple_of(GROWTH);
        for buffer in &mut self.buffers {
            let has = buffer.dim(2) as usize;
            if has < needed {
                let more = empty(form(buffer), capacity - has)?;
                *buffer = ops::concatenate(&[&*buffer, &more], 2)?;
            }
        }
        Ok(())
    }

    /// Writes `rows` of keys and values after the last; there has to be room.
    pub fn write(&mut self, rows: [&Array; 2]) -> Result<(), Exception> {
        let at = self.count() as i32;
        for (buffer, rows) in self.buffers.iter_mut().zip(rows) {
            *buffer = mlx::write_rows(buffer, rows, 2, at)?;
        }
        self.end += rows[0].dim(2) as usize;
        Ok(())
    }

    /// All its tokens, without copying.
    pub fn view(&self) -> Result<[Array; 2], Exception> {
        let [keys, values] = &self.buffers;
        Ok([head(keys, self.count())?, head(values, self.count())?])
    }

    /// Its tokens between two positions; `None` if there are none.
    pub fn slice(&self, from: usize, to: usize) -> Option<Slice> {
        let (from, to) = (from.max(self.start), to.min(self.end));
        (from < to).then(|| Slice {
            arrays: self.buffers.clone(),
            start: from - self.start,
            count: to - from,
        })
    }
}

/// Some tokens of two buffers.
#[derive(Debug, Clone)]
pub struct Slice {
    pub arrays: [Array; 2],
    pub start: usize,
    pub count: usize,
}

impl Slice {
    /// All tokens of arrays.
    pub fn whole(arrays: [Array; 2]) -> Self {
        let count = arrays[0].dim(2) as usize;
        Self {
            arrays,
            start: 0,
            count,
        }
    }

    /// Whether it holds records rather than numbers.
    pub fn is_packed(&self) -> bool {
        self.arrays[0].dtype() == Dtype::Uint32
    }

    /// `count` of its tokens from `skip` on.
    pub fn part_of(&self, skip: usize, count: usize) -> Self {
        Self {
            arrays: self.arrays.clone(),
            start: self.start + skip,
            count,
        }
    }

    fn part(&self, which: usize) -> mlx::Part<'_> {
        mlx::Part {
            array: &self.arrays[which],
            start: self.start,
            count: self.count,
        }
    }

    /// Its keys or values alone, copied.
    pub fn rows(&self, which: usize) -> Result<Array, Exception> {
        mlx::join_rows(&[self.part(which)], self.count)
    }
}

/// A buffer `[1, heads, tokens, width]`.
fn empty(([heads, width], dtype): RowForm, tokens: usize) -> Result<Array, Exception> {
    ops::zeros_dtype(&[1, heads, tokens as i32, width], dtype)
}

/// The first `length` tokens of a buffer, without copying.
fn head(buffer: &Array, length: usize) -> Result<Array, Exception> {
    if buffer.dim(2) as usize == length {
        return Ok(buffer.clone());
    }
    buffer
        .split_at_indices(&[length as i32], 2)?
        .into_iter()
        .next()
        .ok_or_else(|| Exception::custom("MLX split keys or values wrongly"))
}
