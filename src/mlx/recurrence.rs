//! Linear recurrences over the tokens of a sequence: Mamba 1 and 2, the gated
//! delta rule and its kin.
//!
//! With a state S `[value_dim, key_dim]` a head, at every token
//! `S ← S G - (S G e) bᵀ + β v kᵀ` and `y = S q`, where G scales S or each of
//! its columns; see [`Decays`] and [`Erase`]. On the CPU a kernel goes from
//! token to token; elsewhere tokens are taken in chunks, within which
//! everything is a product of matrices (arXiv 2405.21060 and 2406.06484).

mod columns;

use maquette_kernels as kernels;
use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{
    host::{self, View},
    ops::on_cpu,
};

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
    pub decays: Decays,
    /// `[B, T, value heads]`: β.
    pub weights: Array,
    /// `[B, value heads, value_dim, key_dim]`; `None`: zeros.
    pub state: Option<Array>,
    pub erase: Erase,
}

/// The logarithm of G.
#[derive(Debug, Clone)]
pub enum Decays {
    /// A number a head: `[B, T, value heads]`.
    Head(Array),
    /// One for each column: `[B, T, value heads, key_dim]`.
    Column(Array),
    /// One for each column: steps `[B, T, value heads]` times slopes
    /// `[value heads, key_dim]`, which are multiplied where they are used.
    Slopes { steps: Array, slopes: Array },
}

/// What is taken out of a state before something is added.
#[derive(Debug, Clone)]
pub enum Erase {
    Nothing,
    /// What it holds of the key, by the delta rule: `e = k`, `b = β k`.
    Key,
    /// Both of the shape of the keys.
    Along {
        e: Array,
        b: Array,
    },
}

impl Decays {
    /// Whether `[B, T, value heads]` and `key_dim` are its shape.
    fn fits(&self, scalars: &[i32], key_dim: i32) -> bool {
        match self {
            Self::Head(decays) => decays.shape() == scalars,
            Self::Column(decays) => decays.shape() == [scalars, &[key_dim]].concat(),
            Self::Slopes { steps, slopes } => {
                steps.shape() == scalars && slopes.shape() == [scalars[2], key_dim]
            }
        }
    }

    /// `[B, value heads, T, 1 or key_dim]`
    fn by_head(&self) -> Result<Array> {
        let scalar = |x: &Array| x.transpose_axes(&[0, 2, 1])?.expand_dims(-1);
        match self {
            Self::Head(decays) => scalar(decays),
            Self::Column(decays) => decays.transpose_axes(&[0, 2, 1, 3]),
            Self::Slopes { steps, slopes } => scalar(steps)?.multiply(slopes.expand_dims(1)?),
        }
    }
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
            (false, _) => match &self.decays {
                Decays::Head(decays) if !matches!(self.erase, Erase::Along { .. }) => {
                    self.chunks(decays, &state)
                }
                _ => self.columns(&state),
            },
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
            && self
                .decays
                .fits(&self.values.shape()[..3], self.keys.dim(3))
            && self.weights.shape() == &self.values.shape()[..3]
            && match &self.erase {
                Erase::Nothing | Erase::Key => true,
                Erase::Along { e, b } => [e, b].iter().all(|x| x.shape() == self.keys.shape()),
            };
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

