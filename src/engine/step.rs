//! One step on the device: launched without waiting, read later.
//!
//! While a step is in flight the next one is built from its lazy tokens, so
//! the device never waits for the host. Panics and errors of anything below
//! come out as a [`StepError`].

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use mlx_rs::{
    Array, Dtype,
    error::Exception,
    ops,
    transforms::{async_eval, eval},
};

use super::{
    model::Decoder,
    sampler::{self, RowSampling, Sampled},
    scheduler::Share,
    sequence::{ReadToken, Sequence},
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
    /// Tokens of the sequence that are computed when the step is done.
    pub computed: usize,
    /// Its row among the sampled tokens.
    pub sampled: Option<usize>,
    /// Whether the rows are of the prompt.
    pub prefill: bool,
}

/// A step that was launched.
#[derive(Debug)]
pub(super) struct Flight {
    pub parts: Vec<Part>,
    /// Sum of each part's logits `[parts]`: not finite if any of them is not.
    sums: Array,
    sampled: Option<Sampled>,
}

/// What a part of a step has computed.
#[derive(Debug)]
pub(super) struct Outcome {
    pub part: Part,
    pub finite: bool,
    pub token: Option<ReadToken>,
}

/// Builds and launches a step. The sequences are not changed.
pub(super) fn launch(
    decoder: &dyn Decoder,
    kv: &mut KvCache,
    running: &[Sequence],
    shares: &[Share],
    before: Option<&Flight>,
) -> Result<Flight, StepError> {
    guarded(|| {
        let step = Step {
            input: Input::Tokens(input(running, shares, before)?),
            sequences: shares
                .iter()
                .map(|share| SequenceRows {
                    sequence: running[share.index].slot(),
                    rows: share.rows,
                    position: running[share.index].computed as i32,
                })
                .collect(),
            logits: Rows::Last,
        };
        let logits = decoder.forward(&step, kv)?.as_dtype(Dtype::Float32)?;
        let sums = logits.sum_axis(-1, false)?;
        let sampled = sample(&logits, running, shares, before)?;
        let flight = Flight {
            parts: parts(running, shares),
            sums,
            sampled,
        };
        async_eval(flight.arrays())?;
        Ok(flight)
    })
}

fn parts(running: &[Sequence], shares: &[Share]) -> Vec<Part> {
    let mut samples = 0..;
    let part = |share: &Share| {
        let sequence = &running[share.index];
        let computed = sequence.computed + share.rows;
        Part {
            id: sequence.id,
            rows: share.rows,
            computed,
            sampled: share.samples.then(|| samples.next()).flatten(),
            prefill: computed <= sequence.prompt_tokens(),
        }
    };
    shares.iter().map(part).collect()
}

/// Token ids `[T]` of all rows: known ones, and lazy ones of the step before.
fn input(
    running: &[Sequence],
    shares: &[Share],
    before: Option<&Flight>,
) -> Result<Array, StepError> {
    let mut pieces = Pieces::default();
    for share in shares {
        let sequence = &running[share.index];
        match sequence.lazy {
            Some(row) => pieces.lazy(row),
            None => pieces.known(&sequence.tokens[sequence.computed..][..share.rows]),
        }
    }
    pieces.join(before.and_then(|flight| flight.sampled.as_ref()))
}

/// Runs of tokens that are known, and of rows whose tokens are not.
#[derive(Default)]
struct Pieces {
    runs: Vec<Run>,
}

enum Run {
    Known(Vec<u32>),
    Lazy(Vec<u32>),
}

impl Pieces {
    fn known(&mut self, tokens: &[u32]) {
        match self.runs.last_mut() {
            Some(Run::Known(run)) => run.extend_from_slice(tokens),
            _ => self.runs.push(Run::Known(tokens.to_vec())),
        }
    }

    fn lazy(&mut self, row: usize) {
        match self.runs.last_mut() {
            Some(Run::Lazy(rows)) => rows.push(row as u32),
            _ => self.runs.push(Run::Lazy(vec![row as u32])),
        }
    }

    fn join(self, before: Option<&Sampled>) -> Result<Array, StepError> {
        let whole = |rows: &[u32], tokens: &Array| {
            rows.len() == tokens.size() && rows.iter().zip(0..).all(|(a, b)| *a == b)
        };
        let arrays: Result<Vec<Array>, StepError> = self
            .runs
            .into_iter()
            .map(|run| match (run, before) {
                (Run::Known(tokens), _) => Ok(ids(&tokens)),
                (Run::Lazy(rows), Some(before)) if whole(&rows, &before.tokens) => {
                    Ok(before.tokens.clone())
                }
                (Run::Lazy(rows), Some(before)) => Ok(before.tokens.take_axis(ids(&rows), 0)?),
                (Run::Lazy(_), None) => Err(StepError(
                    "a token of no step in flight was asked for".to_owned(),
                )),
            })
            .collect();
        match arrays?.as_slice() {
            [only] => Ok(only.clone()),
            many => Ok(ops::concatenate(many, 0)?),
        }
    }
}

fn ids(tokens: &[u32]) -> Array {
    Array::from_slice(tokens, &[tokens.len() as i32])
}

fn sample(
    logits: &Array,
    running: &[Sequence],
    shares: &[Share],
    before: Option<&Flight>,
) -> Result<Option<Sampled>, StepError> {
    let wanted: Vec<u32> = (0..shares.len())
        .filter(|i| shares[*i].samples)
        .map(|i| i as u32)
        .collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut rows = Vec::with_capacity(wanted.len());
    for at in &wanted {
        let sequence = &running[shares[*at as usize].index];
        let lazy = usize::from(sequence.lazy.is_some());
        let index = (sequence.generated() + lazy) as u64;
        rows.push(RowSampling {
            params: &sequence.request.sampling,
            uniform: sampler::uniform(sequence.seed, index),
            history: history(sequence, before)?,
            logprobs: sequence.request.logprobs,
        });
    }
    let sampled = if wanted.len() == shares.len() {
        sampler::sample(logits, &rows)?
    } else {
        sampler::sample(&logits.take_axis(ids(&wanted), 0)?, &rows)?
    };
    Ok(Some(sampled))
}

/// The latest tokens, the one in flight included.
fn history(sequence: &Sequence, before: Option<&Flight>) -> Result<Option<Array>, StepError> {
    let lazy = usize::from(sequence.lazy.is_some());
    let Some(known) = sequence.history(lazy) else {
        return Ok(None);
    };
    let mut pieces = Pieces::default();
    if !known.is_empty() {
        pieces.known(known);
    }
    if let Some(row) = sequence.lazy {
        pieces.lazy(row);
    }
    let sampled = before.and_then(|flight| flight.sampled.as_ref());
    pieces.join(sampled).map(Some)
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
            for (part, sum) in self.parts.iter().zip(sums) {
                let token = match part.sampled {
                    Some(row) => Some(self.read_token(row, &tokens)?),
                    None => None,
                };
                outcomes.push(Outcome {
                    part: *part,
                    finite: sum.is_finite(),
                    token,
                });
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
