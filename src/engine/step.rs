//! One step on the device: launched without waiting, read later.
//!
//! While a step is in flight the next one is built from its lazy tokens, so
//! the device never waits for the host. Proposed tokens are rows behind a
//! sequence's own, each with a token sampled after it. Panics and errors of anything below
//! come out as a [`StepError`].

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use mlx_rs::{
    Array, Dtype,
    error::Exception,
    transforms::{async_eval, eval},
};

mod pieces;

use self::pieces::{Pieces, ids};
use super::{
    model::Decoder,
    sampler::{self, Purpose, RowSampling, Sampled},
    scheduler::Share,
    sequence::{ReadToken, Sequence},
    speculation::{draft::Drafted, gain::Source, verify},
    types::RequestId,
};
use crate::{
    cache::KvCache,
    models::{Input, Rows, SequenceRows, Step},
};

/// Why a step failed. Whose fault it was is not known.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(super) struct StepError(pub String);

impl From<Exception> for StepError {
    fn from(error: Exception) -> Self {
        Self(error.what().to_string())
    }
}

/// Runs `work`; a panic becomes an error.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, StepError>) -> Result<T, StepError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(StepError(words(&*panic))))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    match text {
        Some(text) => format!("a fault in the program ({text})"),
        None => "a fault in the program".to_owned(),
    }
}

/// One sequence's part of a step in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub id: RequestId,
    pub rows: usize,
    /// Tokens of the sequence that are computed when the step is done, without
    /// proposals.
    pub computed: usize,
    /// Its row among the sampled tokens, the first one if there are proposals.
    pub sampled: Option<usize>,
    /// Whether the rows are of the prompt.
    pub prefill: bool,
    /// How many of the rows are proposed tokens, and where they come from.
    pub proposals: usize,
    pub source: Source,
}

/// What is proposed to a sequence in a step.
#[derive(Debug)]
pub(super) enum Proposals {
    None,
    LookedUp(Vec<u32>),
    Drafted(Drafted),
}

impl Proposals {
    fn source(&self) -> Source {
        match self {
            Self::Drafted(_) => Source::Draft,
            Self::None | Self::LookedUp(_) => Source::Lookup,
        }
    }

    /// Adds the first `count` of them.
    fn add(&self, count: usize, pieces: &mut Pieces) -> Result<(), StepError> {
        match self {
            _ if count == 0 => {}
            Self::None => {}
            Self::LookedUp(tokens) => pieces.known(&tokens[..count]),
            Self::Drafted(drafted) if drafted.tokens.size() == count => {
                pieces.drafted(drafted.tokens.clone());
            }
            Self::Drafted(drafted) => {
                let mut parts = drafted.tokens.split_at_indices(&[count as i32], 0)?;
                pieces.drafted(parts.swap_remove(0));
            }
        }
        Ok(())
    }

    /// Waits for them.
    fn read(&self) -> Result<Vec<u32>, StepError> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::LookedUp(tokens) => Ok(tokens.clone()),
            Self::Drafted(drafted) => vector(&drafted.tokens),
        }
    }
}

/// A step that was launched.
#[derive(Debug)]
pub(super) struct Flight {
    pub parts: Vec<Part>,
    /// By part.
    proposals: Vec<Proposals>,
    /// Sum of the logits of each row that has some: not finite if any of them
    /// is not.
    sums: Array,
    sampled: Option<Sampled>,
    /// Whether it was launched before the step before was read.
    pub ahead: bool,
}

/// What a part of a step has computed.
#[derive(Debug)]
pub(super) struct Outcome {
    pub part: Part,
    pub finite: bool,
    /// What comes next, if anything was sampled: the proposals that were
    /// accepted and one token more.
    pub tokens: Vec<ReadToken>,
}

