//! The keys and values of one sequence: one buffer a layer each, that grows.
//!
//! Rows are written in place where the device allows it. Invariant: what lies
//! behind `length` is garbage, so cutting a sequence short is free.

use mlx_rs::{Array, Dtype, error::Exception, ops};

use crate::mlx;

/// Buffers grow by this many tokens.
pub const GROWTH: usize = 256;

/// Heads, their width, and the type of a token's keys or values in a layer.
pub type RowForm = ([i32; 2], Dtype);

#[derive(Debug, Clone)]
struct Layer {
    /// Both `[1, kv_heads, capacity, head_dim]`.
    keys: Array,
    values: Array,
    length: usize,
}

/// Keys and values of a sequence, layer by layer.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    layers: Vec<Option<Layer>>,
    /// Capacity to begin with, so that a long prompt does not grow in steps.
    reserve: usize,
}

impl Tail {
    pub fn new(reserve: usize) -> Self {
        Self {
            layers: Vec::new(),
            reserve,
        }
    }

    /// Tokens that all layers have.
    pub fn length(&self) -> usize {
        let lengths = self.layers.iter().flatten().map(|layer| layer.length);
        lengths.min().unwrap_or(0)
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> u64 {
        let layers = self.layers.iter().flatten();
        layers
            .map(|layer| (layer.keys.nbytes() + layer.values.nbytes()) as u64)
            .sum()
    }

    /// Forgets all tokens from `length` on.
    pub fn truncate(&mut self, length: usize) {
        for layer in self.layers.iter_mut().flatten() {
            layer.length = layer.length.min(length);
        }
    }

    /// Makes room for `tokens` tokens when a buffer next grows.
    pub fn reserve(&mut self, tokens: usize) {
        self.reserve = self.reserve.max(tokens);
    }

    /// Appends `[1, kv_heads, T, head_dim]` to a layer and gives views of all
    /// its tokens.
    pub fn append(
        &mut self,
        layer: usize,
        keys: &Array,
        values: &Array,
    ) -> Result<(Array, Array), Exception> {
        if keys.ndim() != 4 || values.ndim() != 4 {
            return Err(Exception::custom(format!(
                "keys {:?} and values {:?} must have four dimensions",
                keys.shape(),
                values.shape()
            )));
        }
        let like = |rows: &Array| ([rows.dim(1), rows.dim(3)], rows.dtype());
        let count = keys.dim(2) as usize;
        let (start, key_room, value_room) = self.room(layer, count, [like(keys), like(values)])?;
        let length = start + count;
        let layer = self.layers[layer].insert(Layer {
            keys: mlx::write_rows(&key_room, keys, 2, start as i32)?,
            values: mlx::write_rows(&value_room, values, 2, start as i32)?,
            length,
        });
        Ok((head(&layer.keys, length)?, head(&layer.values, length)?))
    }

    /// Counts one more token in a layer and gives its whole buffers: the
    /// caller writes the token's key and value into them in place.
    pub fn place(&mut self, layer: usize, like: RowForm) -> Result<(Array, Array), Exception> {
        let (start, keys, values) = self.room(layer, 1, [like, like])?;
        self.layers[layer] = Some(Layer {
            keys: keys.clone(),
            values: values.clone(),
            length: start + 1,
        });
        Ok((keys, values))
    }

    /// Takes a layer's buffers out, with room for `count` more tokens: how many
    /// it has, keys, values.
    fn room(
        &mut self,
        layer: usize,
        count: usize,
        like: [RowForm; 2],
    ) -> Result<(usize, Array, Array), Exception> {
        if self.layers.len() <= layer {
            self.layers.resize(layer + 1, None);
        }
        let old = self.layers[layer].take();
        let start = old.as_ref().map_or(0, |layer| layer.length);
        let length = start + count;
        let capacity = length.max(self.reserve).next_multiple_of(GROWTH);
        let room = |buffer: Option<&Array>, like: RowForm| match buffer {
            None => empty(like, capacity),
            Some(buffer) if (buffer.dim(2) as usize) < length => {
                let more = empty(like, capacity - buffer.dim(2) as usize)?;
                ops::concatenate(&[buffer, &more], 2)
            }
            Some(buffer) => Ok(buffer.clone()),
        };
        let keys = room(old.as_ref().map(|layer| &layer.keys), like[0])?;
        let values = room(old.as_ref().map(|layer| &layer.values), like[1])?;
        Ok((start, keys, values))
    }

    /// A copy of the first `length` tokens with buffers of its own, computed
    /// before it is returned: a lazy copy could see later writes in place.
    pub fn copy(&self, length: usize, reserve: usize) -> Result<Self, Exception> {
        let capacity = length.max(reserve).next_multiple_of(GROWTH);
        let copy = |buffer: &Array| {
            let part = head(buffer, length)?;
            let like = ([part.dim(1), part.dim(3)], part.dtype());
            let rest = empty(like, capacity - length)?;
            ops::concatenate(&[&part, &rest], 2)
        };
        let layers = self.layers.iter().map(|layer| {
            let Some(layer) = layer else { return Ok(None) };
            Ok(Some(Layer {
                keys: copy(&layer.keys)?,
                values: copy(&layer.values)?,
                length: layer.length.min(length),
            }))
        });
        let copied = Self {
            layers: layers.collect::<Result<_, Exception>>()?,
            reserve,
        };
        mlx_rs::transforms::eval(copied.arrays())?;
        Ok(copied)
    }

    /// All buffers: evaluating them computes everything appended so far.
    pub fn arrays(&self) -> impl Iterator<Item = &Array> {
        let layers = self.layers.iter().flatten();
        layers.flat_map(|layer| [&layer.keys, &layer.values])
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(from: usize, count: usize) -> Array {
        let data: Vec<f32> = (from..from + count).map(|i| i as f32).collect();
        let array = Array::from_slice(&data, &[1, 1, count as i32, 1]);
        ops::concatenate(&[&array, &array], 1).unwrap()
    }

    fn numbers(view: &Array) -> Vec<f32> {
        let part = view.split_at_indices(&[1], 1).unwrap();
        part[0].to_vec_cast().unwrap()
    }

    fn counting(count: usize) -> Vec<f32> {
        (0..count).map(|i| i as f32).collect()
    }

    #[test]
    fn grows_and_keeps_its_content() {
        let mut tail = Tail::new(0);
        let mut length = 0;
        for chunk in [3, 250, 10, 300, 1, 1] {
            let (keys, values) = tail
                .append(0, &rows(length, chunk), &rows(length, chunk))
                .unwrap();
            length += chunk;
            assert_eq!(numbers(&keys), counting(length));
            assert_eq!(numbers(&values), counting(length));
        }
        assert_eq!(tail.length(), length);
        assert_eq!(tail.bytes(), 2 * 2 * 4 * 768);
    }

    #[test]
    fn what_was_cut_off_is_written_over() {
        let mut tail = Tail::new(300);
        tail.append(0, &rows(0, 20), &rows(0, 20)).unwrap();
        tail.truncate(10);
        let (keys, _) = tail.append(0, &rows(10, 5), &rows(10, 5)).unwrap();
        assert_eq!(numbers(&keys), counting(15));
        assert_eq!(tail.bytes(), 2 * 2 * 4 * 512);
    }

    #[test]
    fn a_copy_is_independent() {
        let mut tail = Tail::new(0);
        tail.append(0, &rows(0, 30), &rows(0, 30)).unwrap();
        let mut copy = tail.copy(20, 0).unwrap();
        tail.truncate(10);
        let (keys, _) = tail.append(0, &rows(100, 15), &rows(100, 15)).unwrap();
        keys.eval().unwrap();
        let (keys, _) = copy.append(0, &rows(20, 1), &rows(20, 1)).unwrap();
        assert_eq!(numbers(&keys), counting(21));
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let mut tail = Tail::new(0);
        let flat = Array::from_slice(&[1.0f32, 2.0], &[2]);
        assert!(tail.append(0, &flat, &flat).is_err());
        tail.append(0, &rows(0, 1), &rows(0, 1)).unwrap();
        let wide = Array::from_slice(&[1.0f32, 2.0], &[1, 1, 1, 2]);
        assert!(tail.append(0, &wide, &wide).is_err());
    }
}
