//! One request at work: its tokens, how many are computed, and what its reader
//! has been told.

use std::time::{Duration, Instant};

use super::{
    handle::{LoadedModel, Submission},
    measure::Gap,
    outbox::Outbox,
    sampler::needs_history,
    scheduler::Candidate,
    speculation::state::{Speculation as Speculating, Verified},
    stop::StopMatcher,
    types::*,
};
use crate::text::StreamingDetokenizer;

/// A token as read from the device.
#[derive(Debug)]
pub(super) struct ReadToken {
    pub token: u32,
    /// Of the token itself and of alternatives, best first.
    pub logprob: Option<f32>,
    pub top: Vec<(u32, f32)>,
}

/// There are no phases: a sequence has tokens, and some of them are computed.
/// Invariant: `computed` counts tokens whose keys and values are written or on
/// their way in a step that was launched. Proposals are no tokens: while some
/// of them are on their way there is nothing left to compute.
pub(super) struct Sequence {
    pub id: RequestId,
    pub request: Request,
    pub outbox: Outbox,
    /// The prompt, then what was generated.
    pub tokens: Vec<u32>,
    pub computed: usize,
    /// Tokens that were computed once: those behind `computed` were taken back
    /// with proposals after them and are computed again.
    pub reached: usize,
    pub cached: usize,
    /// The next token is sampled in this row of the step in flight.
    pub lazy: Option<usize>,
    /// Runs in steps of its own, after a step that it was part of has failed.
    pub alone: bool,
    /// The step it was last part of.
    pub stepped: u64,
    pub seed: u64,
    /// What is proposed ahead of the model.
    pub speculating: Speculating,
    /// The most tokens to generate.
    limit: usize,
    generated: usize,
    detokenizer: StreamingDetokenizer,
    stops: StopMatcher,
    arrived: Instant,
    started: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Sequence {
    /// A sequence that has computed nothing.
    pub fn new(submission: Submission, model: &LoadedModel, speculation: Speculation) -> Self {
        let Submission {
            id,
            request,
            events,
            starved,
            arrived,
        } = submission;
        let room = model.context_length.saturating_sub(request.prompt.len());
        let detokenizer = StreamingDetokenizer::after(
            model.tokenizer.clone(),
            !request.special_text,
            &request.prompt,
        );
        Self {
            id,
            outbox: Outbox::new(events, starved),
            tokens: request.prompt.clone(),
            computed: 0,
            reached: 0,
            cached: 0,
            lazy: None,
            alone: false,
            stepped: 0,
            seed: request.sampling.seed.unwrap_or_else(fresh_seed),
            speculating: Speculating::new(speculation, model.draft.is_some()),
            limit: request.max_tokens.map_or(room, |max| max.min(room)),
            generated: 0,
            detokenizer,
            stops: StopMatcher::new(&request.stop),
            request,
            arrived,
            started: None,
            first: None,
            last: None,
        }
    }

    /// The number under which caches and models know it.
    pub fn slot(&self) -> usize {
        self.id.0 as usize
    }

    pub fn prompt_tokens(&self) -> usize {
        self.request.prompt.len()
    }

    pub fn generated(&self) -> usize {
        self.generated
    }

    /// Tokens yet to compute, the one in flight included.
    pub fn remaining(&self) -> usize {
        let known = self.tokens.len() + usize::from(self.lazy.is_some());
        known - self.computed
    }

    /// Those of them that were computed before and taken back.
    fn again(&self) -> usize {
        self.reached.saturating_sub(self.computed)
    }

    /// Whether the next step may have rows of it.
    pub fn is_ready(&self) -> bool {
        let planned = self.generated + usize::from(self.lazy.is_some());
        let waits = self.lazy.is_some() && self.speculating.intent.is_some();
        !self.outbox.is_paused() && planned < self.limit && self.remaining() > 0 && !waits
    }

    /// Whether its prompt is computed and it may propose tokens.
    pub fn decodes(&self) -> bool {
        self.generated > 0 && self.remaining() <= 1 + self.again()
    }

    /// Proposals that it can use at most: one token comes in any case.
    pub fn most_proposals(&self) -> usize {
        self.limit.saturating_sub(self.generated + 1)
    }

    /// How many of the tokens wanted of it are proposals, and the rest known.
    pub fn proposals(&self) -> usize {
        match self.speculating.intent {
            Some(intent) if self.lazy.is_none() && self.remaining() == 1 + self.again() => {
                intent.choice.count.min(self.most_proposals())
            }
            _ => 0,
        }
    }

    /// What a plan has to know of it, if the next step may have rows of it.
    pub fn candidate(&self, index: usize) -> Option<Candidate> {
        self.is_ready().then(|| Candidate {
            index,
            id: self.id,
            priority: self.request.priority,
            remaining: self.remaining(),
            prompt: self.prompt_tokens().saturating_sub(self.computed),
            again: self.again(),
            alone: self.alone,
            stepped: self.stepped,
            proposals: self.proposals(),
        })
    }

    /// Whether it has nothing to compute at all.
    pub fn wants_nothing(&self) -> bool {
        self.limit == 0
    }

    /// How long it is likely to become at most, for admission: all of what it
    /// asks for if that is little, else it grows as it goes.
    pub fn expected(&self) -> usize {
        self.tokens.len() + (self.limit - self.generated).min(256)
    }

    /// Tokens that the penalties look at, as far as they are known; `None`
    /// without penalties. `lazy` more will follow.
    pub fn history(&self, lazy: usize) -> Option<&[u32]> {
        let sampling = &self.request.sampling;
        needs_history(sampling).then(|| {
            let wanted = sampling.penalty_context.saturating_sub(lazy);
            &self.tokens[self.tokens.len().saturating_sub(wanted)..]
        })
    }

    pub fn start(&mut self, now: Instant, cached: usize) {
        self.started.get_or_insert(now);
        self.cached = cached;
        self.computed = cached;
    }

    pub fn tell_prefill(&mut self, done: usize) {
        if self.generated == 0 && done <= self.prompt_tokens() {
            self.outbox.send(Event::Prefill {
                done,
                total: self.prompt_tokens(),
                cached: self.cached,
            });
        }
    }

    /// Since it was submitted.
    pub fn age(&self) -> Duration {
        self.arrived.elapsed()
    }

    /// How long a token that comes now let wait.
    pub fn gap(&self, now: Instant) -> Gap {
        match self.last {
            None => Gap::First(now.saturating_duration_since(self.arrived)),
            Some(last) => Gap::Next(now.saturating_duration_since(last)),
        }
    }

    /// Begins again from its tokens, after its keys and values were given up.
    pub fn reset(&mut self) {
        (self.computed, self.reached) = (0, 0);
        self.lazy = None;
        self.speculating.intent = None;
    }

    /// The last `new` of its tokens have come, some of them as proposed.
    pub fn learn(&mut self, new: usize, verified: Option<Verified>) {
        if self.speculating.is_on() {
            self.speculating.learn(&self.tokens, new, verified);
        }
    }

    /// Takes the next token and tells the reader; the reason if that was the
    /// last.
    pub fn accept(
        &mut self,
        read: ReadToken,
        model: &LoadedModel,
        now: Instant,
    ) -> Option<(FinishReason, Option<String>)> {
        let token = read.token;
        self.tokens.push(token);
        self.generated += 1;
        self.first.get_or_insert(now);
        self.last = Some(now);
        let own_end = !self.request.ignore_eos && model.tokenizer.eos().contains(&token);
        if own_end || self.request.stop_tokens.contains(&token) {
            return Some((FinishReason::Stop, None));
        }
        let text = self.detokenizer.push(token);
        let passed = self.stops.push(&text);
        let describe = |(token, logprob): (u32, f32)| TokenLogprob {
            token,
            text: model.tokenizer.token_text(token),
            bytes: model.tokenizer.token_bytes(token),
            logprob,
        };
        self.outbox.send(Event::Token(TokenEvent {
            token,
            text: passed.text,
            logprob: read.logprob.map(|logprob| describe((token, logprob))),
            top_logprobs: read.top.into_iter().map(describe).collect(),
        }));
        if passed.stop.is_some() {
            return Some((FinishReason::Stop, passed.stop));
        }
        (self.generated >= self.limit).then_some((FinishReason::Length, None))
    }

    /// Tells the reader that this is the end.
    pub fn finish(&mut self, reason: FinishReason, stop_string: Option<String>) {
        let mut text = String::new();
        if stop_string.is_none() {
            let rest = self.detokenizer.finish();
            let passed = self.stops.push(&rest);
            text = passed.text;
            text.push_str(&self.stops.finish());
        }
        let finish = Finish {
            reason,
            text,
            stop_string,
            usage: self.usage(),
            timings: self.timings(Instant::now()),
        };
        tracing::info!(
            request = %self.id,
            reason = ?reason,
            prompt_tokens = finish.usage.prompt_tokens,
            cached_tokens = finish.usage.cached_tokens,
            completion_tokens = finish.usage.completion_tokens,
            queued_ms = millis(finish.timings.queued),
            prefill_ms = millis(finish.timings.prefill),
            first_token_ms = millis(finish.timings.first_token),
            decode_ms = millis(finish.timings.decode),
            tokens_per_second = finish.timings.decode_rate(self.generated).round(),
            proposed_tokens = finish.usage.proposed_tokens,
            accepted_tokens = finish.usage.accepted_tokens,
            "request finished"
        );
        self.outbox.send(Event::Finished(finish));
    }

    pub fn fail(&mut self, error: EngineError) {
        tracing::error!(request = %self.id, %error, "request failed");
        self.outbox.send(Event::Failed(error));
    }

    fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.prompt_tokens(),
            cached_tokens: self.cached,
            completion_tokens: self.generated,
            proposed_tokens: self.speculating.proposed,
            accepted_tokens: self.speculating.accepted,
        }
    }

    fn timings(&self, now: Instant) -> Timings {
        let from = |a: Option<Instant>, b: Option<Instant>| match (a, b) {
            (Some(a), Some(b)) => b.saturating_duration_since(a),
            _ => Duration::ZERO,
        };
        let arrived = Some(self.arrived);
        Timings {
            queued: from(arrived, self.started.or(Some(now))),
            prefill: from(self.started, self.first.or(Some(now))),
            decode: from(self.first, self.last),
            first_token: from(arrived, self.first),
        }
    }

    pub fn state(&self) -> RunningRequest {
        let now = Instant::now();
        RunningRequest {
            id: self.id,
            state: if self.generated == 0 {
                "prefill"
            } else {
                "decode"
            },
            prompt_tokens: self.prompt_tokens(),
            cached_tokens: self.cached,
            completion_tokens: self.generated,
            tokens_per_second: self.timings(now).decode_rate(self.generated),
            age: now.saturating_duration_since(self.arrived),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

fn fresh_seed() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    high ^ low
}