/// Builds and launches a step; `proposals` are those of each share. The
/// sequences are not changed.
pub(super) fn launch(
    decoder: &dyn Decoder,
    kv: &mut KvCache,
    running: &[Sequence],
    shares: &[Share],
    proposals: Vec<Proposals>,
    before: Option<&Flight>,
) -> Result<Flight, StepError> {
    guarded(|| {
        let step = Step {
            input: Input::Tokens(input(running, shares, &proposals, before)?),
            sequences: shares
                .iter()
                .map(|share| SequenceRows {
                    sequence: running[share.index].slot(),
                    rows: share.rows,
                    position: running[share.index].computed as i32,
                    proposed: share.proposals,
                })
                .collect(),
            logits: wanted_logits(shares),
        };
        let logits = decoder.forward(&step, kv)?.as_dtype(Dtype::Float32)?;
        let sums = logits.sum_axis(-1, false)?;
        let sampled = sample(&logits, running, shares, &proposals, before)?;
        let flight = Flight {
            parts: parts(running, shares, &proposals),
            proposals,
            sums,
            sampled,
            ahead: before.is_some(),
        };
        async_eval(flight.arrays())?;
        Ok(flight)
    })
}

/// The rows before proposals and those of proposals; else every last row.
fn wanted_logits(shares: &[Share]) -> Rows {
    if shares.iter().all(|share| share.proposals == 0) {
        return Rows::Last;
    }
    let mut end = 0;
    let rows = shares.iter().flat_map(|share| {
        end += share.rows as u32;
        end - 1 - share.proposals as u32..end
    });
    Rows::Only(rows.collect())
}

fn parts(running: &[Sequence], shares: &[Share], proposals: &[Proposals]) -> Vec<Part> {
    let mut samples = 0;
    let part = |(share, proposals): (&Share, &Proposals)| {
        let sequence = &running[share.index];
        let computed = sequence.computed + share.rows - share.proposals;
        let first = samples;
        samples += usize::from(share.samples) * (1 + share.proposals);
        Part {
            id: sequence.id,
            rows: share.rows,
            computed,
            sampled: share.samples.then_some(first),
            prefill: computed <= sequence.prompt_tokens(),
            proposals: share.proposals,
            source: proposals.source(),
        }
    };
    shares.iter().zip(proposals).map(part).collect()
}

/// Token ids `[T]` of all rows: known ones, lazy ones of the step before, and
/// proposals.
fn input(
    running: &[Sequence],
    shares: &[Share],
    proposals: &[Proposals],
    before: Option<&Flight>,
) -> Result<Array, StepError> {
    let mut pieces = Pieces::default();
    for (share, proposals) in shares.iter().zip(proposals) {
        let sequence = &running[share.index];
        let own = share.rows - share.proposals;
        match sequence.lazy {
            Some(row) => pieces.lazy(row),
            None => pieces.known(&sequence.tokens[sequence.computed..][..own]),
        }
        proposals.add(share.proposals, &mut pieces)?;
    }
    pieces.join(before.and_then(|flight| flight.sampled.as_ref()))
}

