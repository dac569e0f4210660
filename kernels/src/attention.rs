//! Scaled dot-product attention with grouped heads.
//!
//! softmax(q · kᵀ · scale + mask) · v. One token streams over keys and values
//! once for all heads that share them; several tokens go through blocks of a
//! matrix product.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::{
    pieces,
    product::{Matrix, multiply},
    simd::{dot, exp, fma},
};

/// Heads in a slice: values of a head's row lie side by side.
#[derive(Clone, Copy)]
pub struct Heads<'a> {
    pub data: &'a [f32],
    /// Distance between heads, and between rows of a head, in values.
    pub strides: [usize; 2],
}

impl<'a> Heads<'a> {
    fn row(&self, head: usize, row: usize, width: usize) -> &'a [f32] {
        &self.data[head * self.strides[0] + row * self.strides[1]..][..width]
    }
}

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
}

/// Writes `[heads, tokens, value_dim]`.
///
/// # Panics
/// If slices do not fit the shapes.
pub fn attention(a: &Attention, q: Heads, k: Heads, v: Heads, out: &mut [f32]) {
    assert_eq!(out.len(), a.heads * a.tokens * a.value_dim);
    assert!(
        a.kv_heads > 0 && a.heads.is_multiple_of(a.kv_heads),
        "query heads share key heads evenly"
    );
    assert!(!a.causal || a.tokens <= a.length);
    assert!(a.mask.is_none_or(|mask| mask.len() == a.tokens * a.length));
    if out.is_empty() {
        return;
    }
    if a.tokens == 1 {
        return one_token(a, q, k, v, out);
    }
    let work = a.heads * a.tokens * a.length * (a.key_dim + a.value_dim);
    let per_head = a.tokens * a.value_dim;
    let head = |(head, out): (usize, &mut [f32])| many_tokens(a, head, q, k, v, out);
    if pieces(work) == 1 {
        out.chunks_exact_mut(per_head).enumerate().for_each(head);
    } else {
        out.par_chunks_exact_mut(per_head)
            .enumerate()
            .for_each(head);
    }
}

fn one_token(a: &Attention, q: Heads, k: Heads, v: Heads, out: &mut [f32]) {
    let group = a.heads / a.kv_heads;
    let kv_head = |(kv_head, out): (usize, &mut [f32])| {
        Arch::new().dispatch(OneToken {
            a,
            q,
            k,
            v,
            kv_head,
            group,
            out,
        });
    };
    let per_group = group * a.value_dim;
    if pieces(a.heads * a.length * (a.key_dim + a.value_dim)) == 1 {
        out.chunks_exact_mut(per_group)
            .enumerate()
            .for_each(kv_head);
    } else {
        out.par_chunks_exact_mut(per_group)
            .enumerate()
            .for_each(kv_head);
    }
}

struct OneToken<'a, 'b> {
    a: &'a Attention<'b>,
    q: Heads<'a>,
    k: Heads<'a>,
    v: Heads<'a>,
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
            k,
            v,
            kv_head,
            group,
            out,
        } = self;
        let mut scores = vec![0.0; group * a.length];
        for position in 0..a.length {
            let key = k.row(kv_head, position, a.key_dim);
            for (i, scores) in scores.chunks_exact_mut(a.length).enumerate() {
                let query = q.row(kv_head * group + i, 0, a.key_dim);
                let mask = a.mask.map_or(0.0, |mask| mask[position]);
                scores[position] = fma::<S>(dot::<S>(query, key), a.scale, mask);
            }
        }
        for scores in scores.chunks_exact_mut(a.length) {
            softmax::<S>(scores);
        }
        out.fill(0.0);
        for position in 0..a.length {
            let value = v.row(kv_head, position, a.value_dim);
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

/// Tokens whose scores are held at a time.
const BLOCK: usize = 64;

fn many_tokens(a: &Attention, head: usize, q: Heads, k: Heads, v: Heads, out: &mut [f32]) {
    let kv_head = head / (a.heads / a.kv_heads);
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
        let keys = head_matrix(k, kv_head, 0, visible, a.key_dim);
        multiply(queries, keys.transposed(), scores, visible, a.scale);
        for (i, row) in scores.chunks_exact_mut(visible).enumerate() {
            let token = first + i;
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
            Arch::new().dispatch(Softmax(&mut row[..seen]));
        }
        let values = head_matrix(v, kv_head, 0, visible, a.value_dim);
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

struct Softmax<'a>(&'a mut [f32]);

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        softmax::<S>(self.0);
    }
}

