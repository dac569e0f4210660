//! Linear recurrences: a state that decays and takes in an outer product at
//! each token. Mamba 1 and 2, the gated delta rule and RWKV 7 are of this kind.
//!
//! For a head with state S `[value_dim, key_dim]`, at every token
//! `S ← S G - (S G e) bᵀ + β v kᵀ` and `y = S q`, where G scales S or each of
//! its columns. The delta rule has `e = k` and `b = β k`; where nothing is
//! erased, the middle term is missing. Rows of S do not meet, so they are shared
//! out over threads.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::{
    pieces,
    simd::{dot, exp, fma},
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
    pub decays: Decays<'a>,
    /// β, `[batch, tokens, value_heads]`
    pub weights: &'a [f32],
    pub erase: Erase<'a>,
}

/// G, the diagonal that S is multiplied with.
#[derive(Clone, Copy)]
pub enum Decays<'a> {
    /// A number a head: `[batch, tokens, value_heads]`.
    Head(&'a [f32]),
    /// One for each column: `[batch, tokens, value_heads, key_dim]`.
    Column(&'a [f32]),
    /// For each column, `e^(step · slope)`, of steps `[batch, tokens,
    /// value_heads]` and slopes `[value_heads, key_dim]`.
    Slopes { steps: &'a [f32], slopes: &'a [f32] },
}

/// What is taken out of a state before something is added.
#[derive(Clone, Copy)]
pub enum Erase<'a> {
    Nothing,
    /// What it holds of the key, by the delta rule.
    Key,
    /// What it holds of `e`, along `b`, both of the shape of the keys.
    Along {
        e: &'a [f32],
        b: &'a [f32],
    },
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
    assert_eq!(r.weights.len(), scalars, "the weights do not fit");
    assert!(r.decays.fit(&r, scalars), "the decays do not fit");
    if let Erase::Along { e, b } = r.erase {
        assert_eq!((e.len(), b.len()), (keys, keys));
    }
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

impl Decays<'_> {
    fn fit(self, r: &Recurrence, scalars: usize) -> bool {
        match self {
            Self::Head(decays) => decays.len() == scalars,
            Self::Column(decays) => decays.len() == scalars * r.key_dim,
            Self::Slopes { steps, slopes } => {
                steps.len() == scalars && slopes.len() == r.value_heads * r.key_dim
            }
        }
    }
}

struct Head<'a, 'b> {
    r: Recurrence<'a>,
    /// Among the value heads of all sequences.
    head: usize,
    state: &'b mut [f32],
    out: &'b mut [f32],
}

impl<'a> WithSimd for Head<'a, '_> {
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
        let mut columns = vec![0.0; r.key_dim];
        for (token, out) in out.chunks_exact_mut(r.value_dim).enumerate() {
            let row = sequence * r.tokens + token;
            let at = (row * r.key_heads + key_head) * r.key_dim;
            let of_key = |x: &'a [f32]| &x[at..][..r.key_dim];
            let scalar = row * r.value_heads + head;
            let now = Token {
                query: of_key(r.queries),
                key: of_key(r.keys),
                weight: r.weights[scalar],
                values: &r.values[scalar * r.value_dim..][..r.value_dim],
            };
            let decay = match r.decays {
                Decays::Head(decays) => decays[scalar],
                Decays::Column(decays) => {
                    columns.copy_from_slice(&decays[scalar * r.key_dim..][..r.key_dim]);
                    1.0
                }
                Decays::Slopes { steps, slopes } => {
                    let slopes = &slopes[head * r.key_dim..][..r.key_dim];
                    for (decay, slope) in columns.iter_mut().zip(slopes) {
                        *decay = exp::<S>(steps[scalar] * slope);
                    }
                    1.0
                }
            };
            if !matches!(r.decays, Decays::Head(_)) {
                for state in state.chunks_exact_mut(r.key_dim) {
                    let pairs = state.iter_mut().zip(&columns);
                    pairs.for_each(|(state, decay)| *state *= decay);
                }
            }
            match r.erase {
                Erase::Nothing => now.step::<S>(decay, state, out, |_| 0.0),
                Erase::Key => {
                    now.step::<S>(decay, state, out, |state| decay * dot::<S>(state, now.key));
                }
                Erase::Along { e, b } => {
                    now.erase::<S>(decay, state, [of_key(e), of_key(b)]);
                    now.step::<S>(1.0, state, out, |_| 0.0);
                }
            }
        }
    }
}

/// What a head gets of a token.
struct Token<'a> {
    query: &'a [f32],
    key: &'a [f32],
    weight: f32,
    values: &'a [f32],
}

