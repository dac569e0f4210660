//! When proposing tokens pays: from the time that steps take with and without
//! proposals, and from how often proposals are right.
//!
//! Nothing here reads a clock: times come in with each step. What is not known
//! yet is tried a little at a time, and what did not pay is tried again after
//! ever longer pauses (`times`).

mod times;

use times::{Cell, Times};

/// What a sequence's proposals are expected to save, at the least, so that
/// measuring errors do not decide.
const MARGIN: f64 = 1.05;
/// Steps that may be tried before any of the kind was measured.
const BLIND: u8 = 8;
/// How often nothing is found after a guess that was wrong.
const NOTHING: f64 = 0.5;
/// What a step is worth that is not computed ahead, before it is measured.
const VAIN: f64 = 0.9;
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

    /// How likely one of `proposed` tokens is wrong.
    fn of_not_all(&self, proposed: usize) -> f64 {
        1.0 - self.probability().powi(proposed as i32)
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
        match proposed {
            0 => times.record_plain(steps, seconds),
            _ => times.record_proposals(steps, source, (proposed, bucket(proposed)), seconds),
        }
    }

    /// A step of `sequences` single rows took so long that was launched after
    /// the step before was read.
    pub fn record_waited(&mut self, sequences: usize, seconds: f64) {
        self.times(sequences).record_waited(seconds);
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
        if !times.is_fresh(steps) {
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
        let vain = match (times.plain(), times.wait()) {
            _ if batch.proposing < batch.decoding => 0.5,
            (Some(plain), Some(wait)) => plain / (plain + wait),
            _ => VAIN,
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
        } else if source == Source::Lookup {
            // Where not all is right, often nothing is found after it, and the
            // next step has to be waited for as well.
            let wait = self.known(batch.decoding).and_then(Times::wait);
            seconds += acceptance.of_not_all(count) * NOTHING * wait.unwrap_or(0.0);
        }
        Some(tokens / seconds * plain / batch.decoding.max(1) as f64)
    }

    /// Seconds of a step without proposals.
    fn plain(&self, sequences: usize) -> Option<f64> {
        self.known(sequences)?.plain()
    }

    fn known(&self, sequences: usize) -> Option<&Times> {
        self.by_sequences.get(bucket(sequences))
    }

    /// Seconds of a step with `rows` more rows: between those measured, or up
    /// to twice as many as were.
    fn with_proposals(&self, sequences: usize, source: Source, rows: f64) -> Option<f64> {
        let times = self.known(sequences)?;
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
