//! Runs a model before anybody waits for it: a GPU compiles its kernels at
//! their first use, which takes many seconds.
//!
//! Invariant: leaves nothing behind but compiled kernels.

use std::collections::VecDeque;

use mlx_rs::{Array, transforms::eval};

use super::{
    model::Decoder,
    sampler::{self, RowSampling},
    step::{StepError, guarded},
    types::SamplingParams,
};
use crate::{
    cache::{CacheOptions, KvCache, KvPolicy},
    models::{Input, Rows, SequenceRows, Step},
};

/// Rows of short prompts: each as many as one kernel for packed weights takes.
const SHORT: [usize; 4] = [64, 48, 32, 16];
/// Sequences of a step, as many as one kernel for attention takes.
const TOGETHER: [usize; 2] = [4, 16];

/// Sequences of a step, and rows of each.
pub(super) type Together = (usize, usize);

/// Steps that requests may come to as well, each of which takes a second or two
/// at first: for when there is nothing to do.
pub(super) fn later(chunk: usize) -> VecDeque<Together> {
    let short = SHORT.into_iter().filter(|rows| *rows < chunk);
    let steps = short.map(|rows| (1, rows));
    steps.chain(TOGETHER.map(|count| (count, 1))).collect()
}

/// One of the steps of [`later`].
///
/// # Errors
/// As for [`warm_up`].
pub(super) fn warm_up_later(
    decoder: &dyn Decoder,
    (count, rows): Together,
) -> Result<(), StepError> {
    let mut kv = cache(decoder);
    let mut runner = Runner {
        decoder,
        kv: &mut kv,
        admitted: 0,
    };
    let mut sequences = Vec::with_capacity(count);
    for _ in 0..count {
        sequences.push(SequenceRows {
            sequence: runner.admit(rows, rows)?,
            rows,
            position: 0,
            proposed: 0,
        });
    }
    runner.run(sequences, &ways_to_sample()[0])
}

fn cache(decoder: &dyn Decoder) -> KvCache {
    KvCache::new(CacheOptions {
        fingerprint: "warm-up".to_owned(),
        layers: decoder.kv_layers(),
        limit: u64::MAX,
        ..CacheOptions::default()
    })
}

/// A chunk of `chunk` prompt rows, then single rows, each sampled in another
/// way, and with `proposals` proposals behind it and with one.
///
/// # Errors
/// What the device says of it; requests would hear the same.
pub(super) fn warm_up(
    decoder: &dyn Decoder,
    chunk: usize,
    proposals: usize,
) -> Result<(), StepError> {
    let ways = ways_to_sample();
    let proposals = [proposals, proposals.min(1)];
    let single = ways.iter().skip(1).map(|params| (params, 1, 0));
    let proposing = proposals.map(|count| (&ways[0], 1 + count, count));
    let proposing = proposing.into_iter().filter(|(.., count)| *count > 0);
    let steps = [(&ways[0], chunk, 0)].into_iter().chain(single);
    let steps: Vec<_> = steps.chain(proposing).collect();
    let tokens = steps.iter().map(|(_, rows, _)| rows).sum();
    let mut kv = cache(decoder);
    let mut runner = Runner {
        decoder,
        kv: &mut kv,
        admitted: 0,
    };
    let first = runner.admit(chunk, tokens)?;
    let mut position = 0;
    for (params, rows, proposed) in steps {
        let rows = SequenceRows {
            sequence: first,
            rows,
            position,
            proposed,
        };
        runner.run(vec![rows], params)?;
        position += rows.rows as i32;
    }
    Ok(())
}

struct Runner<'a> {
    decoder: &'a dyn Decoder,
    kv: &'a mut KvCache,
    admitted: usize,
}

impl Runner<'_> {
    /// A new sequence's number.
    fn admit(&mut self, rows: usize, tokens: usize) -> Result<usize, StepError> {
        let (sequence, policy) = (self.admitted, KvPolicy::default());
        self.admitted += 1;
        let admitted = self.kv.admit(sequence, &vec![0; rows], tokens, &policy);
        admitted.map_err(|error| StepError(error.to_string()))?;
        Ok(sequence)
    }

    /// A step, sampled after its last row and all proposals, and waited for.
    fn run(
        &mut self,
        sequences: Vec<SequenceRows>,
        params: &SamplingParams,
    ) -> Result<(), StepError> {
        let row = || RowSampling {
            params,
            uniform: 0.5,
            history: None,
            logprobs: None,
            draft: None,
        };
        let mut end = 0;
        let wanted = sequences.iter().flat_map(|part| {
            end += part.rows as u32;
            end - 1 - part.proposed as u32..end
        });
        let wanted: Vec<u32> = wanted.collect();
        let sampled: Vec<RowSampling> = wanted.iter().map(|_| row()).collect();
        let rows = end as usize;
        let step = Step {
            input: Input::Tokens(Array::from_slice(&vec![0u32; rows], &[rows as i32])),
            logits: match wanted.len() == sequences.len() {
                true => Rows::Last,
                false => Rows::Only(wanted),
            },
            sequences,
        };
        guarded(|| {
            let logits = self.decoder.forward(&step, self.kv)?;
            Ok(eval([&sampler::sample(&logits, &sampled)?.tokens])?)
        })
    }
}

/// Greedy first and last, so that a step of one row runs greedily too.
fn ways_to_sample() -> [SamplingParams; 5] {
    let greedy = SamplingParams {
        temperature: 0.0,
        ..SamplingParams::default()
    };
    let plain = SamplingParams::default();
    let top_p = SamplingParams {
        top_p: 0.9,
        ..plain.clone()
    };
    let top_k = SamplingParams {
        top_k: 20,
        ..top_p.clone()
    };
    [greedy.clone(), plain, top_p, top_k, greedy]
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::engine::testing::Fake;

    #[test]
    fn every_row_runs_once() {
        let fake = Fake::default();
        warm_up(&fake, 40, 0).unwrap();
        assert_eq!(fake.rows.load(Ordering::SeqCst), 44);
        assert_eq!(fake.widest.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn short_prompts_and_several_sequences_come_later() {
        let fake = Fake::default();
        for together in later(40) {
            warm_up_later(&fake, together).unwrap();
        }
        let rows = (32 + 16) + (4 + 16);
        assert_eq!(fake.rows.load(Ordering::SeqCst), rows);
        assert_eq!(fake.widest.load(Ordering::SeqCst), 16);
    }

    #[test]
    fn so_do_proposals_also_where_a_state_is_carried_on() {
        for remembers in [false, true] {
            let fake = Fake {
                remembers,
                ..Fake::default()
            };
            warm_up(&fake, 10, 8).unwrap();
            // A row and eight proposals, a row and one.
            let rows = 14 + 9 + 2;
            assert_eq!(fake.rows.load(Ordering::SeqCst), rows);
        }
    }

    #[test]
    fn a_fault_is_told_and_stays_here() {
        let fake = Fake {
            panic_rows: Some(40),
            ..Fake::default()
        };
        let error = warm_up(&fake, 40, 0).unwrap_err();
        assert!(error.to_string().contains("40 rows"), "{error}");
    }
}
