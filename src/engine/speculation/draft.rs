//! The draft model: a smaller model of the same vocabulary that proposes what
//! the large one then checks.
//!
//! Its proposals stay on the device: they are computed one after the other and
//! go into the large model's step without being read. It has a cache of its
//! own, which follows the tokens of the sequences that it proposes for.
//!
//! Invariant: what `computed` says of a sequence are tokens of the sequence
//! whose keys and values the draft has, once `settle` has cut off proposals.

use std::collections::HashMap;

use mlx_rs::{Array, Dtype, error::Exception, ops, transforms::async_eval};

use crate::{
    cache::{CacheError, CacheOptions, KvCache, KvMode, KvPolicy},
    engine::{
        model::{Decoder, Resident},
        sampler::{self, Purpose, RowSampling},
        types::SamplingParams,
    },
    models::{Input, Rows, SequenceRows, Step},
};

/// Tokens that the draft may be behind and still propose at once.
const LEAST_BEHIND: usize = 64;

/// Why the draft cannot be asked for a sequence.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine) enum DraftError {
    #[error("the draft model's context of {0} tokens is full")]
    Context(usize),
    #[error("the draft model does not know the token {0}")]
    Token(u32),
    #[error("the draft model's keys and values: {0}")]
    Cache(#[from] CacheError),
    #[error("the draft model: {0}")]
    Mlx(#[from] Exception),
}

/// One proposal that was drawn.
#[derive(Debug)]
pub(in crate::engine) struct DraftRow {
    /// `[1]`, u32.
    pub token: Array,
    /// The draft's own `[1, V]`.
    pub probabilities: Array,
    /// Uniform in [0, 1), for whether it stays.
    pub number: f32,
}

/// Proposals for one sequence, lazy.
#[derive(Debug)]
pub(in crate::engine) struct Drafted {
    /// `[count]`, u32.
    pub tokens: Array,
    /// Of proposals that were drawn; none where the likeliest was taken.
    pub rows: Vec<DraftRow>,
}

/// What a sequence wants of the draft.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Wanted<'a> {
    pub slot: usize,
    pub tokens: &'a [u32],
    pub count: usize,
    pub params: &'a SamplingParams,
    pub seed: u64,
    /// How many tokens it has generated.
    pub generated: usize,
}

impl Wanted<'_> {
    /// Draws as the model does. Otherwise it takes the likeliest: a seed must
    /// give the same tokens whether something was proposed or not.
    fn draws(&self) -> bool {
        self.params.seed.is_none() && !sampler::is_greedy(self.params)
    }

    /// What penalties look at, before proposal `nth`.
    fn history(&self, drafted: &[Array]) -> Result<Option<Array>, Exception> {
        if !sampler::needs_history(self.params) {
            return Ok(None);
        }
        let context = self.params.penalty_context;
        let latest = drafted.len().saturating_sub(context);
        let known = context.saturating_sub(drafted.len());
        let known = &self.tokens[self.tokens.len().saturating_sub(known)..];
        let mut pieces: Vec<Array> = drafted[latest..].to_vec();
        if !known.is_empty() {
            pieces.insert(0, ids(known));
        }
        ops::concatenate(&pieces, 0).map(Some)
    }
}

pub(in crate::engine) struct Drafter {
    decoder: Box<dyn Decoder>,
    pub weight_bytes: u64,
    context: usize,
    /// Tokens that the large model's logits have, and those it knows itself.
    vocabulary: i32,
    own_vocabulary: usize,
    chunk: usize,
    pub kv: KvCache,
    /// Tokens computed of each sequence.
    computed: HashMap<usize, usize>,
}

impl Drafter {
    /// `draft` for a model with `vocabulary` logits; `cache` says what its keys
    /// and values may take.
    pub fn new(draft: Resident, vocabulary: usize, chunk: usize, cache: CacheOptions) -> Self {
        Self {
            weight_bytes: draft.model.weight_bytes,
            context: draft.model.context_length,
            decoder: draft.decoder,
            vocabulary: vocabulary as i32,
            own_vocabulary: draft.model.vocab_size,
            chunk: chunk.max(1),
            kv: KvCache::new(cache),
            computed: HashMap::new(),
        }
    }

