//! Runs a model before anybody waits for it: a GPU compiles its kernels at
//! their first use, which takes many seconds.
//!
//! Invariant: leaves nothing behind but compiled kernels.

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

const SEQUENCE: usize = 0;

/// A chunk of `chunk` prompt rows, then single rows, each sampled in another
/// way.
///
/// # Errors
/// What the device says of it; requests would hear the same.
pub(super) fn warm_up(decoder: &dyn Decoder, chunk: usize) -> Result<(), StepError> {
    guarded(|| {
        let ways = ways_to_sample();
        let tokens = chunk + ways.len();
        let mut kv = KvCache::new(CacheOptions {
            fingerprint: "warm-up".to_owned(),
            layers: decoder.kv_layers(),
            limit: u64::MAX,
            ..CacheOptions::default()
        });
        kv.admit(SEQUENCE, &vec![0; chunk], tokens, &KvPolicy::default())
            .map_err(|error| StepError(error.to_string()))?;
        let mut position = 0;
        for (index, params) in ways.iter().enumerate() {
            let rows = if index == 0 { chunk } else { 1 };
            let step = Step {
                input: Input::Tokens(Array::from_slice(&vec![0u32; rows], &[rows as i32])),
                sequences: vec![SequenceRows {
                    sequence: SEQUENCE,
                    rows,
                    position,
                    proposed: 0,
                }],
                logits: Rows::Last,
            };
            let row = RowSampling {
                params,
                uniform: 0.5,
                history: None,
                logprobs: None,
                draft: None,
            };
            let logits = decoder.forward(&step, &mut kv)?;
            eval([&sampler::sample(&logits, &[row])?.tokens])?;
            position += rows as i32;
        }
        Ok(())
    })
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
        warm_up(&fake, 40).unwrap();
        assert_eq!(fake.rows.load(Ordering::SeqCst), 44);
        assert_eq!(fake.widest.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_fault_is_told_and_stays_here() {
        let fake = Fake {
            panic_rows: Some(40),
            ..Fake::default()
        };
        let error = warm_up(&fake, 40).unwrap_err();
        assert!(error.to_string().contains("40 rows"), "{error}");
    }
}
