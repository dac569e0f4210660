//! Recurrences whose columns decay each at a rate of its own, or that erase
//! along a direction of its own, in chunks by MLX's operations.
//!
//! Differences of decays cannot be taken apart into two factors without one of
//! them overflowing, so they are made for every pair of tokens and every column
//! of a short chunk.

use mlx_rs::{Array, ops};

use super::{Decays, Erase, Recurrence, Result, inverse, lower};

/// Tokens of a chunk.
const CHUNK: i32 = 16;

/// A chunk, everything `[B, heads, n, ..]`.
struct Chunk {
    queries: Array,
    keys: Array,
    /// Values times their weights.
    taken: Array,
    /// e and b.
    erase: Option<[Array; 2]>,
    /// ln of what is left at each token of what came before the chunk.
    decays: Array,
}

impl Recurrence {
    /// All tokens, a short chunk after the other.
    pub(super) fn columns(&self, state: &Array) -> Result<(Array, Array)> {
        let rows = self.values.dim(1);
        let (mut state, mut read) = (state.clone(), Vec::new());
        for start in (0..rows).step_by(CHUNK as usize) {
            let part = self.part(start, rows.min(start + CHUNK))?;
            let (y, after) = Chunk::new(&part)?.run(&state)?;
            read.push(y);
            state = after;
        }
        let read = ops::concatenate(&read, 2)?;
        Ok((read.transpose_axes(&[0, 2, 1, 3])?, state))
    }

    /// The tokens `start..end`, without a state.
    fn part(&self, start: i32, end: i32) -> Result<Self> {
        let part = |x: &Array| {
            let ids = Array::from_iter(start..end, &[end - start]);
            x.take_axis(ids, 1)
        };
        Ok(Self {
            queries: part(&self.queries)?,
            keys: part(&self.keys)?,
            values: part(&self.values)?,
            decays: match &self.decays {
                Decays::Head(decays) => Decays::Head(part(decays)?),
                Decays::Column(decays) => Decays::Column(part(decays)?),
                Decays::Slopes { steps, slopes } => Decays::Slopes {
                    steps: part(steps)?,
                    slopes: slopes.clone(),
                },
            },
            weights: part(&self.weights)?,
            state: None,
            erase: match &self.erase {
                Erase::Along { e, b } => Erase::Along {
                    e: part(e)?,
                    b: part(b)?,
                },
                other => other.clone(),
            },
        })
    }
}

impl Chunk {
    fn new(part: &Recurrence) -> Result<Self> {
        let weights = part.weights.transpose_axes(&[0, 2, 1])?.expand_dims(-1)?;
        let keys = part.by_head(&part.keys)?;
        let erase = match &part.erase {
            Erase::Nothing => None,
            Erase::Key => Some([keys.clone(), keys.multiply(&weights)?]),
            Erase::Along { e, b } => Some([part.by_head(e)?, part.by_head(b)?]),
        };
        Ok(Self {
            queries: part.by_head(&part.queries)?,
            taken: part.by_head(&part.values)?.multiply(&weights)?,
            keys,
            erase,
            decays: ops::cumsum(part.decays.by_head()?, 2, None, None)?,
        })
    }

    /// What is read, and the state after it.
    fn run(&self, state: &Array) -> Result<(Array, Array)> {
        let grown = ops::exp(&self.decays)?;
        let before = state.swap_axes(-1, -2)?;
        let held = |x: &Array| ops::matmul(x.multiply(&grown)?, &before);
        let mut read = held(&self.queries)?;
        read = read.add(ops::matmul(
            self.scores(&self.queries, &self.keys)?,
            &self.taken,
        )?)?;
        let n = self.decays.dim(2);
        let last = self
            .decays
            .take_axis(Array::from_int(n - 1), 2)?
            .expand_dims(2)?;
        let left = ops::exp(last.subtract(&self.decays)?)?;
        // What stays until the end of values `[.., n, value_dim]` along keys.
        let kept = |values: &Array, keys: &Array| {
            ops::matmul(values.swap_axes(-1, -2)?, keys.multiply(&left)?)
        };
        let mut after = state.multiply(ops::exp(&last)?)?;
        after = after.add(kept(&self.taken, &self.keys)?)?;
        if let Some([e, b]) = &self.erase {
            let zero = Array::from_f32(0.0);
            let earlier = ops::select(&lower(n, 1)?, self.scores(e, &self.keys)?, &zero)?;
            let found = held(e)?.add(ops::matmul(earlier, &self.taken)?)?;
            let erased = ops::matmul(inverse(&self.scores(e, b)?)?, found)?;
            read = read.subtract(ops::matmul(self.scores(&self.queries, b)?, &erased)?)?;
            after = after.subtract(kept(&erased, b)?)?;
        }
        Ok((read, after))
    }

    /// Products of `x` at token i and what is left there of `y` at token j:
    /// `[B, heads, n, n]`, zero for j > i.
    fn scores(&self, x: &Array, y: &Array) -> Result<Array> {
        let [row, column] = [3, 2].map(|axis| self.decays.expand_dims(axis));
        let between = row?.subtract(column?)?;
        let later = lower(self.decays.dim(2), 0)?.expand_dims(-1)?;
        let never = Array::from_f32(f32::NEG_INFINITY);
        let between = ops::exp(ops::select(&later, &between, &never)?)?;
        let products = x.expand_dims(3)?.multiply(y.expand_dims(2)?)?;
        products.multiply(between)?.sum_axis(-1, false)
    }
}
