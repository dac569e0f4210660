//! Linear recurrences: a state that decays and takes in an outer product at
//! each token. Mamba 2 and the gated delta rule are of this kind.
//!
//! For a head with state S `[value_dim, key_dim]`, at every token
//! `S ← g S + u kᵀ` and `y = S q`, with `u = β v`, or `u = β (v - g S k)` by the
//! delta rule. Rows of S do not meet, so they are shared out over threads.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::{
    pieces,
    simd::{dot, fma},
};

/// Shapes of one call, and what goes in, row-major.
#[derive(Clone, Copy)]
pub struct Recurrence<'a> {
    pub tokens: usize,
    /// Heads of queries and keys, each shared by as many heads of values.
    pub key_heads: usize,
    pub value_heads: usize,
    pub key_dim: usize,
    pub value_dim: usize,
    /// `[batch, tokens, key_heads, key_dim]`
    pub queries: &'a [f32],
    pub keys: &'a [f32],
    /// `[batch, tokens, value_heads, value_dim]`
    pub values: &'a [f32],
    /// `[batch, tokens, value_heads]`: g and β.
    pub decays: &'a [f32],
    pub weights: &'a [f32],
    /// Whether what the state holds of a key is taken out first.
    pub delta: bool,
}

/// Brings `state [batch, value_heads, value_dim, key_dim]` to the end and writes
/// what is read on the way, `[batch, value_heads, tokens, value_dim]`.
///
/// # Panics
/// If slices do not fit the shapes.
pub fn recurrence(r: Recurrence, state: &mut [f32], out: &mut [f32]) {
    let head_state = r.value_dim * r.key_dim;
    let head_out = r.tokens * r.value_dim;
    let heads = state.len() / head_state.max(1);
    assert!(r.key_heads > 0 && r.value_heads.is_multiple_of(r.key_heads));
    assert!(heads.is_multiple_of(r.value_heads) && state.len() == heads * head_state);
    assert_eq!(out.len(), heads * head_out, "the result does not fit");
    let keys = heads / r.value_heads * r.tokens * r.key_heads * r.key_dim;
    assert_eq!((r.queries.len(), r.keys.len()), (keys, keys));
    assert_eq!(r.values.len(), out.len(), "the values do not fit");
    let scalars = heads * r.tokens;
    assert_eq!((r.decays.len(), r.weights.len()), (scalars, scalars));
    if out.is_empty() {
        return;
    }
    let head = |(head, (state, out)): (usize, (&mut [f32], &mut [f32]))| {
        Arch::new().dispatch(Head {
            r,
            head,
            state,
            out,
        });
    };
    if pieces(3 * state.len() * r.tokens) == 1 {
        let states = state.chunks_exact_mut(head_state);
        let pairs = states.zip(out.chunks_exact_mut(head_out));
        pairs.enumerate().for_each(head);
    } else {
        let states = state.par_chunks_exact_mut(head_state);
        let pairs = states.zip(out.par_chunks_exact_mut(head_out));
        pairs.enumerate().for_each(head);
    }
}

struct Head<'a, 'b> {
    r: Recurrence<'a>,
    /// Among the value heads of all sequences.
    head: usize,
    state: &'b mut [f32],
    out: &'b mut [f32],
}

