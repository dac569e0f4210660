//! When proposing tokens pays: from the time that steps take with and without
//! proposals, and from how often proposals are right.
//!
//! Nothing here reads a clock: times come in with each step. What is not known
//! yet is tried a little at a time, and what did not pay is tried again after
//! ever longer pauses.

/// What a sequence's proposals are expected to save, at the least, so that
/// measuring errors do not decide.
const MARGIN: f64 = 1.05;
/// Weight of a new time, and how far above the average one may count.
const NEWEST: f64 = 0.2;
const OUTLIER: f64 = 4.0;
/// The first steps of a shape are slow on devices that compile kernels for it.
const UNTRUSTED: u32 = 1;
/// Steps before what does not pay is tried again: at first, and at most.
const PAUSE: u64 = 64;
const LONGEST_PAUSE: u64 = 4096;
/// Steps that may be tried before any of the kind was measured.
const BLIND: u8 = 8;
/// What a step is worth to a sequence alone that is not computed ahead.
const VAIN: f64 = 0.9;
/// Steps after which the time without proposals is taken anew, so many times.
const STALE: u64 = 256;
const RECHECKS: u8 = 3;
const RECHECKED: f64 = 0.5;
/// Verifications after which an old one counts for a third.
const MEMORY: f64 = 8.0;
/// Verifications that the first guess counts for.
const GUESS: f64 = 2.0;

/// Where proposals come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Source {
    /// What followed earlier in the sequence.
    Lookup,
    /// A smaller model.
    Draft,
}

/// How likely a proposal is right if those before it were.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Acceptance {
    right: f64,
    seen: f64,
}

impl Acceptance {
    pub fn new(guess: f64) -> Self {
        Self {
            right: guess * GUESS,
            seen: GUESS,
        }
    }

    /// The first `accepted` of `proposed` tokens were right.
    pub fn record(&mut self, proposed: usize, accepted: usize) {
        if proposed == 0 {
            return;
        }
        let keep = (-1.0 / MEMORY).exp();
        let wrong = usize::from(accepted < proposed);
        self.right = self.right * keep + accepted as f64;
        self.seen = self.seen * keep + (accepted + wrong) as f64;
    }

    pub fn probability(&self) -> f64 {
        self.right / self.seen
    }

    /// Tokens of `proposed` that will be accepted: p + p² + ….
    fn expected(&self, proposed: usize) -> f64 {
        let p = self.probability();
        (1..=proposed as i32).map(|nth| p.powi(nth)).sum()
    }

    /// Tokens of `proposed` that will be accepted where not all are.
    fn expected_of_some(&self, proposed: usize) -> f64 {
        let p = self.probability();
        let exactly = |count: i32| p.powi(count) * (1.0 - p);
        (1..proposed as i32)
            .map(|count| f64::from(count) * exactly(count))
            .sum()
    }
}

/// The batch that a sequence would propose in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Batch {
    /// Sequences that decode, and those of them that propose. The others have
    /// a row in every step; those that propose wait for theirs to be read and
    /// sit every other step out, unless all do.
    pub decoding: usize,
    pub proposing: usize,
}

/// An average time in seconds, and the number of proposals it is of.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    seconds: f64,
    rows: f64,
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

    fn is_trusted(&self) -> bool {
        self.count > UNTRUSTED
    }
}

/// Steps with so many sequences: without proposals, and with so many.
#[derive(Debug, Clone, Default)]
struct Times {
    plain: Cell,
    /// When that was last measured, and how often it is to be again.
    plain_at: u64,
    rechecks: u8,
    proposals: [Vec<Cell>; 2],
    /// What did not pay, by source.
    trials: [Trial; 2],
}

/// When to try again what does not pay.
#[derive(Debug, Clone, Copy, Default)]
struct Trial {
    /// The latest; all who propose at that step take part.
    at: Option<u64>,
    next: u64,
    pause: u64,
    /// Steps that were tried before any time was known.
    blind: u8,
}

impl Trial {
    fn is_due(&self, steps: u64) -> bool {
        steps >= self.next || self.at == Some(steps)
    }

    /// Proposals were made at a step, of which it was known that they pay, or
    /// which are to show it.
    fn made(&mut self, steps: u64, pays: bool) {
        if pays {
            (self.pause, self.next) = (PAUSE, steps + PAUSE);
        } else if self.at != Some(steps) {
            self.blind = self.blind.saturating_add(1);
            self.pause = (self.pause * 2).clamp(PAUSE, LONGEST_PAUSE);
            (self.at, self.next) = (Some(steps), steps + self.pause);
        }
    }
}

/// What a sequence should propose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Choice {
    pub count: usize,
    /// Whether that pays as far as is known; otherwise it is to show.
    pub pays: bool,
    /// Sequences that decode then.
    pub decoding: usize,
}

/// Measures steps and says how many tokens to propose.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Gain {
    by_sequences: Vec<Times>,
    steps: u64,
    /// Everything pays.
    always: bool,
    /// What was accepted is computed again unless all was.
    again: bool,
}

impl Gain {
    /// Knows nothing yet; with `always` everything pays, and with `again` what
    /// was accepted has to be computed again, unless all was.
    pub fn new(always: bool, again: bool) -> Self {
        Self {
            always,
            again,
            ..Self::default()
        }
    }

    /// A step of `sequences` single rows and `proposed` more took so long:
    /// proposals, and what earlier ones have left to compute again.
    pub fn record(&mut self, sequences: usize, proposed: usize, source: Source, seconds: f64) {
        self.steps += 1;
        let steps = self.steps;
        let times = self.times(sequences);
        if proposed == 0 {
            let newest = if times.rechecks > 0 {
                RECHECKED
            } else {
                NEWEST
            };
            times.plain.record(0, seconds, newest);
            times.plain_at = steps;
            times.rechecks = times.rechecks.saturating_sub(1);
            return;
        }
        let cells = &mut times.proposals[source as usize];
        let at = bucket(proposed);
        if cells.len() <= at {
            cells.resize(at + 1, Cell::default());
        }
        cells[at].record(proposed, seconds, NEWEST);
    }