fn sample(
    logits: &Array,
    running: &[Sequence],
    shares: &[Share],
    proposals: &[Proposals],
    before: Option<&Flight>,
) -> Result<Option<Sampled>, StepError> {
    let (mut wanted, mut rows, mut row) = (Vec::new(), Vec::new(), 0);
    for (share, proposals) in shares.iter().zip(proposals) {
        let sequence = &running[share.index];
        let index = sequence.generated() + usize::from(sequence.lazy.is_some());
        for nth in 0..=share.proposals {
            if share.samples {
                wanted.push(row);
                rows.push(RowSampling {
                    params: &sequence.request.sampling,
                    uniform: sampler::uniform(sequence.seed, (index + nth) as u64, Purpose::Token),
                    history: history(sequence, proposals, nth, before)?,
                    logprobs: sequence.request.logprobs,
                    draft: match proposals {
                        Proposals::Drafted(drafted) if nth < share.proposals => {
                            drafted.rows.get(nth)
                        }
                        _ => None,
                    },
                });
            }
            row += 1;
        }
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    let sampled = match wanted.len() == row as usize {
        true => sampler::sample(logits, &rows)?,
        false => sampler::sample(&logits.take_axis(ids(&wanted), 0)?, &rows)?,
    };
    Ok(Some(sampled))
}

/// The latest tokens, the one in flight and the first `proposed` proposals
/// included.
fn history(
    sequence: &Sequence,
    proposals: &Proposals,
    proposed: usize,
    before: Option<&Flight>,
) -> Result<Option<Array>, StepError> {
    let lazy = usize::from(sequence.lazy.is_some());
    let Some(known) = sequence.history(lazy + proposed) else {
        return Ok(None);
    };
    let mut pieces = Pieces::default();
    if !known.is_empty() {
        pieces.known(known);
    }
    if let Some(row) = sequence.lazy {
        pieces.lazy(row);
    }
    proposals.add(proposed, &mut pieces)?;
    let sampled = before.and_then(|flight| flight.sampled.as_ref());
    let tokens = pieces.join(sampled)?;
    // More proposals than the penalties look back on.
    let context = sequence.request.sampling.penalty_context;
    match tokens.size().checked_sub(context) {
        None | Some(0) => Ok(Some(tokens)),
        Some(older) => Ok(tokens.split_at_indices(&[older as i32], 0)?.pop()),
    }
}

impl Flight {
    /// The requests that have a part in it.
    pub fn ids(&self) -> impl Iterator<Item = RequestId> {
        self.parts.iter().map(|part| part.id)
    }

    fn arrays(&self) -> Vec<&Array> {
        let mut arrays = vec![&self.sums];
        if let Some(sampled) = &self.sampled {
            arrays.push(&sampled.tokens);
            for row in sampled.logprobs.iter().flatten() {
                arrays.extend([&row.chosen, &row.tokens, &row.values]);
            }
        }
        arrays.extend(
            self.proposals
                .iter()
                .filter_map(|proposals| match proposals {
                    Proposals::Drafted(drafted) => Some(&drafted.tokens),
                    Proposals::None | Proposals::LookedUp(_) => None,
                }),
        );
        arrays
    }

    /// Waits for the step and reads it.
    pub fn read(&self) -> Result<Vec<Outcome>, StepError> {
        guarded(|| {
            eval(self.arrays())?;
            let sums: Vec<f32> = vector(&self.sums)?;
            let tokens: Vec<u32> = match &self.sampled {
                Some(sampled) => vector(&sampled.tokens)?,
                None => Vec::new(),
            };
            let mut outcomes = Vec::with_capacity(self.parts.len());
            let mut row = 0;
            for (part, proposals) in self.parts.iter().zip(&self.proposals) {
                let rows = 1 + part.proposals;
                let mut outcome = Outcome {
                    part: *part,
                    finite: true,
                    tokens: Vec::new(),
                };
                let mut used = rows;
                if let Some(first) = part.sampled {
                    used = verify::kept(&tokens[first..first + rows], &proposals.read()?);
                    for row in first..first + used {
                        outcome.tokens.push(self.read_token(row, &tokens)?);
                    }
                }
                outcome.finite = sums[row..row + used].iter().all(|sum| sum.is_finite());
                row += rows;
                outcomes.push(outcome);
            }
            Ok(outcomes)
        })
    }

    fn read_token(&self, row: usize, tokens: &[u32]) -> Result<ReadToken, StepError> {
        let mut read = ReadToken {
            token: tokens[row],
            logprob: None,
            top: Vec::new(),
        };
        let logprobs = self.sampled.as_ref().and_then(|s| s.logprobs.get(row));
        if let Some(Some(logprobs)) = logprobs {
            read.logprob = vector::<f32>(&logprobs.chosen)?.first().copied();
            let values: Vec<f32> = vector(&logprobs.values)?;
            read.top = vector::<u32>(&logprobs.tokens)?
                .into_iter()
                .zip(values)
                .collect();
            read.top
                .sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        }
        Ok(read)
    }
}

fn vector<T: mlx_rs::ArrayElement + Clone>(array: &Array) -> Result<Vec<T>, StepError> {
    array
        .to_vec_exact::<T>()
        .map_err(|error| StepError(error.to_string()))
}
