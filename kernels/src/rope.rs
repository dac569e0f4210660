//! Rotary position embedding.

use rayon::prelude::*;

use crate::pieces;

/// How positions turn into angles.
pub struct Rope<'a> {
    /// Leading values of a head that are rotated.
    pub dims: usize,
    /// Pairs are neighbours (2i, 2i+1) instead of halves (i, i + dims/2).
    pub interleaved: bool,
    /// Angle per position of each pair, `dims / 2` values.
    pub frequencies: &'a [f32],
    /// Position of the first token.
    pub offset: usize,
}

/// Rotates `x` of `[heads, tokens, head_dim]`, given by its strides in values,
/// into a row-major `out` of the same shape.
///
/// # Panics
/// If the strides reach outside `x` or `out` does not fit.
pub fn rope(
    x: &[f32],
    strides: [usize; 2],
    [heads, tokens, head_dim]: [usize; 3],
    rope: &Rope,
    out: &mut [f32],
) {
    assert_eq!(out.len(), heads * tokens * head_dim);
    assert!(rope.dims <= head_dim && rope.frequencies.len() * 2 == rope.dims);
    if out.is_empty() {
        return;
    }
    let table = angles(rope, tokens);
    let rotate_head = |(head, out): (usize, &mut [f32])| {
        for (token, out) in out.chunks_exact_mut(head_dim).enumerate() {
            let x = &x[head * strides[0] + token * strides[1]..][..head_dim];
            let angles = &table[token * rope.dims..][..rope.dims];
            rotate(x, angles, rope, out);
        }
    };
    let per_head = tokens * head_dim;
    if pieces(out.len() * 4) == 1 {
        out.chunks_exact_mut(per_head)
            .enumerate()
            .for_each(rotate_head);
    } else {
        out.par_chunks_exact_mut(per_head)
            .enumerate()
            .for_each(rotate_head);
    }
}

/// Cosines, then sines, of every pair for each token.
fn angles(rope: &Rope, tokens: usize) -> Vec<f32> {
    let mut table = Vec::with_capacity(tokens * rope.dims);
    for token in 0..tokens {
        let position = (rope.offset + token) as f32;
        table.extend(rope.frequencies.iter().map(|f| (position * f).cos()));
        table.extend(rope.frequencies.iter().map(|f| (position * f).sin()));
    }
    table
}

#[inline]
fn rotate(x: &[f32], angles: &[f32], rope: &Rope, out: &mut [f32]) {
    let half = rope.dims / 2;
    let (cos, sin) = angles.split_at(half);
    out[rope.dims..].copy_from_slice(&x[rope.dims..]);
    if rope.interleaved {
        for i in 0..half {
            let (a, b) = (x[2 * i], x[2 * i + 1]);
            out[2 * i] = a * cos[i] - b * sin[i];
            out[2 * i + 1] = a * sin[i] + b * cos[i];
        }
        return;
    }
    let (low, high) = x[..rope.dims].split_at(half);
    let (out_low, out_high) = out[..rope.dims].split_at_mut(half);
    for i in 0..half {
        out_low[i] = low[i] * cos[i] - high[i] * sin[i];
        out_high[i] = low[i] * sin[i] + high[i] * cos[i];
    }
}