    /// How many tokens a sequence of `batch` should propose, at most `most`.
    /// One that is `ahead` has a token in flight: it would have to wait for it,
    /// and may find then that there is nothing to propose after it.
    pub fn choose(
        &mut self,
        batch: Batch,
        source: Source,
        acceptance: &Acceptance,
        most: usize,
        ahead: bool,
    ) -> Option<Choice> {
        let choice = |count, pays| {
            (count > 0).then_some(Choice {
                count,
                pays,
                decoding: batch.decoding,
            })
        };
        if self.always {
            return choice(most, true);
        }
        let steps = self.steps;
        let times = self.times(batch.decoding);
        if steps > times.plain_at + STALE {
            // Texts grow and machines slow down, with and without proposals.
            (times.rechecks, times.plain_at) = (RECHECKS, steps);
        }
        if times.rechecks > 0 || !times.plain.is_trusted() {
            return None;
        }
        let trial = times.trials[source as usize];
        let mut cells = times.proposals[source as usize].iter();
        let measured = cells.any(Cell::is_trusted);
        let found = match (ahead, source) {
            (true, Source::Lookup) => acceptance.probability(),
            _ => 1.0,
        };
        // What a step that is waited for in vain is worth.
        let vain = if batch.proposing < batch.decoding {
            0.5
        } else {
            VAIN
        };
        let best = (1..=most)
            .filter_map(|count| Some((self.worth(batch, source, acceptance, count)?, count)))
            .map(|(worth, count)| (worth * found + vain * (1.0 - found), count))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        // Two proposals, if they cost nothing, would have to pay.
        let free = (1.0 + acceptance.expected(2.min(most))) * found + vain * (1.0 - found);
        match best {
            Some((worth, count)) if worth >= MARGIN && measured => choice(count, true),
            Some((worth, count)) if worth >= MARGIN && trial.blind < BLIND => choice(count, false),
            _ if free >= MARGIN + 0.25 && trial.is_due(steps) => choice(most.min(2), false),
            _ => None,
        }
    }

    /// Tokens were proposed as was chosen.
    pub fn made(&mut self, choice: Choice, source: Source) {
        let steps = self.steps;
        self.times(choice.decoding).trials[source as usize].made(steps, choice.pays);
    }

    /// Whether the time of a batch without proposals is known.
    pub fn knows(&self, batch: Batch) -> bool {
        self.plain(batch.decoding).is_some()
    }

    /// The batch's tokens a second with `count` proposals of each sequence that
    /// proposes, by those without. `None` when nothing is known, or so many
    /// were not tried yet.
    fn worth(
        &self,
        batch: Batch,
        source: Source,
        acceptance: &Acceptance,
        count: usize,
    ) -> Option<f64> {
        let plain = self.plain(batch.decoding)?;
        let proposing = batch.proposing.clamp(1, batch.decoding.max(1));
        let others = batch.decoding.saturating_sub(proposing);
        let mut rows = count as f64;
        if self.again {
            rows += acceptance.expected_of_some(count);
        }
        let step = self.with_proposals(batch.decoding, source, proposing as f64 * rows)?;
        let each = 1.0 + acceptance.expected(count);
        let mut tokens = proposing as f64 * each;
        let mut seconds = step;
        if others > 0 {
            // They go on in the step that the proposing ones sit out.
            tokens += 2.0 * others as f64;
            seconds += self.plain(others).unwrap_or(plain);
        }
        Some(tokens / seconds * plain / batch.decoding.max(1) as f64)
    }

    /// Seconds of a step without proposals.
    fn plain(&self, sequences: usize) -> Option<f64> {
        let times = self.by_sequences.get(bucket(sequences))?;
        let plain = &times.plain;
        plain.is_trusted().then_some(plain.seconds)
    }

    /// Seconds of a step with `rows` more rows: between those measured, or up
    /// to twice as many as were.
    fn with_proposals(&self, sequences: usize, source: Source, rows: f64) -> Option<f64> {
        let times = self.by_sequences.get(bucket(sequences))?;
        let (mut before, mut slope) = ((0.0, self.plain(sequences)?), 0.0);
        for cell in times.proposals[source as usize].iter() {
            if !cell.is_trusted() {
                continue;
            }
            // More rows never take less time.
            let seconds = cell.seconds.max(before.1);
            slope = (seconds - before.1) / (cell.rows - before.0).max(0.5);
            if cell.rows >= rows {
                return Some(before.1 + slope * (rows - before.0));
            }
            before = (cell.rows, seconds);
        }
        let known = before.0.max(sequences as f64);
        (rows <= known * 2.0).then_some(before.1 + slope * (rows - before.0))
    }

    fn times(&mut self, sequences: usize) -> &mut Times {
        let at = bucket(sequences);
        if self.by_sequences.len() <= at {
            self.by_sequences.resize(at + 1, Times::default());
        }
        &mut self.by_sequences[at]
    }
}

/// 0, 1, 2, 3, 4, 5 to 6, 7 to 8, 9 to 12, 13 to 16, and so on.
fn bucket(count: usize) -> usize {
    match count {
        0..=4 => count,
        _ => {
            let exponent = (count - 1).ilog2() as usize;
            let upper = (count - 1) >> (exponent - 1) & 1;
            2 * exponent + upper + 1
        }
    }
}

#[cfg(test)]
mod tests;