    /// Whether it can propose what follows the first `tokens` tokens of a
    /// sequence at once.
    pub fn is_near(&self, slot: usize, tokens: usize) -> bool {
        let computed = self.computed.get(&slot);
        computed.is_some_and(|computed| tokens.saturating_sub(*computed) <= LEAST_BEHIND)
            && tokens + LEAST_BEHIND <= self.context
    }

    /// Brings the draft a chunk nearer to the end of a sequence that is
    /// expected to reach `expected` tokens; whether it is near enough to
    /// propose the next. Only sequences with the same salt share anything.
    ///
    /// # Errors
    /// When the draft's context or memory does not hold the sequence; then it
    /// has forgotten it.
    pub fn follow(
        &mut self,
        slot: usize,
        tokens: &[u32],
        expected: usize,
        salt: &str,
    ) -> Result<bool, DraftError> {
        let followed = self.try_follow(slot, tokens, expected, salt);
        if followed.is_err() {
            self.release(slot, None);
        }
        followed
    }

    fn try_follow(
        &mut self,
        slot: usize,
        tokens: &[u32],
        expected: usize,
        salt: &str,
    ) -> Result<bool, DraftError> {
        if tokens.len() + LEAST_BEHIND > self.context {
            return Err(DraftError::Context(self.context));
        }
        let computed = match self.computed.get(&slot) {
            Some(computed) => *computed,
            None => {
                let known = |token: &&u32| (**token as usize) < self.own_vocabulary;
                if let Some(token) = tokens.iter().find(|token| !known(token)) {
                    return Err(DraftError::Token(*token));
                }
                let policy = KvPolicy {
                    mode: KvMode::Plain,
                    salt: salt.to_owned(),
                };
                let expected = expected.min(self.context);
                let computed = self.kv.admit(slot, tokens, expected, &policy)?;
                self.computed.insert(slot, computed);
                computed
            }
        };
        let behind = tokens.len().saturating_sub(computed);
        if behind <= LEAST_BEHIND {
            return Ok(true);
        }
        let rows = (behind - 1).min(self.chunk);
        self.kv.grow(slot, computed + rows)?;
        let step = Step {
            logits: Rows::None,
            ..Step::tokens(slot, &tokens[computed..computed + rows], computed)
        };
        self.decoder.forward(&step, &mut self.kv)?;
        async_eval(self.kv.arrays(slot))?;
        self.kv.snapshot(slot)?;
        self.computed.insert(slot, computed + rows);
        Ok(tokens.len() - computed - rows <= LEAST_BEHIND)
    }

    /// Makes room for `count` proposals after `tokens` tokens.
    ///
    /// # Errors
    /// When memory is short.
    pub fn make_room(&mut self, slot: usize, tokens: usize) -> Result<(), CacheError> {
        self.kv.grow(slot, tokens)
    }

    /// Proposals for all of `wanted`, each of which `follow` has brought near
    /// its end and `make_room` has made room for.
    ///
    /// # Errors
    /// When MLX or the cache refuses.
    pub fn draft(&mut self, wanted: &[Wanted]) -> Result<Vec<Drafted>, Exception> {
        let mut tokens: Vec<Vec<Array>> = vec![Vec::new(); wanted.len()];
        let mut rows: Vec<Vec<DraftRow>> = wanted.iter().map(|_| Vec::new()).collect();
        let most = wanted.iter().map(|wanted| wanted.count).max().unwrap_or(0);
        for nth in 0..most {
            let going: Vec<usize> = (0..wanted.len())
                .filter(|at| wanted[*at].count > nth)
                .collect();
            let logits = self.step(wanted, &going, &tokens)?;
            let logits = logits.as_dtype(Dtype::Float32)?;
            let each = logits.split_equal(going.len() as i32, 0)?;
            for (logits, at) in each.iter().zip(going) {
                let wanted = &wanted[at];
                let logits = fit(logits, self.vocabulary)?;
                let index = (wanted.generated + nth) as u64;
                let row = RowSampling {
                    params: wanted.params,
                    uniform: sampler::uniform(wanted.seed, index, Purpose::Draft),
                    history: wanted.history(&tokens[at])?,
                    logprobs: None,
                    draft: None,
                };
                let (token, probabilities) = sampler::propose(&logits, &row, wanted.draws())?;
                rows[at].extend(probabilities.map(|probabilities| DraftRow {
                    token: token.clone(),
                    probabilities,
                    number: sampler::uniform(wanted.seed, index, Purpose::Acceptance),
                }));
                tokens[at].push(token);
            }
        }
        let drafted = tokens.into_iter().zip(rows);
        drafted
            .map(|(tokens, rows)| {
                let tokens = ops::concatenate(&tokens, 0)?;
                Ok(Drafted { tokens, rows })
            })
            .collect()
    }

