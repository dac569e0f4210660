//! Scaled dot-product attention with grouped heads.
//!
//! softmax(q · kᵀ · scale + mask) · v. One token streams over keys and values
//! once for all heads that share them; several tokens go through blocks of a
//! matrix product. Packed keys and values are unpacked on the way, a block or
//! a head at a time.

mod segments;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

pub use segments::{Heads, Records, Rows, Segment};

use self::segments::{blocks, joined};
use crate::{
    pieces,
    product::{Matrix, multiply},
    simd::{dot, exp, fma},
};

/// Shapes and options of one call. Queries are the last `tokens` of `length`
/// positions.
pub struct Attention<'a> {
    pub heads: usize,
    pub kv_heads: usize,
    pub tokens: usize,
    pub length: usize,
    /// Values a head of queries and keys.
    pub key_dim: usize,
    /// Values a head of values.
    pub value_dim: usize,
    pub scale: f32,
    /// A token sees positions up to its own.
    pub causal: bool,
    /// Added to the scores, `[tokens, length]` for every head.
    pub mask: Option<&'a [f32]>,
    /// Scores become `cap · tanh(scores / cap)` before the mask.
    pub cap: Option<f32>,
    /// A score a head that takes part in the softmax and has no value.
    pub sinks: Option<&'a [f32]>,
}

impl Attention<'_> {
    fn capped(&self, scores: &mut [f32]) {
        if let Some(cap) = self.cap {
            scores
                .iter_mut()
                .for_each(|score| *score = cap * (*score / cap).tanh());
        }
    }

    fn sink(&self, head: usize) -> f32 {
        self.sinks.map_or(f32::NEG_INFINITY, |sinks| sinks[head])
    }
}

/// Writes `[heads, tokens, value_dim]`. The segments' lengths add up to
/// `length`.
///
/// # Panics
/// If slices do not fit the shapes.
pub fn attention(a: &Attention, q: Heads, segments: &[Segment], out: &mut [f32]) {
    assert_eq!(out.len(), a.heads * a.tokens * a.value_dim);
    assert!(
        a.kv_heads > 0 && a.heads.is_multiple_of(a.kv_heads),
        "query heads share key heads evenly"
    );
    assert!(!a.causal || a.tokens <= a.length);
    assert!(a.mask.is_none_or(|mask| mask.len() == a.tokens * a.length));
    assert!(a.sinks.is_none_or(|sinks| sinks.len() == a.heads));
    assert_eq!(a.length, segments.iter().map(|s| s.length).sum::<usize>());
    if out.is_empty() {
        return;
    }
    let group = a.heads / a.kv_heads;
    let per_group = group * a.tokens * a.value_dim;
    let work = a.heads * a.tokens * a.length * (a.key_dim + a.value_dim);
    let split = pieces(work) > 1;
    let kv_head = |(kv_head, out): (usize, &mut [f32])| match a.tokens {
        1 => Arch::new().dispatch(OneToken {
            a,
            q,
            segments,
            kv_head,
            group,
            out,
        }),
        _ => group_of_heads(a, (kv_head, split), q, segments, out),
    };
    if split {
        out.par_chunks_exact_mut(per_group)
            .enumerate()
            .for_each(kv_head);
    } else {
        out.chunks_exact_mut(per_group)
            .enumerate()
            .for_each(kv_head);
    }
}

struct OneToken<'a, 'b> {
    a: &'a Attention<'b>,
    q: Heads<'a>,
    segments: &'a [Segment<'a>],
    kv_head: usize,
    group: usize,
    out: &'a mut [f32],
}

impl WithSimd for OneToken<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            a,
            q,
            segments,
            kv_head,
            group,
            out,
        } = self;
        let mut scores = vec![0.0; group * a.length];
        let mut room = Vec::new();
        for (start, segment, [first, count]) in blocks(segments) {
            let place = [kv_head, first, count];
            let (keys, stride) = segment.keys.block(place, a.key_dim, &mut room);
            for row in 0..count {
                let (key, position) = (&keys[row * stride..][..a.key_dim], start + row);
                for (i, scores) in scores.chunks_exact_mut(a.length).enumerate() {
                    let query = q.row(kv_head * group + i, 0, a.key_dim);
                    scores[position] = dot::<S>(query, key) * a.scale;
                }
            }
        }
        for (i, scores) in scores.chunks_exact_mut(a.length).enumerate() {
            a.capped(scores);
            if let Some(mask) = a.mask {
                let pairs = scores.iter_mut().zip(mask);
                pairs.for_each(|(score, mask)| *score += mask);
            }
            softmax::<S>(scores, a.sink(kv_head * group + i));
        }
        out.fill(0.0);
        for (start, segment, [first, count]) in blocks(segments) {
            let place = [kv_head, first, count];
            let (values, stride) = segment.values.block(place, a.value_dim, &mut room);
            for row in 0..count {
                let (value, position) = (&values[row * stride..][..a.value_dim], start + row);
                for (scores, out) in scores
                    .chunks_exact(a.length)
                    .zip(out.chunks_exact_mut(a.value_dim))
                {
                    let weight = scores[position];
                    for (out, value) in out.iter_mut().zip(value) {
                        *out = fma::<S>(weight, *value, *out);
                    }
                }
            }
        }
    }
}

