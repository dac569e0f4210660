//! Token ids of a step put together: those that are known, those that the step
//! before has yet to sample, and those that a draft has yet to propose.

use mlx_rs::{Array, ops};

use super::StepError;
use crate::engine::sampler::Sampled;

/// Runs of tokens, one after the other.
#[derive(Default)]
pub(super) struct Pieces {
    runs: Vec<Run>,
}

enum Run {
    Known(Vec<u32>),
    /// Rows of the step before.
    Lazy(Vec<u32>),
    /// Lazy tokens.
    Drafted(Array),
}

impl Pieces {
    pub fn known(&mut self, tokens: &[u32]) {
        match self.runs.last_mut() {
            Some(Run::Known(run)) => run.extend_from_slice(tokens),
            _ => self.runs.push(Run::Known(tokens.to_vec())),
        }
    }

    pub fn lazy(&mut self, row: usize) {
        match self.runs.last_mut() {
            Some(Run::Lazy(rows)) => rows.push(row as u32),
            _ => self.runs.push(Run::Lazy(vec![row as u32])),
        }
    }

    pub fn drafted(&mut self, tokens: Array) {
        self.runs.push(Run::Drafted(tokens));
    }

    /// All tokens, `[T]`; rows are those of the step `before`.
    pub fn join(self, before: Option<&Sampled>) -> Result<Array, StepError> {
        let whole = |rows: &[u32], tokens: &Array| {
            rows.len() == tokens.size() && rows.iter().zip(0..).all(|(a, b)| *a == b)
        };
        let arrays: Result<Vec<Array>, StepError> = self
            .runs
            .into_iter()
            .map(|run| match (run, before) {
                (Run::Known(tokens), _) => Ok(ids(&tokens)),
                (Run::Drafted(tokens), _) => Ok(tokens),
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

/// Token ids or places as an array `[N]`, u32.
pub(super) fn ids(tokens: &[u32]) -> Array {
    Array::from_slice(tokens, &[tokens.len() as i32])
}
