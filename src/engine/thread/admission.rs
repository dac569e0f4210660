//! From the queue to the running sequences.

use std::{sync::atomic::Ordering, time::Instant};

use super::Engine;
use crate::{
    cache::{CacheError, KvPolicy},
    engine::{
        handle::Submission,
        model::Loader,
        outbox::Outbox,
        queue::{Next, Waiting},
        sequence::Sequence,
        types::*,
        validate::validate,
    },
};

/// What became of something that waited.
pub(super) enum Admission {
    Done,
    Later,
}

impl<L: Loader> Engine<L> {
    pub(super) fn submit(&mut self, submission: Submission) {
        let ahead = self.queue.ahead_of(submission.request.priority);
        tracing::info!(
            request = %submission.id,
            prompt_tokens = submission.request.prompt.len(),
            max_tokens = submission.request.max_tokens,
            priority = submission.request.priority.0,
            ahead,
            "request arrived"
        );
        self.totals.requests += 1;
        // The channel is new and empty.
        let _ = submission.events.try_send(Event::Queued { ahead });
        self.queue.push(Waiting::Request(submission));
    }

    pub(super) fn cancel(&mut self, id: RequestId) {
        if let Some(index) = self.running.iter().position(|s| s.id == id) {
            return self.end(index, FinishReason::Cancelled, None);
        }
        match self.queue.remove(id) {
            Some(Next::Resume(mut sequence)) => {
                self.totals.cancelled += 1;
                sequence.finish(FinishReason::Cancelled, None);
                self.leaving.push(sequence.outbox);
            }
            Some(Next::Admit(submission)) => {
                self.waiting_count.fetch_sub(1, Ordering::SeqCst);
                self.totals.cancelled += 1;
                self.dismiss(submission);
            }
            // It has ended.
            Some(Next::Change(_)) | None => {}
        }
    }

    /// Ends a request that never ran.
    pub(super) fn dismiss(&mut self, submission: Submission) {
        let queued = submission.arrived.elapsed();
        tracing::info!(request = %submission.id, "request cancelled while it waited");
        let mut outbox = Outbox::new(submission.events, submission.starved);
        outbox.send(Event::Finished(Finish {
            reason: FinishReason::Cancelled,
            text: String::new(),
            stop_string: None,
            usage: Usage {
                prompt_tokens: submission.request.prompt.len(),
                ..Usage::default()
            },
            timings: Timings {
                queued,
                ..Timings::default()
            },
        }));
        self.leaving.push(outbox);
    }

    /// Starts what waits, as far as there is room; whether anything did.
    pub(super) fn take_in(&mut self) -> bool {
        let mut any = false;
        while self.running.len() < self.options.max_sequences.max(1) {
            let Some(next) = self.queue.next() else { break };
            let admission = match next {
                Next::Resume(sequence) => self.resume(sequence),
                Next::Admit(submission) => self.admit(submission),
                Next::Change(change) => self.change(change),
            };
            match admission {
                Admission::Done => any = true,
                Admission::Later => break,
            }
        }
        any
    }

    pub(super) fn admit(&mut self, submission: Submission) -> Admission {
        let model = self.resident.as_ref().map(|resident| &resident.model);
        // The model may have changed since the handle looked.
        let checked = model
            .ok_or(EngineError::NoModel)
            .and_then(|model| validate(&submission.request, model).map(|()| model.clone()));
        let model = match checked {
            Ok(model) => model,
            Err(error) => {
                self.waiting_count.fetch_sub(1, Ordering::SeqCst);
                self.totals.failed += 1;
                let mut outbox = Outbox::new(submission.events, submission.starved);
                outbox.send(Event::Failed(error));
                self.leaving.push(outbox);
                return Admission::Done;
            }
        };
        let prompt = &submission.request.prompt;
        let wanted = submission.request.max_tokens.unwrap_or(usize::MAX);
        let expected = (prompt.len() + wanted.min(256)).min(model.context_length);
        let policy = self.policy(&submission.request);
        let slot = submission.id.0 as usize;
        let admitted = self.kv.admit(slot, prompt, expected, &policy);
        if matches!(admitted, Err(CacheError::Full { .. })) && !self.running.is_empty() {
            self.queue.put_back(Next::Admit(submission));
            return Admission::Later;
        }
        self.queue.started(submission.request.priority);
        self.waiting_count.fetch_sub(1, Ordering::SeqCst);
        let speculation = self.speculation(submission.request.speculation);
        let mut sequence = Sequence::new(submission, &model, speculation);
        match admitted {
            Ok(cached) => {
                self.totals.cached_tokens += cached as u64;
                self.totals.prompt_tokens += sequence.prompt_tokens() as u64;
                match cached {
                    0 => self.totals.prefix_misses += 1,
                    _ => self.totals.prefix_hits += 1,
                }
                self.measures.queued.record(sequence.age().as_secs_f64());
                sequence.start(Instant::now(), cached);
                sequence.tell_prefill(cached);
                self.running.push(sequence);
                if self.running.last().is_some_and(Sequence::wants_nothing) {
                    self.end(self.running.len() - 1, FinishReason::Length, None);
                }
            }
            Err(error) => {
                self.totals.failed += 1;
                sequence.fail(self.refusal(&error));
                self.leaving.push(sequence.outbox);
            }
        }
        Admission::Done
    }

    /// Takes a preempted sequence in again.
    pub(super) fn resume(&mut self, mut sequence: Sequence) -> Admission {
        let policy = self.policy(&sequence.request);
        let expected = sequence.expected();
        let admitted = self
            .kv
            .admit(sequence.slot(), &sequence.tokens, expected, &policy);
        match admitted {
            Ok(computed) => {
                self.queue.started(sequence.request.priority);
                sequence.computed = computed;
                self.running.push(sequence);
            }
            Err(CacheError::Full { .. }) if !self.running.is_empty() => {
                self.queue.put_back(Next::Resume(sequence));
                return Admission::Later;
            }
            Err(error) => {
                self.totals.failed += 1;
                sequence.fail(self.refusal(&error));
                self.leaving.push(sequence.outbox);
            }
        }
        Admission::Done
    }

    /// How the keys and values of a request are kept.
    fn policy(&self, request: &Request) -> KvPolicy {
        KvPolicy {
            mode: request.kv_mode.unwrap_or(self.kv_mode),
            salt: request.cache_salt.clone(),
        }
    }

    pub(super) fn refusal(&self, error: &CacheError) -> EngineError {
        match error {
            CacheError::Refused(refusal) => refusal.clone().into(),
            CacheError::Full {
                needed,
                used,
                limit,
            } => EngineError::OutOfMemory {
                what: "keys and values".to_owned(),
                needed: *needed,
                available: limit.saturating_sub(*used),
                limit: *limit,
            },
            CacheError::Mlx(error) => EngineError::Compute(error.what().to_string()),
        }
    }
}
