//! Which token comes next: on the device, for all rows of a step at once.
//!
//! In order: bias and penalties on the logits; top-k, top-p, min-p on the
//! untempered distribution; temperature. A row's token depends on its own
//! logits, parameters and number alone, never on its neighbours.
//!
//! Filters are thresholds: tokens exactly as likely as the last one kept are
//! kept as well.

use mlx_rs::{
    Array, Dtype,
    error::Exception,
    ops::{
        self,
        indexing::{self, argmax_axis, topk_axis},
    },
};

use super::{
    speculation::{draft::DraftRow, verify::Verdict},
    types::SamplingParams,
};

type Result<T> = std::result::Result<T, Exception>;

/// One row to sample.
#[derive(Debug)]
pub(super) struct RowSampling<'a> {
    pub params: &'a SamplingParams,
    /// Uniform in [0, 1): all the chance there is.
    pub uniform: f32,
    /// The latest tokens `[N]` u32, maybe lazy, if there are penalties.
    pub history: Option<Array>,
    /// Alternatives whose log-probabilities are wanted.
    pub logprobs: Option<usize>,
    /// What a draft has drawn for this row, to be kept if that is fair.
    pub draft: Option<&'a DraftRow>,
}

/// Lazy results.
#[derive(Debug)]
pub(super) struct Sampled {
    /// `[B]`, u32.
    pub tokens: Array,
    pub logprobs: Vec<Option<RowLogprobs>>,
}

/// Natural logarithms of probabilities, before any bias, penalty or filter.
#[derive(Debug)]
pub(super) struct RowLogprobs {
    /// Of the sampled token, `[1]`.
    pub chosen: Array,
    /// The likeliest tokens `[n]`, u32, in no order, and theirs.
    pub tokens: Array,
    pub values: Array,
}

/// Whether penalties look at earlier tokens.
pub(super) fn needs_history(params: &SamplingParams) -> bool {
    params.penalty_context > 0
        && (params.repetition_penalty != 1.0
            || params.presence_penalty != 0.0
            || params.frequency_penalty != 0.0)
}

/// What a random number decides. Numbers for different ends are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Which token comes.
    Token,
    /// Which token a draft proposes.
    Draft,
    /// Whether that proposal is kept.
    Acceptance,
}

/// The number in [0, 1) for the token at `index` of a sequence with `seed`.
/// SplitMix64's finaliser (Steele, Lea and Flood 2014) twice, 23 bits of it, so
/// that no rounding makes it 1.
pub(super) fn uniform(seed: u64, index: u64, purpose: Purpose) -> f32 {
    let mix = |mut x: u64| {
        x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    };
    let seed = match purpose {
        Purpose::Token => mix(seed),
        Purpose::Draft => mix(mix(seed) ^ 0xA076_1D64_78BD_642F),
        Purpose::Acceptance => mix(mix(seed) ^ 0xE703_7ED1_A0B4_28DB),
    };
    let bits = mix(seed ^ index.wrapping_mul(0xD605_1F0B_5B1D_8C6B)) >> 41;
    bits as f32 / (1u32 << 23) as f32
}

/// Whether no chance is wanted.
pub(super) fn is_greedy(params: &SamplingParams) -> bool {
    params.temperature <= 0.0 || params.top_k == 1
}

/// A token `[1]` for a row of a draft's `logits [1, V]`: one that is drawn,
/// with the probabilities `[1, V]` it was drawn from, or the likeliest.
pub(super) fn propose(
    logits: &Array,
    row: &RowSampling,
    draws: bool,
) -> Result<(Array, Option<Array>)> {
    let logits = adjust_rows(logits, std::slice::from_ref(row))?;
    let kind = Kind::of(row.params, logits.dim(1));
    if !draws || kind == Kind::Greedy {
        return Ok((argmax_axis(&logits, -1, false)?, None));
    }
    let weights = weigh(kind, &logits, &[row])?;
    let token = draw(&weights, &[row])?;
    let probabilities = weights.divide(weights.sum_axis(-1, true)?)?;
    Ok((token, Some(probabilities)))
}

/// Samples each row of `logits [B, V]`.
pub(super) fn sample(logits: &Array, rows: &[RowSampling]) -> Result<Sampled> {
    let logits = logits.as_dtype(Dtype::Float32)?;
    let adjusted = adjust_rows(&logits, rows)?;
    let tokens = choose(&adjusted, rows)?;
    let mut logprobs = Vec::with_capacity(rows.len());
    for (row, wanted) in rows.iter().enumerate() {
        logprobs.push(match wanted.logprobs {
            Some(top) => Some(row_logprobs(&logits, &tokens, row, top)?),
            None => None,
        });
    }
    Ok(Sampled { tokens, logprobs })
}