impl Token<'_> {
    /// Takes in values less what is `known` of each, and reads.
    #[inline(always)]
    fn step<S: Simd>(
        &self,
        decay: f32,
        state: &mut [f32],
        out: &mut [f32],
        known: impl Fn(&[f32]) -> f32,
    ) {
        let rows = state.chunks_exact_mut(self.key.len());
        for ((state, value), out) in rows.zip(self.values).zip(out) {
            let taken = self.weight * (value - known(state));
            for (state, key) in state.iter_mut().zip(self.key) {
                *state = fma::<S>(taken, *key, decay * *state);
            }
            *out = dot::<S>(state, self.query);
        }
    }

    /// Decays, and takes out what is held of `e`, along `b`.
    #[inline(always)]
    fn erase<S: Simd>(&self, decay: f32, state: &mut [f32], [e, b]: [&[f32]; 2]) {
        for state in state.chunks_exact_mut(self.key.len()) {
            let known = -decay * dot::<S>(state, e);
            for (state, b) in state.iter_mut().zip(b) {
                *state = fma::<S>(known, *b, decay * *state);
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

    /// One step after the other, in f64. `decays` are those of every column.
    fn definition(r: &Recurrence, batch: usize, decays: &[f64], state: &mut [f64]) -> Vec<f64> {
        let (heads, keys, values) = (r.value_heads, r.key_dim, r.value_dim);
        let mut out = vec![0.0; batch * heads * r.tokens * values];
        for at in 0..batch * heads * r.tokens {
            let (sequence, head, token) = (
                at / (heads * r.tokens),
                at / r.tokens % heads,
                at % r.tokens,
            );
            let row = sequence * r.tokens + token;
            let of_key = |all: &[f32], i: usize| {
                f64::from(all[(row * r.key_heads + head * r.key_heads / heads) * keys + i])
            };
            let scalar = row * heads + head;
            let weight = f64::from(r.weights[scalar]);
            for v in 0..values {
                let first = ((sequence * heads + head) * values + v) * keys;
                let state = &mut state[first..][..keys];
                (0..keys).for_each(|i| state[i] *= decays[scalar * keys + i]);
                let (e, b, factor) = match r.erase {
                    Erase::Nothing => (r.keys, r.keys, 0.0),
                    Erase::Key => (r.keys, r.keys, weight),
                    Erase::Along { e, b } => (e, b, 1.0),
                };
                let held: f64 = (0..keys).map(|i| state[i] * of_key(e, i)).sum();
                let taken = weight * f64::from(r.values[scalar * values + v]);
                (0..keys).for_each(|i| {
                    state[i] += taken * of_key(r.keys, i) - factor * held * of_key(b, i);
                });
                out[at * values + v] = (0..keys).map(|i| state[i] * of_key(r.queries, i)).sum();
            }
        }
        out
    }

    #[test]
    fn agrees_with_the_definition() {
        for (batch, tokens, key_heads, value_heads, key_dim, value_dim) in [
            (1, 1, 2, 4, 16, 8),
            (2, 7, 1, 3, 20, 12),
            (1, 40, 2, 2, 64, 64),
            (2, 9, 1, 6, 16, 1),
        ] {
            let keys = batch * tokens * key_heads * key_dim;
            let scalars = batch * tokens * value_heads;
            let shrink = |x: Vec<f32>, by: f32| -> Vec<f32> { x.iter().map(|x| x * by).collect() };
            let (queries, others) = (values(keys, 1), shrink(values(keys, 7), 0.1));
            let keys = shrink(values(keys, 2), 0.2);
            let inputs = values(scalars * value_dim, 3);
            let unit = |count, seed| -> Vec<f32> {
                values(count, seed).iter().map(|x| 0.5 + x / 2.0).collect()
            };
            let (heads, columns) = (unit(scalars, 4), unit(scalars * key_dim, 8));
            let (weights, slopes) = (unit(scalars, 5), values(value_heads * key_dim, 9));
            let slopes: Vec<f32> = slopes.iter().map(|x| x - 1.0).collect();
            let kinds = [
                Decays::Head(&heads),
                Decays::Column(&columns),
                Decays::Slopes {
                    steps: &heads,
                    slopes: &slopes,
                },
            ];
            let along = Erase::Along {
                e: &others,
                b: &keys,
            };
            for (decays, erase) in kinds
                .into_iter()
                .flat_map(|kind| [Erase::Nothing, Erase::Key, along].map(|erase| (kind, erase)))
            {
                let r = Recurrence {
                    tokens,
                    key_heads,
                    value_heads,
                    key_dim,
                    value_dim,
                    queries: &queries,
                    keys: &keys,
                    values: &inputs,
                    decays,
                    weights: &weights,
                    erase,
                };
                let every = |i: usize| match decays {
                    Decays::Head(decays) => f64::from(decays[i / key_dim]),
                    Decays::Column(decays) => f64::from(decays[i]),
                    Decays::Slopes { steps, slopes } => {
                        let slope = slopes[i % (value_heads * key_dim)];
                        (f64::from(steps[i / key_dim]) * f64::from(slope)).exp()
                    }
                };
                let every: Vec<f64> = (0..scalars * key_dim).map(every).collect();
                let mut state = values(batch * value_heads * value_dim * key_dim, 6);
                let mut exact: Vec<f64> = state.iter().map(|x| f64::from(*x)).collect();
                let mut out = vec![f32::NAN; scalars * value_dim];
                recurrence(r, &mut state, &mut out);
                let expected = definition(&r, batch, &every, &mut exact);
                for (got, want) in out.iter().zip(&expected).chain(state.iter().zip(&exact)) {
                    let error = (f64::from(*got) - want).abs();
                    assert!(error < 2e-5 * want.abs().max(1.0), "{got} is not {want}");
                }
            }
        }
    }
}
