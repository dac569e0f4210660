//! The engine thread: commands in, turns of work, statistics out.
//!
//! Invariants: every MLX array lives here; without work the thread sleeps; a
//! failing request never takes another one with it.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, TryRecvError},
    },
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

use super::{
    handle::{Command, LoadedModel, Submission},
    model::{Loader, Resident},
    outbox::Outbox,
    scheduler::{Share, plan},
    sequence::Sequence,
    step::{Flight, Outcome, StepError, guarded, launch},
    types::*,
    validate::validate,
};
use crate::{
    cache::{CacheError, KvCache},
    mlx,
};

mod residence;
mod statistics;

/// What waits, in the order it came: a model is changed when everything before
/// has ended, and what came after meets the new model.
enum Waiting {
    Request(Submission),
    Load {
        source: ModelSource,
        reply: oneshot::Sender<Result<Arc<LoadedModel>, EngineError>>,
    },
    Unload {
        reply: oneshot::Sender<()>,
    },
}

pub(super) struct Engine<L> {
    options: EngineOptions,
    loader: L,
    stats: watch::Sender<EngineStats>,
    model: watch::Sender<Option<Arc<LoadedModel>>>,
    /// Shared with the handles, which refuse when it is too much.
    waiting_count: Arc<AtomicUsize>,
    resident: Option<Resident>,
    kv: KvCache,
    chunk: usize,
    memory_limit: u64,
    waiting: VecDeque<Waiting>,
    /// Gave their memory up and go on as soon as there is room.
    preempted: VecDeque<Sequence>,
    running: Vec<Sequence>,
    flight: Option<Flight>,
    /// Last events of requests that have ended.
    leaving: Vec<Outbox>,
    totals: Totals,
    /// Pages evicted by the caches of earlier models.
    evicted_before: u64,
    /// When the step in flight began to have the device to itself.
    busy_since: Instant,
    published: Instant,
    steps: u64,
    /// The next turn has something to do that this one does not show.
    again: bool,
}