/// Subtracts the largest score first; a row that sees nothing stays zero.
#[inline(always)]
fn softmax<S: Simd>(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if largest == f32::NEG_INFINITY {
        return scores.fill(0.0);
    }
    for score in scores.iter_mut() {
        *score = exp::<S>(*score - largest);
    }
    let scale = scores.iter().sum::<f32>().recip();
    for score in scores.iter_mut() {
        *score *= scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, seed: u32) -> Vec<f32> {
        (0..count as u32)
            .map(|i| {
                ((i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 8_388_608.0) - 1.0
            })
            .collect()
    }

    fn definition(a: &Attention, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        for head in 0..a.heads {
            let kv = head / (a.heads / a.kv_heads);
            for t in 0..a.tokens {
                let query = &q[(head * a.tokens + t) * a.key_dim..][..a.key_dim];
                let scores: Vec<f64> = (0..a.length)
                    .map(|l| {
                        let key = &k[(kv * a.length + l) * a.key_dim..][..a.key_dim];
                        let product: f64 = query
                            .iter()
                            .zip(key)
                            .map(|(x, y)| f64::from(*x) * f64::from(*y))
                            .sum();
                        let hidden = a.causal && l > a.length - a.tokens + t;
                        let mask = a.mask.map_or(0.0, |m| f64::from(m[t * a.length + l]));
                        if hidden {
                            f64::NEG_INFINITY
                        } else {
                            product * f64::from(a.scale) + mask
                        }
                    })
                    .collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
                let total: f64 = weights.iter().sum();
                for d in 0..a.value_dim {
                    let sum: f64 = (0..a.length)
                        .map(|l| weights[l] * f64::from(v[(kv * a.length + l) * a.value_dim + d]))
                        .sum();
                    out.push((sum / total) as f32);
                }
            }
        }
        out
    }

    #[test]
    fn agrees_with_the_definition() {
        for (heads, kv_heads, tokens, length, key_dim, value_dim, causal, masked) in [
            (4, 2, 1, 9, 8, 8, false, false),
            (8, 2, 1, 300, 64, 48, true, false),
            (6, 3, 5, 5, 16, 16, true, false),
            (4, 4, 70, 130, 32, 32, true, false),
            (2, 1, 3, 10, 8, 8, false, true),
            (2, 1, 1, 10, 8, 8, false, true),
        ] {
            let mask: Vec<f32> = (0..tokens * length)
                .map(|i| if i % 3 == 1 { f32::NEG_INFINITY } else { 0.0 })
                .collect();
            let a = Attention {
                heads,
                kv_heads,
                tokens,
                length,
                key_dim,
                value_dim,
                scale: 0.3,
                causal,
                mask: masked.then_some(&mask[..]),
            };
            let q = values(heads * tokens * key_dim, 3);
            let k = values(kv_heads * length * key_dim, 4);
            let v = values(kv_heads * length * value_dim, 5);
            let mut out = vec![f32::NAN; heads * tokens * value_dim];
            attention(
                &a,
                Heads {
                    data: &q,
                    strides: [tokens * key_dim, key_dim],
                },
                Heads {
                    data: &k,
                    strides: [length * key_dim, key_dim],
                },
                Heads {
                    data: &v,
                    strides: [length * value_dim, value_dim],
                },
                &mut out,
            );
            for (got, want) in out.iter().zip(definition(&a, &q, &k, &v)) {
                assert!((got - want).abs() < 2e-6, "{got} is not {want}");
            }
        }
    }
}