fn adjust_rows(logits: &Array, rows: &[RowSampling]) -> Result<Array> {
    let touched = |row: &RowSampling| row.history.is_some() || !row.params.logit_bias.is_empty();
    if !rows.iter().any(touched) {
        return Ok(logits.clone());
    }
    let parts = logits.split_equal(rows.len() as i32, 0)?;
    let adjusted: Result<Vec<Array>> = parts
        .iter()
        .zip(rows)
        .map(|(part, row)| adjust(part, row))
        .collect();
    ops::concatenate(&adjusted?, 0)
}

/// Bias and penalties on a row `[1, V]`.
fn adjust(logits: &Array, row: &RowSampling) -> Result<Array> {
    let (params, size) = (row.params, logits.dim(1));
    let mut logits = logits.clone();
    if !params.logit_bias.is_empty() {
        let mut bias = vec![0f32; size as usize];
        for (token, value) in &params.logit_bias {
            if let Some(slot) = bias.get_mut(*token as usize) {
                *slot = *value;
            }
        }
        logits = logits.add(Array::from_slice(&bias, &[1, size]))?;
    }
    let Some(history) = &row.history else {
        return Ok(logits);
    };
    let ones = ops::ones_dtype(&[history.dim(0), 1], Dtype::Float32)?;
    let counts =
        indexing::scatter_add_single(ops::zeros_dtype(&[size], Dtype::Float32)?, history, ones, 0)?;
    let counts = counts.reshape(&[1, size])?;
    let seen = counts.gt(Array::from_f32(0.0))?;
    if params.repetition_penalty != 1.0 {
        let penalty = Array::from_f32(params.repetition_penalty);
        let weaker = ops::select(
            logits.gt(Array::from_f32(0.0))?,
            logits.divide(&penalty)?,
            logits.multiply(&penalty)?,
        )?;
        logits = ops::select(&seen, weaker, &logits)?;
    }
    if params.presence_penalty != 0.0 {
        let seen = seen.as_dtype(Dtype::Float32)?;
        logits = logits.subtract(seen.multiply(Array::from_f32(params.presence_penalty))?)?;
    }
    if params.frequency_penalty != 0.0 {
        logits = logits.subtract(counts.multiply(Array::from_f32(params.frequency_penalty))?)?;
    }
    Ok(logits)
}

/// How a row is sampled; rows of a kind go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Greedy,
    /// Chance without an order of tokens.
    Plain,
    /// Top-k with this many tokens to sort.
    TopK(u32),
    /// Top-p alone: all tokens to sort.
    Sorted,
}

impl Kind {
    fn of(params: &SamplingParams, vocabulary: i32) -> Self {
        let top_k = Some(params.top_k).filter(|k| *k > 0 && *k < vocabulary as u32);
        match top_k {
            _ if is_greedy(params) => Self::Greedy,
            Some(k) => Self::TopK(k),
            None if params.top_p < 1.0 => Self::Sorted,
            None => Self::Plain,
        }
    }
}

/// Tokens `[B]`, u32.
fn choose(logits: &Array, rows: &[RowSampling]) -> Result<Array> {
    let kinds: Vec<(Kind, bool)> = rows
        .iter()
        .map(|row| (Kind::of(row.params, logits.dim(1)), row.draft.is_some()))
        .collect();
    let mut groups = kinds.clone();
    groups.sort_unstable();
    groups.dedup();
    if let [only] = groups.as_slice() {
        return choose_kind(only.0, logits, &rows.iter().collect::<Vec<_>>());
    }
    let mut order = Vec::with_capacity(rows.len());
    let mut tokens = Vec::with_capacity(groups.len());
    for kind in groups {
        let members: Vec<u32> = (0..rows.len() as u32)
            .filter(|row| kinds[*row as usize] == kind)
            .collect();
        let part = logits.take_axis(index(&members), 0)?;
        let of_kind: Vec<&RowSampling> = members.iter().map(|r| &rows[*r as usize]).collect();
        tokens.push(choose_kind(kind.0, &part, &of_kind)?);
        order.extend(members);
    }
    let mut back = vec![0u32; order.len()];
    for (at, row) in order.iter().enumerate() {
        back[*row as usize] = at as u32;
    }
    ops::concatenate(&tokens, 0)?.take_axis(index(&back), 0)
}

