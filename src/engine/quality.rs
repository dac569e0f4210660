//! What it costs to keep keys and values in fewer bits: the same text read, and
//! gone on with, in every mode.
//!
//! For `maquette bench --kv-modes`. Runs alone on the engine thread.

use mlx_rs::{
    Array, Dtype,
    ops::{
        self,
        indexing::{self, argmax_axis},
    },
};
use serde::Serialize;

use super::{
    model::Decoder,
    step::{StepError, guarded},
};
use crate::{
    cache::{CacheOptions, KvCache, KvLayer, KvMode, KvPolicy, Scheme},
    models::{Input, Rows, SequenceRows, Step},
};

const SEQUENCE: usize = 0;
/// Rows read at once: a page, so that all before it is packed.
const ROWS: usize = 64;

/// A mode next to keys and values as they were computed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KvQuality {
    pub mode: String,
    /// Why the model cannot take it; the rest is 0 then.
    pub refused: Option<String>,
    /// Bits of a key's or value's number, plain layers included.
    pub bits: f64,
    /// e to the mean of -ln p over the text's tokens.
    pub perplexity: f64,
    /// Part of the text's places where the likeliest token is the same.
    pub agreement: f64,
    /// Mean Kullback-Leibler divergence from the plain distribution, in nats.
    pub divergence: f64,
    /// Tokens of the continuation before it first differs, of how many.
    pub alike: usize,
    pub continued: usize,
}

/// One mode at work.
struct Reader<'a> {
    decoder: &'a dyn Decoder,
    kv: KvCache,
    position: usize,
}

/// Sums over the text.
#[derive(Default)]
struct Sums {
    loss: f64,
    same: f64,
    divergence: f64,
}

/// Reads `tokens` in every mode and goes on by `generate` tokens, greedily.
///
/// # Errors
/// When a step fails.
pub(super) fn compare(
    decoder: &dyn Decoder,
    tokens: &[u32],
    generate: usize,
) -> Result<Vec<KvQuality>, StepError> {
    guarded(|| {
        let layers = decoder.kv_layers();
        let mut found = Vec::new();
        let (plain, plain_text) = measure(decoder, KvMode::Plain, tokens, generate)?;
        found.push(plain);
        for mode in KvMode::ALL.into_iter().skip(1) {
            if let Err(refusal) = Scheme::check(mode, &layers) {
                found.push(KvQuality {
                    refused: Some(refusal.reason),
                    ..nothing(mode)
                });
                continue;
            }
            let (mut quality, text) = measure(decoder, mode, tokens, generate)?;
            let pairs = text.iter().zip(&plain_text);
            quality.alike = pairs.take_while(|(a, b)| a == b).count();
            found.push(quality);
        }
        Ok(found)
    })
}

fn nothing(mode: KvMode) -> KvQuality {
    KvQuality {
        mode: mode.to_string(),
        refused: None,
        bits: 0.0,
        perplexity: 0.0,
        agreement: 0.0,
        divergence: 0.0,
        alike: 0,
        continued: 0,
    }
}

/// A mode's figures but for `alike`, and its continuation. The plain mode reads
/// along: its distributions are too many to keep.
fn measure(
    decoder: &dyn Decoder,
    mode: KvMode,
    tokens: &[u32],
    generate: usize,
) -> Result<(KvQuality, Vec<u32>), StepError> {
    let mut plain = Reader::new(decoder, KvMode::Plain, tokens)?;
    let mut packed = Reader::new(decoder, mode, tokens)?;
    let mut sums = Sums::default();
    let mut end = None;
    for (at, chunk) in tokens.chunks(ROWS).enumerate() {
        let next = &tokens[at * ROWS + 1..];
        let targets = &next[..next.len().min(chunk.len())];
        let own = packed.read(chunk)?;
        let reference = match mode {
            KvMode::Plain => own.clone(),
            _ => plain.read(chunk)?,
        };
        sums.add(&own, &reference, targets)?;
        end = Some(own);
    }
    let places = tokens.len().saturating_sub(1).max(1) as f64;
    let text = match end {
        Some(end) => packed.go_on(&end, generate)?,
        None => Vec::new(),
    };
    let quality = KvQuality {
        bits: bits(mode, &decoder.kv_layers())?,
        perplexity: (sums.loss / places).exp(),
        agreement: sums.same / places,
        divergence: sums.divergence / places,
        alike: generate,
        continued: generate,
        ..nothing(mode)
    };
    Ok((quality, text))
}

