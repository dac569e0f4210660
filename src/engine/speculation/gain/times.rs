//! What is known of the time of steps with so many sequences, and when what did
//! not pay is tried again.

use super::Source;

/// Weight of a new time, and how far above the average one may count.
const NEWEST: f64 = 0.2;
const OUTLIER: f64 = 4.0;
/// The first steps of a shape are slow on devices that compile kernels for it.
const UNTRUSTED: u32 = 1;
/// Steps before what does not pay is tried again: at first, and at most.
pub const PAUSE: u64 = 64;
const LONGEST_PAUSE: u64 = 4096;
/// The part of the time that trials may cost.
const TRIALS: f64 = 0.01;
/// Steps after which the time without proposals is taken anew, so many times.
const STALE: u64 = 256;
const RECHECKS: u8 = 3;
const RECHECKED: f64 = 0.5;

/// An average time in seconds, and the number of proposals it is of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cell {
    pub seconds: f64,
    pub rows: f64,
    count: u32,
}

impl Cell {
    fn record(&mut self, rows: usize, seconds: f64, newest: f64) {
        self.count = self.count.saturating_add(1);
        if self.count <= UNTRUSTED + 1 {
            (self.seconds, self.rows) = (seconds, rows as f64);
            return;
        }
        let seconds = seconds.min(self.seconds * OUTLIER);
        self.seconds += (seconds - self.seconds) * newest;
        self.rows += (rows as f64 - self.rows) * newest;
    }

    pub fn is_trusted(&self) -> bool {
        self.count > UNTRUSTED
    }

    fn trusted(&self) -> Option<f64> {
        self.is_trusted().then_some(self.seconds)
    }
}

/// Steps with so many sequences: without proposals, and with so many.
#[derive(Debug, Clone, Default)]
pub struct Times {
    plain: Cell,
    /// Without proposals, and launched after the step before was read.
    waited: Cell,
    /// When `plain` was last measured, and how often it is to be again.
    plain_at: u64,
    rechecks: u8,
    pub proposals: [Vec<Cell>; 2],
    /// What did not pay, by source.
    pub trials: [Trial; 2],
}

impl Times {
    /// A step without proposals.
    pub fn record_plain(&mut self, steps: u64, seconds: f64) {
        let newest = match self.rechecks {
            0 => NEWEST,
            _ => RECHECKED,
        };
        self.plain.record(0, seconds, newest);
        self.plain_at = steps;
        self.rechecks = self.rechecks.saturating_sub(1);
    }

    pub fn record_waited(&mut self, seconds: f64) {
        self.waited.record(0, seconds, NEWEST);
    }

    /// The step number `steps`, with `rows` more rows, whose place is `at`.
    pub fn record_proposals(
        &mut self,
        steps: u64,
        source: Source,
        (rows, at): (usize, usize),
        seconds: f64,
    ) {
        let cells = &mut self.proposals[source as usize];
        if cells.len() <= at {
            cells.resize(at + 1, Cell::default());
        }
        cells[at].record(rows, seconds, NEWEST);
        let trusted = cells[at].is_trusted();
        if let Some(plain) = self.plain().filter(|_| trusted) {
            // What a trial cost if nothing of it was right, and the step after.
            let lost = (seconds + self.wait().unwrap_or(0.0)) / plain - 1.0;
            self.trials[source as usize].took(steps, lost);
        }
    }

    /// Whether the time without proposals is known and need not be taken anew:
    /// texts grow and machines slow down, with and without proposals.
    pub fn is_fresh(&mut self, steps: u64) -> bool {
        if steps > self.plain_at + STALE {
            (self.rechecks, self.plain_at) = (RECHECKS, steps);
        }
        self.rechecks == 0 && self.plain.is_trusted()
    }

    /// Seconds of a step without proposals.
    pub fn plain(&self) -> Option<f64> {
        self.plain.trusted()
    }

    /// Seconds that a step without proposals takes more if it could not be
    /// launched before the step before was read.
    pub fn wait(&self) -> Option<f64> {
        let wait = self.waited.trusted()? - self.plain.trusted()?;
        Some(wait.max(0.0))
    }
}

/// When to try again what does not pay.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trial {
    /// The latest, if none has paid since; all who propose at that step take
    /// part.
    at: Option<u64>,
    next: u64,
    pause: u64,
    /// Steps that were tried before any time was known.
    pub blind: u8,
}

impl Trial {
    pub fn is_due(&self, steps: u64) -> bool {
        steps >= self.next || self.at == Some(steps)
    }

    /// Proposals were made at a step, of which it was known that they pay, or
    /// which are to show it.
    pub fn made(&mut self, steps: u64, pays: bool) {
        if pays {
            (self.at, self.pause, self.next) = (None, PAUSE, steps + PAUSE);
        } else if self.at != Some(steps) {
            self.blind = self.blind.saturating_add(1);
            self.pause = (self.pause * 2).clamp(PAUSE, LONGEST_PAUSE);
            (self.at, self.next) = (Some(steps), steps + self.pause);
        }
    }

    /// The step number `steps` has lost the time of so many plain ones: if it was
    /// a trial, the next is put off until that is little.
    fn took(&mut self, steps: u64, lost: f64) {
        if self.at.is_some() {
            let pause = (lost / TRIALS).min(LONGEST_PAUSE as f64) as u64;
            self.next = self.next.max(steps + pause);
        }
    }
}
