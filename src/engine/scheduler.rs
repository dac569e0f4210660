//! Which sequences have rows in the next step, and how many.
//!
//! Every sequence that is ready has its one decode row; what a step may compute
//! of prompts is given out first come, first served. So a long prompt holds
//! the others up by one chunk at most.

use super::sequence::Sequence;

/// Rows of one sequence in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// Index among the running sequences.
    pub index: usize,
    pub rows: usize,
    /// Whether the last row is the sequence's last token: the next is sampled.
    pub samples: bool,
}

/// Plans a step with at most `chunk` rows of prompts.
pub(super) fn plan(running: &[Sequence], chunk: usize) -> Vec<Share> {
    let ready = || running.iter().enumerate().filter(|(_, s)| s.is_ready());
    if let Some((index, sequence)) = ready().find(|(_, sequence)| sequence.alone) {
        return vec![share(index, sequence, chunk.max(1))];
    }
    let mut shares: Vec<Share> = ready()
        .filter(|(_, sequence)| sequence.remaining() == 1)
        .map(|(index, sequence)| share(index, sequence, 1))
        .collect();
    let mut left = chunk.max(1);
    for (index, sequence) in ready().filter(|(_, sequence)| sequence.remaining() > 1) {
        if left == 0 {
            break;
        }
        let share = share(index, sequence, left);
        left -= share.rows;
        shares.push(share);
    }
    shares
}

fn share(index: usize, sequence: &Sequence, most: usize) -> Share {
    let rows = sequence.remaining().min(most);
    Share {
        index,
        rows,
        samples: rows == sequence.remaining(),
    }
}
