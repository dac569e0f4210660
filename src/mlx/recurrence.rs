//! Linear recurrences over the tokens of a sequence: Mamba 2 and the gated
//! delta rule.
//!
//! With a state S `[value_dim, key_dim]` a head, at every token `S ← g S + u kᵀ`
//! and `y = S q`, with `u = β v`, or `u = β (v - g S k)` by the delta rule. On
//! the CPU a kernel goes from token to token; elsewhere tokens are taken in
//! chunks, within which everything is a product of matrices (arXiv 2405.21060
//! and 2406.06484).

use maquette_kernels as kernels;
use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{host, ops::on_cpu};

type Result<T> = std::result::Result<T, Exception>;

/// Tokens of a chunk; a power of two.
const CHUNK: i32 = 64;

/// What goes into a recurrence, all f32.
#[derive(Debug, Clone)]
pub struct Recurrence {
    /// `[B, T, key heads, key_dim]`
    pub queries: Array,
    pub keys: Array,
    /// `[B, T, value heads, value_dim]`; several share a key head.
    pub values: Array,
    /// `[B, T, value heads]`: ln g.
    pub log_decays: Array,
    /// `[B, T, value heads]`: β.
    pub weights: Array,
    /// `[B, value heads, value_dim, key_dim]`; `None`: zeros.
    pub state: Option<Array>,
    /// Whether what the state holds of a key is taken out first.
    pub delta: bool,
}