fn bits(mode: KvMode, layers: &[KvLayer]) -> Result<f64, StepError> {
    let scheme = Scheme::new(mode, layers, 0).map_err(|refusal| StepError(refusal.to_string()))?;
    let numbers: usize = layers.iter().map(KvLayer::numbers).sum();
    let page = crate::cache::PAGE_TOKENS * numbers;
    Ok(scheme.page_bytes() as f64 * 8.0 / page as f64)
}

impl<'a> Reader<'a> {
    fn new(decoder: &'a dyn Decoder, mode: KvMode, tokens: &[u32]) -> Result<Self, StepError> {
        let mut kv = KvCache::new(CacheOptions {
            fingerprint: "quality".to_owned(),
            layers: decoder.kv_layers(),
            limit: u64::MAX,
            kept_limit: 0,
            ..CacheOptions::default()
        });
        let policy = KvPolicy {
            mode,
            ..KvPolicy::default()
        };
        kv.admit(SEQUENCE, tokens, tokens.len(), &policy)
            .map_err(|error| StepError(error.to_string()))?;
        Ok(Self {
            decoder,
            kv,
            position: 0,
        })
    }

    /// ln p `[rows, vocabulary]` of what follows each of `tokens`.
    fn read(&mut self, tokens: &[u32]) -> Result<Array, StepError> {
        let count = tokens.len();
        let step = Step {
            input: Input::Tokens(Array::from_slice(tokens, &[count as i32])),
            sequences: vec![SequenceRows {
                sequence: SEQUENCE,
                rows: count,
                position: self.position as i32,
                proposed: 0,
            }],
            logits: Rows::All,
        };
        self.position += count;
        let logits = self.decoder.forward(&step, &mut self.kv)?;
        let logits = logits.as_dtype(Dtype::Float32)?;
        let logprobs = logits.subtract(logits.logsumexp_axis(-1, true)?)?;
        logprobs.eval()?;
        Ok(logprobs)
    }

    /// The `count` likeliest tokens one after the other; `end` is what the text
    /// so far ended with.
    fn go_on(&mut self, end: &Array, count: usize) -> Result<Vec<u32>, StepError> {
        let mut tokens = Vec::with_capacity(count);
        let mut logprobs = end.clone();
        for _ in 0..count {
            let likeliest = vector(&argmax_axis(&logprobs, -1, false)?)?;
            let Some(token) = likeliest.last() else { break };
            tokens.push(*token);
            logprobs = self.read(&[*token])?;
        }
        Ok(tokens)
    }
}

impl Sums {
    /// `targets` are the tokens that follow the first rows; the text's last row
    /// has none.
    fn add(&mut self, own: &Array, plain: &Array, targets: &[u32]) -> Result<(), StepError> {
        let count = targets.len() as i32;
        if count == 0 {
            return Ok(());
        }
        let first = |x: &Array| -> Result<Array, StepError> {
            Ok(match x.dim(0) == count {
                true => x.clone(),
                false => x.split_at_indices(&[count], 0)?.swap_remove(0),
            })
        };
        let (own, plain) = (first(own)?, first(plain)?);
        let targets = Array::from_slice(targets, &[count, 1]);
        let chosen = indexing::take_along_axis(&own, &targets, 1)?;
        self.loss -= number(&chosen.sum(false)?)?;
        let divergence = plain.exp()?.multiply(plain.subtract(&own)?)?;
        self.divergence += number(&divergence.sum(false)?)?;
        let (a, b) = (
            argmax_axis(&own, -1, false)?,
            argmax_axis(&plain, -1, false)?,
        );
        let same = ops::eq(&a, &b)?.as_dtype(Dtype::Float32)?;
        self.same += number(&same.sum(false)?)?;
        Ok(())
    }
}

fn number(array: &Array) -> Result<f64, StepError> {
    let value: f32 = array
        .try_item_exact()
        .map_err(|error| StepError(error.to_string()))?;
    Ok(f64::from(value))
}

fn vector(array: &Array) -> Result<Vec<u32>, StepError> {
    array
        .to_vec_exact()
        .map_err(|error| StepError(error.to_string()))
}