    /// A node that computes `[what is read | state]`.
    fn on_host(&self, state: &Array) -> Result<Array> {
        let mut inputs = vec![
            &self.queries,
            &self.keys,
            &self.values,
            &self.weights,
            state,
        ];
        let (by_column, decays) = match &self.decays {
            Decays::Head(decays) => (false, vec![ops::exp(decays)?]),
            Decays::Column(decays) => (true, vec![ops::exp(decays)?]),
            Decays::Slopes { steps, slopes } => (true, vec![steps.clone(), slopes.clone()]),
        };
        inputs.extend(&decays);
        let erases_key = matches!(self.erase, Erase::Key);
        if let Erase::Along { e, b } = &self.erase {
            inputs.extend([e, b]);
        }
        let (read, count) = (self.values.size(), decays.len());
        let shape = [(read + state.size()) as i32];
        host::node(&inputs, &shape, Dtype::Float32, move |inputs, out| {
            let (out, after) = out.elements::<f32>().split_at_mut(read);
            let numbers: Vec<_> = inputs.iter().map(View::contiguous::<f32>).collect();
            let [queries, keys, values, weights, state, rest @ ..] = &numbers[..] else {
                return;
            };
            after.copy_from_slice(state);
            let (decays, along) = rest.split_at(count);
            let r = kernels::Recurrence {
                tokens: inputs[2].dim(1),
                key_heads: inputs[1].dim(2),
                value_heads: inputs[2].dim(2),
                key_dim: inputs[1].dim(3),
                value_dim: inputs[2].dim(3),
                queries,
                keys,
                values,
                decays: match decays {
                    [steps, slopes] => kernels::Decays::Slopes { steps, slopes },
                    _ if by_column => kernels::Decays::Column(&decays[0]),
                    _ => kernels::Decays::Head(&decays[0]),
                },
                weights,
                erase: match along {
                    [e, b] => kernels::Erase::Along { e, b },
                    _ if erases_key => kernels::Erase::Key,
                    _ => kernels::Erase::Nothing,
                },
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
        let state = state.multiply(ops::exp(self.decays.by_head()?)?)?;
        let held = |x: &Array| ops::matmul(&state, x.swap_axes(-1, -2)?);
        // Rows of values as columns: [B, heads, value_dim, 1]
        let mut taken = values.swap_axes(-1, -2)?;
        if matches!(self.erase, Erase::Key) {
            taken = taken.subtract(held(&keys)?)?;
        }
        let weights = self.weights.transpose_axes(&[0, 2, 1])?.expand_dims(-1)?;
        let mut added = taken.multiply(weights)?.multiply(&keys)?;
        if let Erase::Along { e, b } = &self.erase {
            let erased = held(&self.by_head(e)?)?.multiply(self.by_head(b)?)?;
            added = added.subtract(erased)?;
        }
        let state = state.add(added)?;
        let read = ops::matmul(&state, queries.swap_axes(-1, -2)?)?;
        let read = read.reshape(&[read.dim(0), 1, read.dim(1), read.dim(2)])?;
        Ok((read, state))
    }

    /// All tokens, chunk by chunk, by MLX's operations, with one decay a head
    /// and by the delta rule if anything is erased.
    fn chunks(&self, log_decays: &Array, state: &Array) -> Result<(Array, Array)> {
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
        let decays = ops::cumsum(scalar(log_decays)?, 3, None, None)?;
        let between = between(&decays)?;
        let weighted = values.multiply(&weights)?;
        let scores = |x: &Array| ops::matmul(x, keys.swap_axes(-1, -2)?)?.multiply(&between);
        let attention = scores(&queries)?;
        let solve = match self.erase {
            Erase::Key => Some(inverse(&scores(&keys)?.multiply(&weights)?)?),
            _ => None,
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
/// beginning `[.., n, 1]`: `[.., n, n]`, zero for j > i.
fn between(decays: &Array) -> Result<Array> {
    let difference = decays.subtract(decays.swap_axes(-1, -2)?)?;
    let later = lower(decays.dim(-2), 0)?;
    let never = Array::from_f32(f32::NEG_INFINITY);
    ops::exp(ops::select(&later, &difference, &never)?)
}

/// Whether `i - j ≥ distance`, `[n, n]`.
fn lower(n: i32, distance: i32) -> Result<Array> {
    let row = Array::from_iter(0..n, &[n, 1]);
    let column = Array::from_iter(distance..n + distance, &[1, n]);
    column.le(row)
}

/// (I + A)⁻¹ for the part of `a [.., n, n]` below the diagonal: blocks on the
/// diagonal are inverted, and joined to blocks of twice the size.
fn inverse(a: &Array) -> Result<Array> {
    let (n, zero) = (a.dim(-1), Array::from_f32(0.0));
    let below = ops::select(&lower(n, 1)?, a, &zero)?;
    let mut inverse = ops::broadcast_to(ops::eye::<f32>(n, None, None)?, a.shape())?;
    let mut size = 1;
    while size < n {
        // The lower left quarters of the blocks of twice the size.
        let at = |i: i32, j: i32| i / (2 * size) == j / (2 * size) && i / size > j / size;
        let mask = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
        let mask: Vec<bool> = mask.map(|(i, j)| at(i, j)).collect();
        let corners = ops::select(Array::from_slice(&mask, &[n, n]), &below, &zero)?;
        let joined = ops::matmul(ops::matmul(&inverse, corners)?, &inverse)?;
        inverse = inverse.subtract(joined)?;
        size *= 2;
    }
    Ok(inverse)
}

#[cfg(test)]
mod tests;