impl Recurrence {
    /// What is read, `[B, T, value heads, value_dim]`, and the state after the
    /// last token.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn run(self) -> Result<(Array, Array)> {
        let [batch, heads, value_dim, key_dim] = self.check()?;
        let state = match &self.state {
            Some(state) => state.clone(),
            None => ops::zeros_dtype(&[batch, heads, value_dim, key_dim], Dtype::Float32)?,
        };
        match (on_cpu(), self.values.dim(1)) {
            (true, 1) => self.step_on_host(&state),
            (true, _) => self.scan_on_host(&state),
            (false, 1) => self.step(&state),
            (false, _) => self.chunks(&state),
        }
    }

    /// Sequences, value heads and the size of a state.
    fn check(&self) -> Result<[i32; 4]> {
        let fits = self.queries.ndim() == 4
            && self.values.ndim() == 4
            && self.queries.shape() == self.keys.shape()
            && self.keys.shape()[..2] == self.values.shape()[..2]
            && self.keys.dim(2) > 0
            && self.values.dim(2) % self.keys.dim(2) == 0
            && self.log_decays.shape() == &self.values.shape()[..3]
            && self.weights.shape() == &self.values.shape()[..3];
        let size = || {
            let [keys, values] = [&self.keys, &self.values];
            [values.dim(0), values.dim(2), values.dim(3), keys.dim(3)]
        };
        let state = self.state.as_ref();
        if !fits || state.is_some_and(|state| state.shape() != size()) {
            return Err(Exception::custom(format!(
                "a recurrence: queries {:?}, keys {:?}, values {:?} and state {:?} do not fit",
                self.queries.shape(),
                self.keys.shape(),
                self.values.shape(),
                state.map(Array::shape),
            )));
        }
        Ok(size())
    }

    fn inputs(&self) -> Result<[Array; 5]> {
        Ok([
            self.queries.clone(),
            self.keys.clone(),
            self.values.clone(),
            ops::exp(&self.log_decays)?,
            self.weights.clone(),
        ])
    }

    /// A node that computes `[what is read | state]`.
    fn on_host(&self, state: &Array) -> Result<Array> {
        let inputs = self.inputs()?;
        let inputs: Vec<&Array> = inputs.iter().chain([state]).collect();
        let read = self.values.size() as i32;
        let shape = [read + state.size() as i32];
        let delta = self.delta;
        host::node(&inputs, &shape, Dtype::Float32, move |inputs, out| {
            let [queries, keys, values, decays, weights, state] = inputs else {
                return;
            };
            let (out, after) = out.elements::<f32>().split_at_mut(read as usize);
            after.copy_from_slice(&state.contiguous::<f32>());
            let r = kernels::Recurrence {
                tokens: values.dim(1),
                key_heads: keys.dim(2),
                value_heads: values.dim(2),
                key_dim: keys.dim(3),
                value_dim: values.dim(3),
                queries: &queries.contiguous::<f32>(),
                keys: &keys.contiguous::<f32>(),
                values: &values.contiguous::<f32>(),
                decays: &decays.contiguous::<f32>(),
                weights: &weights.contiguous::<f32>(),
                delta,
            };
            kernels::recurrence(r, after, out);
        })
    }

    /// A token: what is read is little beside the state, so both stay together.
    fn step_on_host(&self, state: &Array) -> Result<(Array, Array)> {
        let both = self.on_host(state)?;
        let [read, after] = self.apart(&both)?;
        Ok((self.read(&read)?, after.reshape(state.shape())?))
    }

    /// Many tokens: the state is copied, or all that was read would stay in
    /// memory with it.
    fn scan_on_host(&self, state: &Array) -> Result<(Array, Array)> {
        let both = self.on_host(state)?;
        let [read, _] = self.apart(&both)?;
        let start = self.values.size();
        let after = host::node(
            &[&both],
            state.shape(),
            Dtype::Float32,
            move |inputs, out| {
                let both = inputs[0].contiguous::<f32>();
                out.elements::<f32>().copy_from_slice(&both[start..]);
            },
        )?;
        Ok((self.read(&read)?, after))
    }

    fn apart(&self, both: &Array) -> Result<[Array; 2]> {
        let parts = both.split_at_indices(&[self.values.size() as i32], 0)?;
        <[Array; 2]>::try_from(parts)
            .map_err(|_| Exception::custom("MLX split a recurrence into too many parts"))
    }

    /// `[B, heads, T, value_dim]`, flat, in the order of the tokens.
    fn read(&self, flat: &Array) -> Result<Array> {
        let shape = self.values.shape();
        flat.reshape(&[shape[0], shape[2], shape[1], shape[3]])?
            .transpose_axes(&[0, 2, 1, 3])
    }

    /// `x [B, T, heads, width]` as `[B, value heads, T, width]`.
    fn by_head(&self, x: &Array) -> Result<Array> {
        let (batch, rows, heads, width) = (x.dim(0), x.dim(1), x.dim(2), x.dim(3));
        let share = self.values.dim(2) / heads;
        let shape = [batch, heads, share, rows, width];
        let x = x.transpose_axes(&[0, 2, 1, 3])?.expand_dims(2)?;
        ops::broadcast_to(x, &shape)?.reshape(&[batch, heads * share, rows, width])
    }

    /// One token by MLX's operations.
    fn step(&self, state: &Array) -> Result<(Array, Array)> {
        let [queries, keys, values] = [
            self.by_head(&self.queries)?,
            self.by_head(&self.keys)?,
            self.by_head(&self.values)?,
        ];
        let scalar = |x: &Array| x.transpose_axes(&[0, 2, 1])?.expand_dims(-1);
        let state = state.multiply(scalar(&ops::exp(&self.log_decays)?)?)?;
        // Rows of values as columns: [B, heads, value_dim, 1]
        let mut taken = values.swap_axes(-1, -2)?;
        if self.delta {
            taken = taken.subtract(ops::matmul(&state, keys.swap_axes(-1, -2)?)?)?;
        }
        let taken = taken.multiply(scalar(&self.weights)?)?;
        let state = state.add(taken.multiply(&keys)?)?;
        let read = ops::matmul(&state, queries.swap_axes(-1, -2)?)?;
        let read = read.reshape(&[read.dim(0), 1, read.dim(1), read.dim(2)])?;
        Ok((read, state))
    }

    /// All tokens, chunk by chunk, by MLX's operations.
    fn chunks(&self, state: &Array) -> Result<(Array, Array)> {
        let rows = self.values.dim(1);
        let count = (rows + CHUNK - 1) / CHUNK;
        // Tokens that are made up weigh nothing and decay nothing.
        let missing = count * CHUNK - rows;
        let chunked = |x: Array| {
            let (batch, heads, width) = (x.dim(0), x.dim(1), x.dim(3));
            let x = match missing {
                0 => x,
                _ => {
                    let none = ops::zeros_dtype(&[batch, heads, missing, width], x.dtype())?;
                    ops::concatenate(&[x, none], 2)?
                }
            };
            x.reshape(&[batch, heads, count, CHUNK, width])
        };
        let by_head = |x: &Array| chunked(self.by_head(x)?);
        let (queries, keys) = (by_head(&self.queries)?, by_head(&self.keys)?);
        let values = by_head(&self.values)?;
        let scalar = |x: &Array| by_head(&x.expand_dims(-1)?);
        let weights = scalar(&self.weights)?;
        // Decays since the chunk's beginning, [B, heads, count, CHUNK, 1].
        let decays = ops::cumsum(scalar(&self.log_decays)?, 3, None, None)?;
        let between = between(&decays)?;
        let weighted = values.multiply(&weights)?;
        let scores = |x: &Array| ops::matmul(x, keys.swap_axes(-1, -2)?)?.multiply(&between);
        let attention = scores(&queries)?;
        let solve = match self.delta {
            true => Some(inverse(&scores(&keys)?.multiply(&weights)?)?),
            false => None,
        };
        let grown = ops::exp(&decays)?;
        let last = decays.split_at_indices(&[CHUNK - 1], 3)?.swap_remove(1);
        let left = ops::exp(last.subtract(&decays)?)?;
        let part = |x: &Array, at: i32| x.take_axis(Array::from_int(at), 2);
        let (mut state, mut read) = (state.clone(), Vec::new());
        for at in 0..count {
            let (keys, grown) = (part(&keys, at)?, part(&grown, at)?);
            let held = |x: &Array| ops::matmul(x, state.swap_axes(-1, -2)?)?.multiply(&grown);
            let mut taken = part(&weighted, at)?;
            if let Some(solve) = &solve {
                let known = held(&keys)?.multiply(part(&weights, at)?)?;
                taken = ops::matmul(part(solve, at)?, taken.subtract(known)?)?;
            }
            let inside = ops::matmul(part(&attention, at)?, &taken)?;
            read.push(held(&part(&queries, at)?)?.add(inside)?);
            let added = taken.multiply(part(&left, at)?)?.swap_axes(-1, -2)?;
            let decay = ops::exp(part(&last, at)?)?;
            state = state.multiply(decay)?.add(ops::matmul(added, keys)?)?;
        }
        let read = ops::concatenate(&read, 2)?;
        let read = read.split_at_indices(&[rows], 2)?.swap_remove(0);
        Ok((read.transpose_axes(&[0, 2, 1, 3])?, state))
    }
}