/// All heads that share a key head, several tokens each.
fn group_of_heads(
    a: &Attention,
    (kv_head, split): (usize, bool),
    q: Heads,
    segments: &[Segment],
    out: &mut [f32],
) {
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    let (k, v) = match segments {
        [
            Segment {
                keys: Rows::Plain(k),
                values: Rows::Plain(v),
                ..
            },
        ] => (
            head_matrix(*k, kv_head, 0, a.length, a.key_dim),
            head_matrix(*v, kv_head, 0, a.length, a.value_dim),
        ),
        _ => {
            let parts = segments.iter().map(|s| (s.keys, s.length));
            joined(parts, kv_head, a.key_dim, &mut keys);
            let parts = segments.iter().map(|s| (s.values, s.length));
            joined(parts, kv_head, a.value_dim, &mut values);
            (
                Matrix::row_major(&keys, a.length, a.key_dim),
                Matrix::row_major(&values, a.length, a.value_dim),
            )
        }
    };
    let first = kv_head * (a.heads / a.kv_heads);
    let per_head = a.tokens * a.value_dim;
    let head = |(i, out): (usize, &mut [f32])| many_tokens(a, first + i, q, k, v, out);
    match split {
        true => out
            .par_chunks_exact_mut(per_head)
            .enumerate()
            .for_each(head),
        false => out.chunks_exact_mut(per_head).enumerate().for_each(head),
    }
}

/// Tokens whose scores are held at a time.
const BLOCK: usize = 64;

/// One head, `k` and `v` being all rows of its keys and values.
fn many_tokens(a: &Attention, head: usize, q: Heads, k: Matrix, v: Matrix, out: &mut [f32]) {
    let mut scores = vec![0.0; BLOCK.min(a.tokens) * a.length];
    for first in (0..a.tokens).step_by(BLOCK) {
        let count = BLOCK.min(a.tokens - first);
        // No token of the block sees further than its last one.
        let visible = if a.causal {
            a.length - a.tokens + first + count
        } else {
            a.length
        };
        let scores = &mut scores[..count * visible];
        let queries = head_matrix(q, head, first, count, a.key_dim);
        let keys = k.first_rows(visible);
        multiply(queries, keys.transposed(), scores, visible, a.scale);
        for (i, row) in scores.chunks_exact_mut(visible).enumerate() {
            let token = first + i;
            a.capped(row);
            if let Some(mask) = a.mask {
                let mask = &mask[token * a.length..][..visible];
                row.iter_mut()
                    .zip(mask)
                    .for_each(|(score, mask)| *score += mask);
            }
            let seen = if a.causal {
                a.length - a.tokens + token + 1
            } else {
                visible
            };
            row[seen..].fill(0.0);
            Arch::new().dispatch(Softmax(&mut row[..seen], a.sink(head)));
        }
        let values = v.first_rows(visible);
        let weights = Matrix::row_major(scores, count, visible);
        multiply(
            weights,
            values,
            &mut out[first * a.value_dim..],
            a.value_dim,
            1.0,
        );
    }
}

fn head_matrix<'a>(
    heads: Heads<'a>,
    head: usize,
    first: usize,
    rows: usize,
    width: usize,
) -> Matrix<'a> {
    let data = &heads.data[head * heads.strides[0] + first * heads.strides[1]..];
    Matrix::strided(data, rows, width, heads.strides[1])
}

struct Softmax<'a>(&'a mut [f32], f32);

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        softmax::<S>(self.0, self.1);
    }
}

/// Subtracts the largest score first; a row that sees nothing stays zero.
/// `sink` is one more score, whose share is not kept.
#[inline(always)]
fn softmax<S: Simd>(scores: &mut [f32], sink: f32) {
    let largest = scores.iter().copied().fold(sink, f32::max);
    if largest == f32::NEG_INFINITY {
        return scores.fill(0.0);
    }
    for score in scores.iter_mut() {
        *score = exp::<S>(*score - largest);
    }
    let scale = (scores.iter().sum::<f32>() + (sink - largest).exp()).recip();
    for score in scores.iter_mut() {
        *score *= scale;
    }
}

#[cfg(test)]
mod tests;
