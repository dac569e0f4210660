//! A deterministic decoder in place of a model, for tests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{
    handle::LoadedModel,
    model::{Decoder, Loader, Resident},
    types::*,
};
use crate::{
    cache::{KvLayer, KvStore, Taken},
    models::{Input, Rows, SequenceRows, Step},
    text::{Tokenizer, testing::byte_level},
};

pub(super) const VOCABULARY: usize = 262;

/// How the fake model behaves; loaded as "another" it computes otherwise, as
/// "faulty" single rows fail, as "foreign" its tokens are others. Prompts of certain lengths provoke faults.
#[derive(Debug, Clone)]
pub(super) struct Fake {
    /// The token after some tokens is 7 times their sum, plus 3; otherwise it
    /// is the last one plus 1.
    pub sums: bool,
    /// Keys hang on how many rows the step has, as rounding does on a device.
    pub shaped: bool,
    pub delay: Duration,
    pub weights: u64,
    pub context: usize,
    /// Steps with a part of so many rows panic, fail, or give NaN.
    pub panic_rows: Option<usize>,
    pub error_rows: Option<usize>,
    pub nan_rows: Option<usize>,
    pub load_error: bool,
    /// Carries the sum of all tokens on, as a recurrent layer does: the next
    /// token is the last one plus 1, or plus 4 where 5 divides the sum (7 if it
    /// `sums`).
    pub remembers: bool,
    /// Rows computed so far, and the most sequences in a step.
    pub rows: Arc<AtomicUsize>,
    pub widest: Arc<AtomicUsize>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            sums: false,
            shaped: false,
            delay: Duration::ZERO,
            weights: 1000,
            context: 4096,
            panic_rows: None,
            error_rows: None,
            nan_rows: None,
            load_error: false,
            remembers: false,
            rows: Arc::default(),
            widest: Arc::default(),
        }
    }
}

impl Fake {
    /// What the fake model says after `prompt`.
    pub fn answer(&self, prompt: &[u32], count: usize) -> Vec<u32> {
        let mut tokens = prompt.to_vec();
        for _ in 0..count {
            let sum: u32 = tokens.iter().sum();
            let last = tokens[tokens.len() - 1];
            let next = match (self.remembers, self.sums) {
                (true, _) => {
                    let hop = 3 * u32::from(sum.is_multiple_of(self.hops() as u32));
                    (last + 1 + hop) % VOCABULARY as u32
                }
                (_, true) => (sum * 7 + 3) % 256,
                (_, false) => (last + 1) % VOCABULARY as u32,
            };
            tokens.push(next);
        }
        tokens.split_off(prompt.len())
    }

    /// What divides the sum where it hops.
    fn hops(&self) -> f32 {
        if self.sums { 7.0 } else { 5.0 }
    }

    /// Logits `[rows, V]` of the last rows of a sequence whose rows in a step are
    /// the tokens `own [1, 1, T, 1]`, from the sum that it carries on.
    fn carry_on(
        &self,
        part: &SequenceRows,
        own: &Array,
        rows: usize,
        kv: &mut dyn KvStore,
    ) -> Result<Array, Exception> {
        let own = own.reshape(&[part.rows as i32])?;
        let mut sums = own.cumsum(0, None, None)?;
        if let Some(state) = kv.state(part.sequence, 1)? {
            sums = sums.add(&state[0])?;
        }
        let after = |row: usize| sums.take_axis(Array::from_slice(&[row as u32], &[1]), 0);
        let firm = part.rows - part.proposed;
        if firm > 0 {
            kv.set_state(part.sequence, 1, Taken::Own(firm), vec![after(firm - 1)?])?;
        }
        if part.proposed > 0 {
            let state = vec![after(part.rows - 1)?];
            kv.set_state(part.sequence, 1, Taken::Proposed(part.proposed), state)?;
        }
        let number = |value: f32| Array::from_f32(value);
        let hops = ops::remainder(&sums, number(self.hops()))?.eq(number(0.0))?;
        let steps = hops.as_dtype(Dtype::Float32)?.multiply(number(3.0))?;
        let next = own.add(steps)?.add(number(1.0))?;
        let next = ops::remainder(next, number(VOCABULARY as f32))?;
        let last: Vec<u32> = (part.rows - rows..part.rows)
            .map(|row| row as u32)
            .collect();
        let last = Array::from_slice(&last, &[rows as i32]);
        around(&next.take_axis(last, 0)?.reshape(&[rows as i32, 1])?)
    }

    /// Logits `[rows, V]` of the last rows of a sequence, from its keys
    /// `[1, 1, L, 1]`, which are its tokens.
    fn logits(&self, keys: &Array, rows: usize) -> Result<Array, Exception> {
        let length = keys.dim(2);
        let each: Result<Vec<Array>, Exception> = (0..rows as i32)
            .rev()
            .map(|later| match later {
                0 => self.last_logits(keys),
                _ => self.last_logits(&keys.split_at_indices(&[length - later], 2)?[0]),
            })
            .collect();
        ops::concatenate(&each?, 0)
    }