impl WithSimd for Head<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            r,
            head,
            state,
            out,
        } = self;
        let (sequence, head) = (head / r.value_heads, head % r.value_heads);
        let key_head = head / (r.value_heads / r.key_heads);
        for (token, out) in out.chunks_exact_mut(r.value_dim).enumerate() {
            let row = sequence * r.tokens + token;
            let at = (row * r.key_heads + key_head) * r.key_dim;
            let (query, key) = (&r.queries[at..][..r.key_dim], &r.keys[at..][..r.key_dim]);
            let scalar = row * r.value_heads + head;
            let (decay, weight) = (r.decays[scalar], r.weights[scalar]);
            let values = &r.values[scalar * r.value_dim..][..r.value_dim];
            let rows = state.chunks_exact_mut(r.key_dim);
            for ((state, value), out) in rows.zip(values).zip(out) {
                let known = match r.delta {
                    true => decay * dot::<S>(state, key),
                    false => 0.0,
                };
                let taken = weight * (value - known);
                for (state, key) in state.iter_mut().zip(key) {
                    *state = fma::<S>(taken, *key, decay * *state);
                }
                *out = dot::<S>(state, query);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, seed: u32) -> Vec<f32> {
        let number = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32;
        (0..count as u32)
            .map(|i| number(i) / 8_388_608.0 - 1.0)
            .collect()
    }

    /// One step after the other, in f64.
    fn definition(r: &Recurrence, batch: usize, state: &mut [f64]) -> Vec<f64> {
        let (heads, keys, values) = (r.value_heads, r.key_dim, r.value_dim);
        let mut out = vec![0.0; batch * heads * r.tokens * values];
        for sequence in 0..batch {
            for head in 0..heads {
                let first = (sequence * heads + head) * values * keys;
                for token in 0..r.tokens {
                    let row = sequence * r.tokens + token;
                    let key_head = head * r.key_heads / heads;
                    let key = |all: &[f32], i: usize| {
                        f64::from(all[(row * r.key_heads + key_head) * keys + i])
                    };
                    let scalar = row * heads + head;
                    let [decay, weight] = [r.decays, r.weights].map(|all| f64::from(all[scalar]));
                    for v in 0..values {
                        let state = &mut state[first + v * keys..][..keys];
                        state.iter_mut().for_each(|s| *s *= decay);
                        let held: f64 = (0..keys).map(|i| state[i] * key(r.keys, i)).sum();
                        let known = if r.delta { held } else { 0.0 };
                        let taken = weight * (f64::from(r.values[scalar * values + v]) - known);
                        (0..keys).for_each(|i| state[i] += taken * key(r.keys, i));
                        let read = (0..keys).map(|i| state[i] * key(r.queries, i)).sum();
                        let at = ((sequence * heads + head) * r.tokens + token) * values + v;
                        out[at] = read;
                    }
                }
            }
        }
        out
    }

    #[test]
    fn agrees_with_the_definition() {
        for (batch, tokens, key_heads, value_heads, key_dim, value_dim, delta) in [
            (1, 1, 2, 4, 16, 8, true),
            (2, 7, 1, 3, 20, 12, true),
            (1, 40, 2, 2, 64, 64, true),
            (2, 9, 2, 6, 16, 32, false),
        ] {
            let keys = batch * tokens * key_heads * key_dim;
            let scalars = batch * tokens * value_heads;
            let shrink = |x: Vec<f32>, by: f32| -> Vec<f32> { x.iter().map(|x| x * by).collect() };
            let (queries, keys) = (values(keys, 1), shrink(values(keys, 2), 0.2));
            let inputs = values(scalars * value_dim, 3);
            let unit = |seed| -> Vec<f32> {
                values(scalars, seed)
                    .iter()
                    .map(|x| 0.5 + x / 2.0)
                    .collect()
            };
            let (decays, weights) = (unit(4), unit(5));
            let r = Recurrence {
                tokens,
                key_heads,
                value_heads,
                key_dim,
                value_dim,
                queries: &queries,
                keys: &keys,
                values: &inputs,
                decays: &decays,
                weights: &weights,
                delta,
            };
            let mut state = values(batch * value_heads * value_dim * key_dim, 6);
            let mut exact: Vec<f64> = state.iter().map(|x| f64::from(*x)).collect();
            let mut out = vec![f32::NAN; scalars * value_dim];
            recurrence(r, &mut state, &mut out);
            let expected = definition(&r, batch, &mut exact);
            for (got, want) in out.iter().zip(&expected).chain(state.iter().zip(&exact)) {
                assert!((f64::from(*got) - want).abs() < 2e-5, "{got} is not {want}");
            }
        }
    }
}