impl<L: Loader> Engine<L> {
    pub fn new(
        options: EngineOptions,
        loader: L,
        stats: watch::Sender<EngineStats>,
        model: watch::Sender<Option<Arc<LoadedModel>>>,
        waiting_count: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            options,
            loader,
            stats,
            model,
            waiting_count,
            resident: None,
            kv: KvCache::new("", 1, 0, 0),
            chunk: 1,
            memory_limit: 0,
            waiting: VecDeque::new(),
            preempted: VecDeque::new(),
            running: Vec::new(),
            flight: None,
            leaving: Vec::new(),
            totals: Totals::default(),
            evicted_before: 0,
            busy_since: Instant::now(),
            published: Instant::now(),
            steps: 0,
            again: false,
        }
    }

    /// Runs until the last handle and the last stream are gone.
    pub fn run(mut self, commands: Receiver<Command>) {
        mlx::device::init();
        self.chunk = self.options.prefill_chunk.unwrap_or_else(default_chunk);
        self.memory_limit = self.find_memory_limit();
        loop {
            loop {
                match commands.try_recv() {
                    Ok(command) => self.obey(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            match guarded(|| Ok(self.turn())) {
                Ok(true) => self.publish_now_and_then(),
                Ok(false) => {
                    self.rest();
                    match commands.recv() {
                        Ok(command) => self.obey(command),
                        Err(_) => return,
                    }
                }
                Err(fault) => self.fail_all(&fault),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Submit(submission) => self.submit(submission),
            Command::Cancel(id) => self.cancel(id),
            // The turn that follows hands over what waits.
            Command::Wake => {}
            Command::Load { source, reply } => {
                self.stats
                    .send_modify(|stats| stats.loading = Some((source.id().to_owned(), 0.0)));
                self.waiting.push_back(Waiting::Load { source, reply });
            }
            Command::Unload { reply } => self.waiting.push_back(Waiting::Unload { reply }),
        }
    }

    fn submit(&mut self, submission: Submission) {
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

    fn cancel(&mut self, id: RequestId) {
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
    fn dismiss(&mut self, submission: Submission) {
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

    /// One turn; whether anything could be done.
    fn turn(&mut self) -> bool {
        self.flush();
        let mut busy = self.take_in();
        let launched = self.launch();
        busy |= std::mem::take(&mut self.again);
        if let Some(before) = self.flight.take() {
            busy = true;
            match before.read() {
                Ok(outcomes) => self.apply(outcomes),
                Err(error) => {
                    // The step launched after it stands on it.
                    let mut ids: Vec<RequestId> = before.ids().collect();
                    match &launched {
                        Ok(after) => ids.extend(after.iter().flat_map(Flight::ids)),
                        Err((more, _)) => ids.extend(more),
                    }
                    self.recover(ids, &error);
                    return true;
                }
            }
        }
        match launched {
            Ok(flight) => {
                busy |= flight.is_some();
                self.flight = flight;
            }
            Err((ids, error)) => {
                busy = true;
                self.recover(ids, &error);
            }
        }
        busy
    }

    fn flush(&mut self) {
        for sequence in &mut self.running {
            sequence.outbox.flush();
        }
        for outbox in &mut self.leaving {
            outbox.flush();
        }
        self.leaving
            .retain(|outbox| !outbox.is_empty() && !outbox.is_closed());
    }

    /// Starts what waits, as far as there is room; whether anything did.
    fn take_in(&mut self) -> bool {
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

    fn admit(&mut self, submission: Submission) -> Admission {
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
    fn resume(&mut self, mut sequence: Sequence) -> Admission {
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

    fn refusal(&self, error: &CacheError) -> EngineError {
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

    /// Plans and launches the next step. On success the sequences know what is
    /// on its way.
    fn launch(&mut self) -> Result<Option<Flight>, (Vec<RequestId>, StepError)> {
        let mut shares = plan(&self.running, self.chunk);
        self.make_room(&mut shares);
        let Some(resident) = self.resident.as_ref().filter(|_| !shares.is_empty()) else {
            return Ok(None);
        };
        if self.flight.is_none() {
            self.busy_since = Instant::now();
        }
        let flight = launch(
            &*resident.decoder,
            &mut self.kv,
            &self.running,
            &shares,
            self.flight.as_ref(),
        )
        .map_err(|error| {
            let ids = shares.iter().map(|share| self.running[share.index].id);
            (ids.collect(), error)
        })?;
        for (share, part) in shares.iter().zip(&flight.parts) {
            let sequence = &mut self.running[share.index];
            sequence.computed = part.computed;
            sequence.lazy = part.sampled;
        }
        self.steps += 1;
        // Buffers of sizes that no longer occur would pile up.
        if self.steps.is_multiple_of(256) {
            let _ = mlx_rs::memory::clear_cache();
        }
        Ok(Some(flight))
    }

    /// Sees to it that the keys and values of a step have room. A sequence
    /// that finds none waits until others have ended.
    fn make_room(&mut self, shares: &mut Vec<Share>) {
        let mut homeless = Vec::new();
        shares.retain(|share| {
            let sequence = &self.running[share.index];
            match self
                .kv
                .grow(sequence.slot(), sequence.computed + share.rows)
            {
                Ok(()) => true,
                Err(error) => {
                    // One whose token is in flight is asked again next time.
                    if sequence.lazy.is_none() {
                        homeless.push((sequence.id, error));
                    }
                    false
                }
            }
        });
        for (id, error) in homeless {
            let Some(index) = self.running.iter().position(|s| s.id == id) else {
                continue;
            };
            if self.running.len() == 1 {
                let refusal = self.refusal(&error);
                self.fail(index, refusal);
            } else {
                tracing::warn!(request = %id, "memory is short: the request waits for others to end");
                let mut sequence = self.running.remove(index);
                let computed = sequence.computed.min(sequence.tokens.len());
                self.kv
                    .release(sequence.slot(), Some(&sequence.tokens[..computed]));
                sequence.reset();
                self.preempted.push_back(sequence);
            }
            // Indices have moved: the next turn plans anew.
            shares.clear();
            self.again = true;
        }
    }

    /// Takes in what a step has computed.
    fn apply(&mut self, outcomes: Vec<Outcome>) {
        let now = Instant::now();
        self.count(&outcomes, now.saturating_duration_since(self.busy_since));
        self.busy_since = now;
        for outcome in outcomes {
            let part = outcome.part;
            // It may have been cancelled in the meantime.
            let Some(index) = self.running.iter().position(|s| s.id == part.id) else {
                continue;
            };
            if !outcome.finite {
                self.fail(
                    index,
                    EngineError::NotFinite {
                        position: part.computed,
                    },
                );
                continue;
            }
            let Some(model) = self.resident.as_ref().map(|r| r.model.clone()) else {
                continue;
            };
            let sequence = &mut self.running[index];
            if part.prefill {
                sequence.tell_prefill(part.computed);
            }
            if let Some(read) = outcome.token {
                // Unless the next step has taken it over, it is lazy no more.
                if sequence.computed == part.computed {
                    sequence.lazy = None;
                }
                sequence.alone = false;
                if let Some((reason, stop)) = sequence.accept(read, &model, now) {
                    self.end(index, reason, stop);
                }
            }
        }
    }

    fn count(&mut self, outcomes: &[Outcome], took: Duration) {
        let prefilled = outcomes.iter().filter(|outcome| outcome.part.prefill);
        let prefilled: usize = prefilled.map(|outcome| outcome.part.rows).sum();
        self.totals.prefilled_tokens += prefilled as u64;
        self.totals.generated_tokens +=
            outcomes.iter().filter(|o| o.token.is_some()).count() as u64;
        match prefilled {
            0 => self.totals.decode_micros += took.as_micros() as u64,
            _ => self.totals.prefill_micros += took.as_micros() as u64,
        }
    }

    /// Ends a running request; what it computed is kept for later prompts.
    fn end(&mut self, index: usize, reason: FinishReason, stop: Option<String>) {
        let mut sequence = self.running.remove(index);
        let computed = sequence.computed.min(sequence.tokens.len());
        self.kv
            .release(sequence.slot(), Some(&sequence.tokens[..computed]));
        sequence.finish(reason, stop);
        match reason {
            FinishReason::Cancelled => self.totals.cancelled += 1,
            _ => self.totals.finished += 1,
        }
        self.leaving.push(sequence.outbox);
    }

    fn fail(&mut self, index: usize, error: EngineError) {
        let mut sequence = self.running.remove(index);
        self.kv.release(sequence.slot(), None);
        sequence.fail(error);
        self.totals.failed += 1;
        self.leaving.push(sequence.outbox);
    }

    /// After a step of the requests `ids` has failed: alone, the request is at
    /// fault; otherwise each begins again from its tokens, in steps of its own.
    fn recover(&mut self, mut ids: Vec<RequestId>, error: &StepError) {
        ids.sort_unstable();
        ids.dedup();
        // What was kept may stand on the failed step.
        self.kv.clear();
        self.flight = None;
        let single = ids.len() == 1;
        for id in ids {
            let Some(index) = self.running.iter().position(|s| s.id == id) else {
                continue;
            };
            if single || self.running[index].alone {
                self.fail(index, EngineError::Compute(error.0.clone()));
                continue;
            }
            tracing::warn!(request = %id, %error, "a step failed: the request is computed again by itself");
            let mut sequence = self.running.remove(index);
            self.kv.release(sequence.slot(), None);
            sequence.reset();
            sequence.alone = true;
            self.preempted.push_back(sequence);
        }
    }

    fn fail_all(&mut self, fault: &StepError) {
        self.flight = None;
        while !self.running.is_empty() {
            self.fail(0, EngineError::Compute(fault.0.clone()));
        }
        self.kv.clear();
    }
}

/// What became of something that waited.
enum Admission {
    Done,
    Later,
}

/// Prompt tokens a step computes: enough to keep the device busy, few enough
/// to stay responsive.
fn default_chunk() -> usize {
    match mlx::backend() {
        mlx::Backend::Cpu => 512,
        mlx::Backend::Metal | mlx::Backend::Cuda => 2048,
    }
}