/// What is left at token i of what token j took in, of `decays` since the
/// beginning `[.., CHUNK, 1]`: `[.., CHUNK, CHUNK]`, zero for j > i.
fn between(decays: &Array) -> Result<Array> {
    let difference = decays.subtract(decays.swap_axes(-1, -2)?)?;
    let later = lower(0)?;
    let never = Array::from_f32(f32::NEG_INFINITY);
    ops::exp(ops::select(&later, &difference, &never)?)
}

/// Whether `i - j ≥ distance`, `[CHUNK, CHUNK]`.
fn lower(distance: i32) -> Result<Array> {
    let row = Array::from_iter(0..CHUNK, &[CHUNK, 1]);
    let column = Array::from_iter(distance..CHUNK + distance, &[1, CHUNK]);
    column.le(row)
}

/// (I + A)⁻¹ for the part of `a [.., CHUNK, CHUNK]` below the diagonal: blocks
/// on the diagonal are inverted, and joined to blocks of twice the size.
fn inverse(a: &Array) -> Result<Array> {
    let zero = Array::from_f32(0.0);
    let below = ops::select(&lower(1)?, a, &zero)?;
    let mut inverse = ops::broadcast_to(ops::eye::<f32>(CHUNK, None, None)?, a.shape())?;
    let mut size = 1;
    while size < CHUNK {
        // The lower left quarters of the blocks of twice the size.
        let at = |i: i32, j: i32| i / (2 * size) == j / (2 * size) && i / size > j / size;
        let mask = (0..CHUNK).flat_map(|i| (0..CHUNK).map(move |j| (i, j)));
        let mask: Vec<bool> = mask.map(|(i, j)| at(i, j)).collect();
        let corners = ops::select(Array::from_slice(&mask, &[CHUNK, CHUNK]), &below, &zero)?;
        let joined = ops::matmul(ops::matmul(&inverse, corners)?, &inverse)?;
        inverse = inverse.subtract(joined)?;
        size *= 2;
    }
    Ok(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(shape: &[i32], seed: i32) -> Array {
        let size: i32 = shape.iter().product();
        let number = |i: i32| ((i * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0;
        Array::from_iter((0..size).map(number), shape)
    }

    fn example(tokens: i32, delta: bool, state: bool) -> Recurrence {
        let (batch, key_heads, value_heads) = (2, 2, 6);
        let scalars = [batch, tokens, value_heads];
        let unit = |seed| {
            values(&scalars, seed)
                .multiply(Array::from_f32(0.5))
                .unwrap()
        };
        let half = Array::from_f32(0.5);
        Recurrence {
            queries: values(&[batch, tokens, key_heads, 16], 1),
            keys: values(&[batch, tokens, key_heads, 16], 2)
                .multiply(Array::from_f32(0.4))
                .unwrap(),
            values: values(&[batch, tokens, value_heads, 8], 3),
            log_decays: unit(4).subtract(&half).unwrap(),
            weights: unit(5).add(&half).unwrap(),
            state: state.then(|| values(&[batch, value_heads, 8, 16], 6)),
            delta,
        }
    }

    #[track_caller]
    fn assert_close(a: &Array, b: &Array) {
        assert_eq!(a.shape(), b.shape());
        let numbers = |x: &Array| x.contiguous().unwrap().to_vec_cast::<f32>().unwrap();
        for (a, b) in numbers(a).iter().zip(numbers(b)) {
            assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{a} is not {b}");
        }
    }

    #[test]
    fn chunks_and_steps_agree_with_the_kernel() {
        for delta in [true, false] {
            for (tokens, with_state) in [(1, true), (5, false), (64, true), (150, true)] {
                let example = example(tokens, delta, with_state);
                let zeros = ops::zeros_dtype(&[2, 6, 8, 16], Dtype::Float32).unwrap();
                let state = example.state.clone().unwrap_or(zeros);
                let (read, after) = example.clone().run().unwrap();
                let (others, other) = example.chunks(&state).unwrap();
                assert_close(&others, &read);
                assert_close(&other, &after);
                if tokens == 1 {
                    let (others, other) = example.step(&state).unwrap();
                    assert_close(&others, &read);
                    assert_close(&other, &after);
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let mut example = example(3, true, true);
        example.state = Some(values(&[2, 6, 8, 15], 1));
        assert!(example.run().is_err());
    }
}
