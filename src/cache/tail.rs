//! The keys and values of one sequence: one buffer a layer each, that grows.
//!
//! Rows are written in place where the device allows it. Invariant: what lies
//! behind `length` is garbage, so cutting a sequence short is free.

use std::ops::Range;

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::content::PageContent;
use crate::mlx;

/// Buffers grow by this many tokens.
pub const GROWTH: usize = 256;
/// Bytes of pages that are copied at once: few waits, little memory twice.
const AT_ONCE: usize = 64 << 20;

/// Heads, their width, and the type of a token's keys or values in a layer.
pub type RowForm = ([i32; 2], Dtype);

#[derive(Debug, Clone)]
struct Layer {
    /// Both `[1, kv_heads, capacity, head_dim]`.
    keys: Array,
    values: Array,
    length: usize,
}

impl Layer {
    fn cut(&self, range: &Range<usize>) -> Result<[Array; 2], Exception> {
        let cut = |array| {
            let part = mlx::Part {
                array,
                start: range.start,
                count: range.len(),
            };
            mlx::join_rows(&[part], range.len())
        };
        Ok([cut(&self.keys)?, cut(&self.values)?])
    }
}

/// Tokens whose keys and values are computed, to make a tail of.
#[derive(Debug)]
pub enum Piece<'a> {
    /// The first tokens of a page.
    Page(&'a PageContent, usize),
    /// Tokens of another tail.
    Tail(&'a Tail, Range<usize>),
}

impl Piece<'_> {
    fn tokens(&self) -> usize {
        match self {
            Self::Page(_, tokens) => *tokens,
            Self::Tail(_, range) => range.len(),
        }
    }

    fn layers(&self) -> usize {
        match self {
            Self::Page(page, _) => page.layers.len(),
            Self::Tail(tail, _) => tail.layers.len(),
        }
    }

    /// Keys (0) or values (1) of a layer.
    fn part(&self, layer: usize, which: usize) -> Option<mlx::Part<'_>> {
        let (array, start) = match self {
            Self::Page(page, _) => (&page.layers.get(layer)?.as_ref()?[which], 0),
            Self::Tail(tail, range) => {
                let layer = tail.layers.get(layer)?.as_ref()?;
                ([&layer.keys, &layer.values][which], range.start)
            }
        };
        let count = self.tokens();
        Some(mlx::Part {
            array,
            start,
            count,
        })
    }
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

    /// A tail of all `pieces` one after the other, computed before it is
    /// returned: a lazy copy could see later writes in place.
    ///
    /// # Errors
    /// When the pieces are not of one model.
    pub fn gather(pieces: &[Piece], reserve: usize) -> Result<Self, Exception> {
        let length = pieces.iter().map(Piece::tokens).sum::<usize>();
        let capacity = length.max(reserve).next_multiple_of(GROWTH);
        let layers = pieces.iter().map(Piece::layers).max().unwrap_or(0);
        let join = |layer: usize, which: usize| -> Result<Option<Array>, Exception> {
            let parts: Option<Vec<mlx::Part>> = pieces
                .iter()
                .map(|piece| piece.part(layer, which))
                .collect();
            parts
                .map(|parts| mlx::join_rows(&parts, capacity))
                .transpose()
        };
        let layer = |layer: usize| -> Result<Option<Layer>, Exception> {
            let (keys, values) = (join(layer, 0)?, join(layer, 1)?);
            Ok(keys.zip(values).map(|(keys, values)| Layer {
                keys,
                values,
                length,
            }))
        };
        let gathered = Self {
            layers: (0..layers).map(layer).collect::<Result<_, _>>()?,
            reserve,
        };
        if gathered.length() != length {
            return Err(Exception::custom("the pages are not of one model"));
        }
        mlx_rs::transforms::eval(gathered.arrays())?;
        Ok(gathered)
    }

    /// Copies of the tokens of each range. Computed some layers at a time; a
    /// layer that was copied is given up if `consume`.
    pub fn cut(
        &mut self,
        ranges: &[Range<usize>],
        consume: bool,
    ) -> Result<Vec<PageContent>, Exception> {
        let mut pages = vec![PageContent::default(); ranges.len()];
        let (mut lazy, mut done) = (0, 0);
        for at in 0..self.layers.len() {
            for (page, range) in pages.iter_mut().zip(ranges) {
                let layer = self.layers[at].as_ref();
                page.layers
                    .push(layer.map(|layer| layer.cut(range)).transpose()?);
                lazy += page.layers[at]
                    .iter()
                    .flatten()
                    .map(Array::nbytes)
                    .sum::<usize>();
            }
            if lazy >= AT_ONCE || at + 1 == self.layers.len() {
                let new = pages.iter().flat_map(|page| &page.layers[done..]);
                mlx_rs::transforms::eval(new.flatten().flatten())?;
                if consume {
                    self.layers[done..=at].fill(None);
                }
                (lazy, done) = (0, at + 1);
            }
        }
        Ok(pages)
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
    fn what_is_gathered_is_independent() {
        let mut tail = Tail::new(0);
        tail.append(0, &rows(0, 130), &rows(0, 130)).unwrap();
        let pages = tail.cut(&[0..64, 64..100], false).unwrap();
        assert_eq!(pages[1].bytes(), 2 * 2 * 36 * 4);
        let pieces = [
            Piece::Page(&pages[0], 64),
            Piece::Page(&pages[1], 30),
            Piece::Tail(&tail, 94..120),
        ];
        let mut gathered = Tail::gather(&pieces, 0).unwrap();
        tail.truncate(10);
        let (keys, _) = tail.append(0, &rows(900, 110), &rows(900, 110)).unwrap();
        keys.eval().unwrap();
        let (keys, values) = gathered.append(0, &rows(120, 1), &rows(120, 1)).unwrap();
        assert_eq!(numbers(&keys), counting(121));
        assert_eq!(numbers(&values), counting(121));
        let (keys, _) = gathered
            .append(0, &rows(121, 200), &rows(121, 200))
            .unwrap();
        assert_eq!(numbers(&keys), counting(321));
    }

    #[test]
    fn cutting_up_gives_the_buffers_up() {
        let mut tail = Tail::new(0);
        tail.append(0, &rows(0, 70), &rows(0, 70)).unwrap();
        tail.append(2, &rows(0, 70), &rows(0, 70)).unwrap();
        let pages = tail.cut(&[0..64, 64..70], true).unwrap();
        assert_eq!(tail.bytes(), 0);
        assert!(pages[0].layers[1].is_none());
        let pieces = [Piece::Page(&pages[0], 64), Piece::Page(&pages[1], 6)];
        let mut back = Tail::gather(&pieces, 100).unwrap();
        assert_eq!(back.length(), 70);
        let (keys, _) = back.append(2, &rows(70, 1), &rows(70, 1)).unwrap();
        assert_eq!(numbers(&keys), counting(71));
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