    /// Logits `[1, V]` after all keys.
    fn last_logits(&self, keys: &Array) -> Result<Array, Exception> {
        let number = |value: f32| Array::from_f32(value);
        let next = if self.sums {
            let sum = keys.sum(false)?.multiply(number(7.0))?.add(number(3.0))?;
            ops::remainder(sum, number(256.0))?
        } else {
            let length = keys.dim(2) as u32;
            let last = keys.take_axis(Array::from_slice(&[length - 1], &[1]), 2)?;
            ops::remainder(last.add(number(1.0))?, number(VOCABULARY as f32))?
        };
        around(&next.reshape(&[1, 1])?)
    }
}

/// Logits `[rows, V]` that fall off around the tokens `next [rows, 1]`.
fn around(next: &Array) -> Result<Array, Exception> {
    let ids: Vec<f32> = (0..VOCABULARY).map(|id| id as f32).collect();
    let ids = Array::from_slice(&ids, &[1, VOCABULARY as i32]);
    ids.subtract(next)?.abs()?.negative()
}

impl Decoder for Fake {
    fn forward(&self, step: &Step, kv: &mut dyn KvStore) -> Result<Array, Exception> {
        let Input::Tokens(tokens) = &step.input else {
            return Err(Exception::custom("tokens only"));
        };
        std::thread::sleep(self.delay);
        self.widest
            .fetch_max(step.sequences.len(), Ordering::SeqCst);
        let all: usize = step.sequences.iter().map(|part| part.rows).sum();
        let shape = Array::from_f32(if self.shaped { all as f32 } else { 0.0 });
        let mut from = 0;
        let mut logits = Vec::new();
        for part in &step.sequences {
            let rows = part.rows;
            self.rows.fetch_add(rows, Ordering::SeqCst);
            let own: Vec<u32> = (from..from + rows as u32).collect();
            from += rows as u32;
            let own = tokens.take_axis(Array::from_slice(&own, &[rows as i32]), 0)?;
            let own =
                own.as_dtype(Dtype::Float32)?
                    .add(&shape)?
                    .reshape(&[1, 1, rows as i32, 1])?;
            let past = kv.update(part.sequence, 0, own.clone(), own.clone())?;
            let [keys, _] = past.numbers()?;
            assert_ne!(Some(rows), self.panic_rows, "a part of {rows} rows");
            if Some(rows) == self.error_rows {
                return Err(Exception::custom(format!("a part of {rows} rows")));
            }
            let wanted = match &step.logits {
                Rows::None => 0,
                Rows::Last => 1,
                Rows::All => rows,
                Rows::Only(all) => {
                    let own = from - rows as u32..from;
                    all.iter().filter(|row| own.contains(row)).count()
                }
            };
            let row = match self.remembers {
                true => self.carry_on(part, &own, wanted, kv)?,
                false if wanted == 0 => continue,
                false => self.logits(&keys, wanted)?,
            };
            logits.push(match Some(rows) == self.nan_rows {
                true => row.multiply(Array::from_f32(f32::NAN))?,
                false => row,
            });
        }
        match logits.is_empty() {
            true => ops::zeros_dtype(&[0, VOCABULARY as i32], Dtype::Float32),
            false => ops::concatenate(&logits, 0),
        }
    }

    fn can_forget(&self) -> bool {
        !self.remembers
    }

    fn state_bytes(&self) -> u64 {
        if self.remembers { 4 } else { 0 }
    }

    fn kv_layers(&self) -> Vec<KvLayer> {
        vec![KvLayer::new(1, 1, Dtype::Float32)]
    }
}

impl Loader for Fake {
    fn estimate(&self, _: &ModelSource) -> Result<u64, EngineError> {
        Ok(self.weights)
    }

    fn load(
        &mut self,
        source: &ModelSource,
        _: &EngineOptions,
        progress: &mut dyn FnMut(f32),
    ) -> Result<Resident, EngineError> {
        progress(0.5);
        if self.load_error || source.id() == "broken" {
            return Err(EngineError::Load {
                id: source.id().to_owned(),
                reason: "it is broken".to_owned(),
            });
        }
        assert_ne!(source.id(), "panics");
        let mut decoder = self.clone();
        match source.id() {
            "another" => decoder.sums = !self.sums,
            "faulty" => decoder.error_rows = Some(1),
            _ => {}
        }
        let tokenizer = match source.id() {
            "foreign" => Arc::new(Tokenizer::bytes()),
            _ => byte_level(),
        };
        Ok(Resident {
            decoder: Box::new(decoder),
            fingerprint: source.id().to_owned(),
            model: Arc::new(LoadedModel {
                id: source.id().to_owned(),
                family: "fake".to_owned(),
                quantisation: "f32".to_owned(),
                parameters: 0,
                weight_bytes: self.weights,
                context_length: self.context,
                vocab_size: VOCABULARY,
                kv_layers: vec![KvLayer::new(1, 1, Dtype::Float32)],
                tokenizer,
                template: None,
                defaults: GenerationDefaults::default(),
                draft: None,
            }),
        })
    }
}

pub(super) fn source(id: &str) -> ModelSource {
    ModelSource::Folder {
        id: id.to_owned(),
        path: "nowhere".into(),
    }
}