/// Rows of one kind, all of them with a draft's proposal or all without.
fn choose_kind(kind: Kind, logits: &Array, rows: &[&RowSampling]) -> Result<Array> {
    if kind == Kind::Greedy {
        return argmax_axis(logits, -1, false);
    }
    let weights = weigh(kind, logits, rows)?;
    let drafts: Vec<&DraftRow> = rows.iter().filter_map(|row| row.draft).collect();
    if drafts.is_empty() {
        return draw(&weights, rows);
    }
    let verdict = Verdict::new(&weights, &drafts)?;
    verdict.tokens(&draw(&verdict.rest, rows)?)
}

/// What each token may be drawn with, `[B, V]`, not normalised: filtered, then
/// tempered.
fn weigh(kind: Kind, logits: &Array, rows: &[&RowSampling]) -> Result<Array> {
    // The likeliest token's logit becomes 0.
    let logits = logits.subtract(logits.max_axis(-1, true)?)?;
    let mut threshold = column(rows, |params| params.min_p.ln());
    if let Some(sorted) = match kind {
        Kind::TopK(k) => Some(topk_axis(&logits, k as i32, -1)?),
        Kind::Sorted => Some(logits.clone()),
        _ => None,
    } {
        let sorted = ops::sort_axis(&sorted, -1)?;
        threshold = ops::maximum(threshold, order_threshold(&sorted, rows)?)?;
    }
    let kept = logits.ge(threshold)?;
    let tempered = logits.divide(column(rows, |params| params.temperature))?;
    let nothing = Array::from_f32(0.0);
    ops::select(kept, tempered.exp()?, nothing)
}

/// The smallest logit `[B, 1]` that top-k and then top-p leave of `sorted`,
/// ascending `[B, K]` with 0 as its largest.
fn order_threshold(sorted: &Array, rows: &[&RowSampling]) -> Result<Array> {
    let smallest = sorted.take_axis(index(&[0]), 1)?;
    if rows.iter().all(|row| row.params.top_p >= 1.0) {
        return Ok(smallest);
    }
    // A token stays if those likelier than it have less than top_p together.
    let below = ops::softmax_axis(sorted, -1, true)?.cumsum(-1, false, true)?;
    let kept = below.gt(column(rows, |params| 1.0 - params.top_p))?;
    let kept = ops::select(kept, sorted, Array::from_f32(0.0))?;
    // Rows without top-p keep all, whatever rounding does to their sums.
    let all = column(rows, |params| {
        if params.top_p >= 1.0 {
            f32::NEG_INFINITY
        } else {
            0.0
        }
    });
    ops::maximum(smallest, ops::minimum(kept.min_axis(-1, true)?, all)?)
}

/// The token at which the running sum of `weights [B, V]` passes each row's
/// number.
fn draw(weights: &Array, rows: &[&RowSampling]) -> Result<Array> {
    let sums = weights.cumsum(-1, false, true)?;
    let last = weights.dim(1) - 1;
    let total = sums.take_axis(index(&[last as u32]), 1)?;
    let uniforms: Vec<f32> = rows.iter().map(|row| row.uniform).collect();
    let at = total.multiply(Array::from_slice(&uniforms, &[rows.len() as i32, 1]))?;
    // The first sum above the number; tokens without weight never are.
    argmax_axis(sums.gt(at)?, -1, false)
}

fn row_logprobs(logits: &Array, tokens: &Array, row: usize, top: usize) -> Result<RowLogprobs> {
    let at = index(&[row as u32]);
    let logits = logits.take_axis(&at, 0)?;
    let logprobs = logits.subtract(logits.logsumexp_axis(-1, true)?)?;
    let size = logprobs.dim(1);
    let logprobs = logprobs.reshape(&[size])?;
    let chosen = logprobs.take_axis(tokens.take_axis(&at, 0)?, 0)?;
    let top = (top as i32).min(size);
    let order = ops::argpartition_axis(logprobs.negative()?, (top - 1).max(0), 0)?;
    let likeliest = order.take_axis(index(&(0..top as u32).collect::<Vec<_>>()), 0)?;
    let values = logprobs.take_axis(&likeliest, 0)?;
    Ok(RowLogprobs {
        chosen,
        tokens: likeliest,
        values,
    })
}

fn index(values: &[u32]) -> Array {
    Array::from_slice(values, &[values.len() as i32])
}

/// One number a row, `[B, 1]`.
fn column(rows: &[&RowSampling], value: impl Fn(&SamplingParams) -> f32) -> Array {
    let values: Vec<f32> = rows.iter().map(|row| value(row.params)).collect();
    Array::from_slice(&values, &[rows.len() as i32, 1])
}

#[cfg(test)]
mod tests;
