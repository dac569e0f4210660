//! What recurrent mixers share: taking a step's rows apart by sequence, states
//! in and out, and the short convolution before them.

use std::ops::Range;

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::Context;
use crate::{cache::Taken, models::step::SequenceRows};

/// What a mixer makes of rows `[B, T, width]` of B sequences and what they carry
/// on, arrays `[B, ..]`: rows `[B, T, width']` and what they carry on now.
type Mixed = Result<(Array, Vec<Array>), Exception>;

/// Calls `mix` for all rows `x [T, width]` of a step: once for neighbouring
/// sequences that go on by one row each, once for every other sequence, and
/// there once more for rows that are only proposed.
///
/// # Errors
/// Those of `mix` and of the store.
pub fn by_sequence(
    x: &Array,
    at: &mut Context,
    mix: impl Fn(&Array, Option<Vec<Array>>) -> Mixed,
) -> Result<Array, Exception> {
    let sequences = at.plan.sequences;
    let (mut mixed, mut first, mut row) = (Vec::new(), 0, 0);
    while first < sequences.len() {
        let (together, mut state) = group(&sequences[first..], at)?;
        let count = together.len() as i32;
        for stretch in stretches(&together[0]) {
            let rows = stretch.len() as i32;
            let part = part(x, row, row + count * rows)?;
            let part = part.reshape(&[count, rows, x.dim(1)])?;
            let (y, after) = mix(&part, state)?;
            keep(together, &stretch, &after, at)?;
            mixed.push(y.reshape(&[count * rows, y.dim(-1)])?);
            state = Some(after);
            row += count * rows;
        }
        first += together.len();
    }
    match &mixed[..] {
        [only] => Ok(only.clone()),
        parts => ops::concatenate(parts, 0),
    }
}

/// The rows of a sequence that are mixed at a time: proposals by themselves, so
/// that there is a state before them.
fn stretches(sequence: &SequenceRows) -> impl Iterator<Item = Range<usize>> + use<> {
    let own = sequence.rows.saturating_sub(sequence.proposed);
    let each = [0..own, own..sequence.rows];
    each.into_iter().filter(|rows| !rows.is_empty())
}

/// The sequences at the beginning that can be treated together, and what they
/// carry on.
fn group<'a>(
    sequences: &'a [SequenceRows],
    at: &mut Context,
) -> Result<(&'a [SequenceRows], Option<Vec<Array>>), Exception> {
    let layer = at.layer;
    let Some(first) = at.kv.state(sequences[0].sequence, layer)? else {
        return Ok((&sequences[..1], None));
    };
    let singles = sequences.iter().take_while(|rows| rows.rows == 1).count();
    let mut states = vec![first];
    for rows in sequences.iter().take(singles).skip(1) {
        match at.kv.state(rows.sequence, layer)? {
            Some(state) => states.push(state),
            None => break,
        }
    }
    let together = &sequences[..states.len()];
    if let [only] = &states[..] {
        return Ok((together, Some(only.clone())));
    }
    let join = |which: usize| {
        let parts: Vec<&Array> = states.iter().filter_map(|state| state.get(which)).collect();
        ops::concatenate(&parts, 0)
    };
    let joined: Result<Vec<Array>, _> = (0..states[0].len()).map(join).collect();
    Ok((together, Some(joined?)))
}

/// Keeps what each sequence carries on after its rows `stretch`.
fn keep(
    together: &[SequenceRows],
    stretch: &Range<usize>,
    state: &[Array],
    at: &mut Context,
) -> Result<(), Exception> {
    let layer = at.layer;
    let mut keep = |of: &SequenceRows, state: Vec<Array>| {
        let taken = match stretch.start + of.proposed < of.rows {
            true => Taken::Own(stretch.len()),
            false => Taken::Proposed(stretch.len()),
        };
        at.kv.set_state(of.sequence, layer, taken, state)
    };
    if let [only] = together {
        return keep(only, state.to_vec());
    }
    let parts = |array: &Array| array.split_equal(together.len() as i32, 0);
    let parts: Vec<Vec<Array>> = state.iter().map(parts).collect::<Result<_, _>>()?;
    for (number, of) in together.iter().enumerate() {
        let own = parts.iter().map(|parts| parts[number].clone());
        keep(of, own.collect())?;
    }
    Ok(())
}

/// Rows `start..end`.
fn part(x: &Array, start: i32, end: i32) -> Result<Array, Exception> {
    if (start, end) == (0, x.dim(0)) {
        return Ok(x.clone());
    }
    let parts = x.split_at_indices(&[start, end], 0)?;
    parts
        .get(1)
        .cloned()
        .ok_or_else(|| Exception::custom("MLX split rows wrongly"))
}

/// A convolution of each channel over the last `kernel` tokens.
#[derive(Debug, Clone)]
pub struct CausalConv {
    /// `[kernel, channels]`, f32.
    weight: Array,
    /// `[channels]`, f32.
    bias: Option<Array>,
}

impl CausalConv {
    /// From a weight `[channels, kernel]`.
    ///
    /// # Errors
    /// When MLX refuses to transpose.
    pub fn new(weight: &Array, bias: Option<Array>) -> Result<Self, Exception> {
        let weight = weight.as_dtype(Dtype::Float32)?;
        Ok(Self {
            weight: weight.t().contiguous()?,
            bias,
        })
    }

    pub fn arrays(&self) -> Vec<&Array> {
        std::iter::once(&self.weight).chain(&self.bias).collect()
    }

    /// From `[B, T, channels]` to the same, in f32, and the last `kernel - 1`
    /// tokens, which the next call wants back.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Array, past: Option<&Array>) -> Result<(Array, Array), Exception> {
        let (batch, rows, channels) = (x.dim(0), x.dim(1), x.dim(2));
        let kernel = self.weight.dim(0);
        let all = match past {
            Some(past) => ops::concatenate(&[past, x], 1)?,
            None => {
                let none = ops::zeros_dtype(&[batch, kernel - 1, channels], x.dtype())?;
                ops::concatenate(&[&none, x], 1)?
            }
        };
        // Gathered, not sliced: a slice would keep all of it in memory.
        let last = Array::from_iter(rows..rows + kernel - 1, &[kernel - 1]);
        let past = all.take_axis(last, 1)?;
        let all = all.as_dtype(Dtype::Float32)?;
        let mut y = match rows {
            1 => all.multiply(&self.weight)?.sum_axis(1, true)?,
            _ => self.shifted(&all, rows)?,
        };
        if let Some(bias) = &self.bias {
            y = y.add(bias)?;
        }
        Ok((y, past))
    }

    /// The sum over the kernel of `[B, kernel - 1 + rows, channels]`.
    fn shifted(&self, all: &Array, rows: i32) -> Result<Array, Exception> {
        let kernel = self.weight.dim(0);
        let weights = self.weight.split_equal(kernel, 0)?;
        let mut sum: Option<Array> = None;
        for (shift, weight) in (0..kernel).zip(weights) {
            let parts = all.split_at_indices(&[shift, shift + rows], 1)?;
            let term = parts
                .get(1)
                .ok_or_else(|| Exception::custom("MLX split tokens wrongly"))?
                .multiply(weight)?;
            sum = Some(match sum {
                Some(sum) => sum.add(term)?,
                None => term,
            });
        }
        sum.ok_or_else(|| Exception::custom("a convolution over no tokens"))
    }
}