    /// Logits `[going, V]` after what each has been proposed so far.
    fn step(
        &mut self,
        wanted: &[Wanted],
        going: &[usize],
        drafted: &[Vec<Array>],
    ) -> Result<Array, Exception> {
        let mut input = Vec::with_capacity(going.len());
        let mut sequences = Vec::with_capacity(going.len());
        for at in going {
            let (slot, tokens) = (wanted[*at].slot, wanted[*at].tokens);
            let computed = self.computed.entry(slot).or_default();
            let position = *computed as i32;
            let rows = match drafted[*at].last() {
                Some(last) => {
                    input.push(last.clone());
                    1
                }
                None => {
                    let behind = tokens.get(*computed..).unwrap_or_default();
                    input.push(ids(behind));
                    behind.len()
                }
            };
            *computed += rows;
            sequences.push(SequenceRows {
                sequence: slot,
                rows,
                position,
                proposed: drafted[*at].len().min(1),
            });
        }
        let step = Step {
            input: Input::Tokens(ops::concatenate(&input, 0)?),
            sequences,
            logits: Rows::Last,
        };
        self.decoder.forward(&step, &mut self.kv)
    }

    /// Keeps what the draft has of the first `tokens` tokens of a sequence.
    pub fn settle(&mut self, slot: usize, tokens: usize) {
        let Some(computed) = self.computed.get_mut(&slot) else {
            return;
        };
        if *computed <= tokens {
            return;
        }
        match self.kv.truncate(slot, tokens) {
            Ok(left) => *computed = left,
            Err(error) => {
                tracing::warn!(%error, "the draft model starts again with a sequence");
                self.release(slot, None);
            }
        }
    }

    /// Gives up a sequence; with its `tokens`, what was computed is kept for
    /// others that begin alike.
    pub fn release(&mut self, slot: usize, tokens: Option<&[u32]>) {
        let computed = self.computed.remove(&slot);
        let kept = tokens.zip(computed).map(|(tokens, computed)| {
            // Proposals in flight are no tokens of the sequence.
            &tokens[..computed.min(tokens.len())]
        });
        self.kv.release(slot, kept);
    }

    /// Forgets everything: what was computed may be wrong.
    pub fn clear(&mut self) {
        let slots: Vec<usize> = self.computed.keys().copied().collect();
        slots.into_iter().for_each(|slot| self.release(slot, None));
        self.kv.clear();
    }
}

fn ids(tokens: &[u32]) -> Array {
    Array::from_slice(tokens, &[tokens.len() as i32])
}

/// `logits [1, V]` with as many tokens as the large model has: models of one
/// tokenizer differ in how many rows they are filled up with.
fn fit(logits: &Array, vocabulary: i32) -> Result<Array, Exception> {
    let own = logits.dim(1);
    if own == vocabulary {
        return Ok(logits.clone());
    }
    if own > vocabulary {
        let mut parts = logits.split_at_indices(&[vocabulary], 1)?;
        return Ok(parts.swap_remove(0));
    }
    let missing = ops::full::<f32>(&[1, vocabulary - own], Array::from_f32(f32::NEG_INFINITY))?;
    ops::concatenate(&[logits, &missing], 1)
}
