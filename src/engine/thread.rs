//! The engine thread: commands in, turns of work, statistics out.
//!
//! Invariants: every MLX array lives here; without work the thread sleeps; a
//! failing request never takes another one with it.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::AtomicUsize,
        mpsc::{Receiver, TryRecvError},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    handle::{Command, LoadedModel},
    measure::Measures,
    model::{Loader, Resident},
    outbox::Outbox,
    queue::{Change, Queue, Waiting},
    scheduler::{Budget, Scheduler},
    sequence::Sequence,
    speculation::{draft::Drafter, gain::Gain},
    step::{Flight, Outcome, StepError, guarded, launch},
    types::*,
    warm_up::Together,
};
use crate::{
    cache::{CacheOptions, KvCache, Ram, disk::Disk},
    mlx,
};

mod admission;
mod drafting;
mod endings;
mod idle;
mod residence;
mod speculate;
mod statistics;

use speculate::verified;

pub(super) struct Engine<L> {
    options: EngineOptions,
    loader: L,
    stats: watch::Sender<EngineStats>,
    model: watch::Sender<Option<Arc<LoadedModel>>>,
    /// Shared with the handles, which refuse when it is too much.
    waiting_count: Arc<AtomicUsize>,
    resident: Option<Resident>,
    kv: KvCache,
    /// The options' one, where the model allows it.
    kv_mode: KvMode,
    /// Proposes tokens for the model in use.
    drafter: Option<Drafter>,
    gain: Gain,
    chunk: usize,
    memory_limit: u64,
    queue: Queue,
    scheduler: Scheduler,
    running: Vec<Sequence>,
    flight: Option<Flight>,
    /// Last events of requests that have ended.
    leaving: Vec<Outbox>,
    totals: Totals,
    measures: Measures,
    /// Of the caches of earlier models.
    evicted_before: u64,
    prefix_before: PrefixCounters,
    ram: Option<Ram>,
    disk: Option<Disk>,
    /// When the step in flight began to have the device to itself, and whether
    /// the thread has slept since.
    busy_since: Instant,
    idle: bool,
    /// When there was work last.
    worked: Instant,
    /// Steps that a device has yet to be warmed up with.
    to_warm: VecDeque<Together>,
    /// Steps whose time is not that of their rows alone.
    uneven: u8,
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
            kv: KvCache::new(CacheOptions::default()),
            kv_mode: KvMode::Plain,
            drafter: None,
            gain: Gain::default(),
            chunk: 1,
            memory_limit: 0,
            queue: Queue::default(),
            scheduler: Scheduler::new(Budget::new(1, 1, 1, false)),
            running: Vec::new(),
            flight: None,
            leaving: Vec::new(),
            totals: Totals::default(),
            measures: Measures::default(),
            evicted_before: 0,
            prefix_before: PrefixCounters::default(),
            ram: None,
            disk: None,
            busy_since: Instant::now(),
            idle: true,
            worked: Instant::now(),
            to_warm: VecDeque::new(),
            uneven: 0,
            published: Instant::now(),
            steps: 0,
            again: false,
        }
    }

    /// Runs until the last handle and the last stream are gone.
    pub fn run(mut self, commands: Receiver<Command>) {
        mlx::device::init();
        self.chunk = self.options.prefill_chunk.unwrap_or_else(default_chunk);
        self.scheduler = Scheduler::new(self.budget());
        self.measure_memory();
        self.ram = Ram::new(
            self.options
                .ram_cache_bytes
                .unwrap_or_else(residence::default_ram),
        );
        self.disk = self.options.disk_cache.clone().map(Disk::start);
        loop {
            loop {
                match commands.try_recv() {
                    Ok(command) => self.obey(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            match guarded(|| Ok(self.turn())) {
                Ok(true) => {
                    self.worked = Instant::now();
                    self.publish_now_and_then();
                }
                Ok(false) => {
                    self.idle = true;
                    match self.wait(&commands) {
                        Ok(Some(command)) => self.obey(command),
                        Ok(None) => {}
                        Err(_) => return,
                    }
                }
                Err(fault) => self.fail_all(&fault),
            }
        }
    }

    fn budget(&self) -> Budget {
        let sequences = self.options.max_sequences.max(1);
        let step = self.options.step_tokens;
        let step = step.unwrap_or(self.chunk.saturating_add(sequences));
        Budget::new(step, self.chunk, sequences, self.options.deterministic)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Submit(submission) => self.submit(submission),
            Command::Cancel(id) => self.cancel(id),
            // The turn that follows hands over what waits.
            Command::Wake => {}
            Command::Load {
                source,
                draft,
                reply,
            } => {
                self.stats
                    .send_modify(|stats| stats.loading = Some((source.id().to_owned(), 0.0)));
                let change = Change::Load {
                    source,
                    draft,
                    reply,
                };
                self.queue.push(Waiting::Change(change));
            }
            Command::Unload { reply } => {
                let change = Change::Unload { reply };
                self.queue.push(Waiting::Change(change));
            }
            Command::CompareKv {
                tokens,
                generate,
                reply,
            } => {
                let _ = reply.send(self.compare_kv(&tokens, generate));
            }
            Command::Flush { reply } => {
                self.save_all();
                self.publish();
                // Whoever asked may be gone.
                let _ = reply.send(());
            }
        }
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
                Ok(outcomes) => self.apply(outcomes, before.ahead),
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

    /// Plans and launches the next step. On success the sequences know what is
    /// on its way.
    fn launch(&mut self) -> Result<Option<Flight>, (Vec<RequestId>, StepError)> {
        let ready = self.candidates();
        let mut shares = self.scheduler.plan(&ready);
        self.end_at_pages(&mut shares);
        self.make_room(&mut shares);
        if shares.is_empty() {
            return Ok(None);
        }
        if self.flight.is_none() && std::mem::take(&mut self.idle) {
            self.busy_since = Instant::now();
        }
        let proposals = self.proposals(&mut shares);
        let Some(resident) = &self.resident else {
            return Ok(None);
        };
        let flight = launch(
            &*resident.decoder,
            &mut self.kv,
            &self.running,
            &shares,
            proposals,
            self.flight.as_ref(),
        )
        .map_err(|error| {
            let ids = shares.iter().map(|share| self.running[share.index].id);
            (ids.collect(), error)
        })?;
        for (share, part) in shares.iter().zip(&flight.parts) {
            let sequence = &mut self.running[share.index];
            sequence.computed = part.computed;
            // What follows proposals is known when they are read.
            sequence.lazy = part.sampled.filter(|_| part.proposals == 0);
            sequence.stepped = self.scheduler.step();
        }
        self.take_snapshots(&shares);
        self.steps += 1;
        self.measures.step(shares.len());
        // Buffers of sizes that no longer occur would pile up.
        if self.steps.is_multiple_of(256) {
            let _ = mlx_rs::memory::clear_cache();
        }
        Ok(Some(flight))
    }

    /// Takes in what a step has computed.
    fn apply(&mut self, outcomes: Vec<Outcome>, ahead: bool) {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.busy_since);
        self.count(&outcomes, took);
        self.measure_step(&outcomes, ahead, took);
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
                if part.computed == sequence.prompt_tokens() && !self.options.deterministic {
                    self.kv.seal(sequence.slot(), &sequence.request.prompt);
                }
            }
            if !outcome.tokens.is_empty() {
                self.take_tokens(index, outcome, &model, now);
            }
        }
        self.decide_proposals();
    }

    /// Takes in the tokens that a step has brought a sequence.
    fn take_tokens(&mut self, index: usize, outcome: Outcome, model: &LoadedModel, now: Instant) {
        let part = outcome.part;
        let sequence = &mut self.running[index];
        if part.proposals == 0 && sequence.computed == part.computed {
            // Unless the next step has taken it over, it is lazy no more.
            sequence.lazy = None;
        }
        sequence.alone = false;
        // All but the last were proposed.
        let accepted = outcome.tokens.len() - 1;
        let (mut taken, mut end) = (0, None);
        for read in outcome.tokens {
            self.measures.token(sequence.gap(now));
            taken += 1;
            end = sequence.accept(read, model, now);
            if end.is_some() {
                break;
            }
        }
        let accepted = accepted.min(taken);
        if let Err(error) = self.settle(index, &part, accepted) {
            return self.fail(index, EngineError::Compute(error.0));
        }
        self.running[index].learn(taken, verified(&part, accepted));
        if let Some((reason, stop)) = end {
            self.end(index, reason, stop);
        }
    }

    fn count(&mut self, outcomes: &[Outcome], took: Duration) {
        let prefilled = outcomes.iter().filter(|outcome| outcome.part.prefill);
        let prefilled: usize = prefilled.map(|outcome| outcome.part.rows).sum();
        self.totals.prefilled_tokens += prefilled as u64;
        let generated: usize = outcomes.iter().map(|outcome| outcome.tokens.len()).sum();
        self.totals.generated_tokens += generated as u64;
        match prefilled {
            0 => self.totals.decode_micros += took.as_micros() as u64,
            _ => self.totals.prefill_micros += took.as_micros() as u64,
        }
    }
}

/// Prompt tokens a step computes: enough to keep the device busy, few enough
/// to stay responsive.
fn default_chunk() -> usize {
    match mlx::backend() {
        mlx::Backend::Cpu => 512,
        mlx::Backend::Metal | mlx::Backend::Cuda => 2048,
    }
}
