//! From the queue to the running sequences.

use std::{sync::atomic::Ordering, time::Instant};

use super::{Engine, Waiting};
use crate::{
    cache::CacheError,
    engine::{
        handle::Submission, model::Loader, outbox::Outbox, sequence::Sequence, types::*,
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
        let requests = self.waiting.iter();
        let ahead = requests
            .filter(|waiting| matches!(waiting, Waiting::Request(_)))
            .count()
            + self.preempted.len();
        tracing::info!(
            request = %submission.id,
            prompt_tokens = submission.request.prompt.len(),
            max_tokens = submission.request.max_tokens,
            ahead,
            "request arrived"
        );
        self.totals.requests += 1;
        // The channel is new and empty.
        let _ = submission.events.try_send(Event::Queued { ahead });
        self.waiting.push_back(Waiting::Request(submission));
    }

    pub(super) fn cancel(&mut self, id: RequestId) {
        if let Some(index) = self.running.iter().position(|s| s.id == id) {
            self.end(index, FinishReason::Cancelled, None);
        } else if let Some(at) = self.preempted.iter().position(|s| s.id == id) {
            if let Some(mut sequence) = self.preempted.remove(at) {
                sequence.finish(FinishReason::Cancelled, None);
                self.totals.cancelled += 1;
                self.leaving.push(sequence.outbox);
            }
        } else {
            let same = |w: &Waiting| matches!(w, Waiting::Request(s) if s.id == id);
            let at = self.waiting.iter().position(same);
            if let Some(Waiting::Request(submission)) = at.and_then(|at| self.waiting.remove(at)) {
                self.waiting_count.fetch_sub(1, Ordering::SeqCst);
                self.totals.cancelled += 1;
                self.dismiss(submission);
            }
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
            let next = match self.preempted.pop_front() {
                Some(sequence) => self.resume(sequence),
                None => match self.waiting.pop_front() {
                    None => break,
                    Some(Waiting::Request(submission)) => self.admit(submission),
                    Some(change) => self.change(change),
                },
            };
            match next {
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
        let admitted = self.kv.admit(submission.id.0 as usize, prompt, expected);
        if matches!(admitted, Err(CacheError::Full { .. })) && !self.running.is_empty() {
            self.waiting.push_front(Waiting::Request(submission));
            return Admission::Later;
        }
        self.waiting_count.fetch_sub(1, Ordering::SeqCst);
        let mut sequence = Sequence::new(submission, &model);
        match admitted {
            Ok(cached) => {
                self.totals.cached_tokens += cached as u64;
                self.totals.prompt_tokens += sequence.prompt_tokens() as u64;
                match cached {
                    0 => self.totals.prefix_misses += 1,
                    _ => self.totals.prefix_hits += 1,
                }
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
        let admitted = self
            .kv
            .admit(sequence.slot(), &sequence.tokens, sequence.expected());
        match admitted {
            Ok(computed) => {
                sequence.computed = computed;
                self.running.push(sequence);
            }
            Err(CacheError::Full { .. }) if !self.running.is_empty() => {
                self.preempted.push_front(sequence);
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

    pub(super) fn refusal(&self, error: &CacheError) -> EngineError {
        match error {
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
