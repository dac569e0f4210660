//! Which sequences have rows in the next step, and how many.
//!
//! One budget of rows a step. Every sequence that decodes has its row first;
//! what is left goes to prompts, in order of priority and arrival, a chunk at
//! most. So a long prompt holds the others up by one chunk and no more.
//!
//! Deterministic steps hold one sequence each, a prompt in chunks of a fixed
//! size and then single rows: what is computed of a sequence, and in which
//! shapes, does not depend on the others, nor on how often it begins anew.

use super::{
    turns::{Priority, Rank, Turns},
    types::RequestId,
};

/// How many rows a step may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    /// Rows of all sequences together.
    pub step: usize,
    /// Rows of prompts among them.
    pub prefill: usize,
    pub deterministic: bool,
}

impl Budget {
    /// `step` is raised so far that `sequences` that decode leave a row to
    /// prompts.
    pub fn new(step: usize, prefill: usize, sequences: usize, deterministic: bool) -> Self {
        Self {
            step: step.max(sequences.saturating_add(1)),
            prefill: prefill.max(1),
            deterministic,
        }
    }
}

/// What the plan looks at of a sequence that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Index among the running sequences.
    pub index: usize,
    /// Later requests have higher ids.
    pub id: RequestId,
    pub priority: Priority,
    /// Rows until its next token is sampled, at least 1.
    pub remaining: usize,
    /// Those of them that belong to the prompt.
    pub prompt: usize,
    /// Those of them that were computed before and taken back.
    pub again: usize,
    /// Must be in steps of its own.
    pub alone: bool,
    /// The step it was last part of.
    pub stepped: u64,
    /// Rows that it would like to have besides, of proposed tokens.
    pub proposals: usize,
}

impl Candidate {
    /// Whether it has no more to compute than its next token's row, and what was
    /// taken back before it.
    fn decodes(&self) -> bool {
        self.remaining <= 1 + self.again
    }
}

/// Rows of one sequence in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// Index among the running sequences.
    pub index: usize,
    pub rows: usize,
    /// Whether they reach the sequence's last token: the next is sampled.
    pub samples: bool,
    /// How many of the rows, the last ones, are proposed tokens. Another token
    /// is sampled in each.
    pub proposals: usize,
}

/// Plans one step after the other.
#[derive(Debug)]
pub(super) struct Scheduler {
    budget: Budget,
    /// Whose prompt goes first.
    turns: Turns,
    /// The number of the step planned last, and of the last one that
    /// deterministic planning gave to a prompt.
    step: u64,
    read_at: u64,
}

impl Scheduler {
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            turns: Turns::default(),
            step: 0,
            read_at: 0,
        }
    }

    /// The number of the step planned last, from 1.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Rows for the next step; none only if nobody is ready.
    pub fn plan(&mut self, ready: &[Candidate]) -> Vec<Share> {
        if ready.is_empty() {
            return Vec::new();
        }
        self.step += 1;
        if self.budget.deterministic {
            return self.plan_single(ready);
        }
        if let Some(alone) = ready.iter().find(|candidate| candidate.alone) {
            return vec![share(alone, self.budget.prefill.min(self.budget.step))];
        }
        self.plan_mixed(ready)
    }

    fn plan_mixed(&mut self, ready: &[Candidate]) -> Vec<Share> {
        let (mut decoding, mut reading): (Vec<&Candidate>, Vec<&Candidate>) =
            ready.iter().partition(|candidate| candidate.decodes());
        let mut room = self.budget.step;
        let wanted: usize = decoding.iter().map(|it| it.remaining).sum();
        if wanted > room {
            decoding.sort_by_key(|candidate| candidate.stepped);
        }
        let mut shares = Vec::with_capacity(decoding.len() + reading.len());
        for candidate in &decoding {
            if room == 0 {
                break;
            }
            let share = share(candidate, room);
            room -= share.rows;
            shares.push(share);
        }
        if reading.is_empty() {
            add_proposals(&decoding, &mut shares, room);
        }
        // Single rows are computed together.
        shares.sort_by_key(|share| share.rows > 1);
        reading.sort_by_key(|candidate| self.place(candidate));
        let mut left = self.budget.prefill.min(room);
        let mut served = Vec::new();
        for candidate in &reading {
            if left == 0 {
                break;
            }
            let share = share(candidate, left);
            left -= share.rows;
            shares.push(share);
            served.push(candidate.priority);
        }
        let wanted = reading.iter().map(|candidate| candidate.priority);
        self.turns.note(wanted, served);
        shares
    }

    /// One sequence: those that decode take turns, and when each has had a row
    /// it is a prompt's turn.
    fn plan_single(&mut self, ready: &[Candidate]) -> Vec<Share> {
        let (reading, decoding): (Vec<&Candidate>, Vec<&Candidate>) =
            ready.iter().partition(|candidate| candidate.prompt > 0);
        let row = decoding.iter().min_by_key(|it| (it.stepped, it.id));
        let prompt = reading.iter().min_by_key(|it| self.place(it));
        match (row, prompt) {
            (Some(row), None) => vec![share(row, 1)],
            (Some(row), Some(_)) if row.stepped <= self.read_at => vec![share(row, 1)],
            (_, Some(prompt)) => {
                let wanted = reading.iter().map(|candidate| candidate.priority);
                self.turns.note(wanted, [prompt.priority]);
                self.read_at = self.step;
                vec![share(prompt, prompt.prompt.min(self.budget.prefill))]
            }
            (None, None) => Vec::new(),
        }
    }

    fn place(&self, candidate: &Candidate) -> (Rank, RequestId) {
        (self.turns.rank(candidate.priority), candidate.id)
    }
}

/// Rows of proposals as far as the step has `room`, behind everybody's own rows.
/// Prompts go first: a step with a prompt in it has none.
fn add_proposals(decoding: &[&Candidate], shares: &mut [Share], mut room: usize) {
    for (candidate, share) in decoding.iter().zip(shares.iter_mut()) {
        if share.samples {
            share.proposals = candidate.proposals.min(room);
            share.rows += share.proposals;
            room -= share.proposals;
        }
    }
}

fn share(candidate: &Candidate, most: usize) -> Share {
    let rows = candidate.remaining.min(most);
    Share {
        index: candidate.index,
        rows,
        samples: rows == candidate.remaining,
        proposals: 0,
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
