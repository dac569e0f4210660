//! Whose turn it is: priorities first, arrival within a priority, and nobody
//! for ever.
//!
//! A priority that went away empty-handed [`PATIENCE`] times in a row goes
//! first once. The order within a priority is never touched.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::Serialize;

/// What a request may claim of its turn: a lower number goes earlier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Priority(pub i8);

impl Priority {
    /// Somebody sits in front of a screen and waits.
    pub const INTERACTIVE: Self = Self(-10);
    /// Priorities lie from `-LIMIT` to `LIMIT`.
    pub const LIMIT: i8 = 100;
}

/// How often a priority waits for others before it goes first.
pub(super) const PATIENCE: u32 = 8;

/// How often each priority had to wait in a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    waited: BTreeMap<Priority, u32>,
}

/// Lower ranks go first.
pub(super) type Rank = (Reverse<u32>, Priority);

impl Turns {
    pub fn rank(&self, priority: Priority) -> Rank {
        let waited = self.waited.get(&priority).copied().unwrap_or(0);
        let overdue = if waited < PATIENCE { 0 } else { waited };
        (Reverse(overdue), priority)
    }

    /// Of those that wanted a turn, some had one. Who did not want any has
    /// nothing to wait for.
    pub fn note(
        &mut self,
        wanted: impl IntoIterator<Item = Priority>,
        served: impl IntoIterator<Item = Priority>,
    ) {
        let before = std::mem::take(&mut self.waited);
        for priority in wanted {
            let waited = before.get(&priority).copied().unwrap_or(0);
            self.waited.insert(priority, waited.saturating_add(1));
        }
        for priority in served {
            self.waited.remove(&priority);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGH: Priority = Priority::INTERACTIVE;
    const LOW: Priority = Priority(0);

    #[test]
    fn the_patient_go_first_once() {
        let mut turns = Turns::default();
        for _ in 0..PATIENCE {
            assert!(turns.rank(HIGH) < turns.rank(LOW));
            turns.note([HIGH, LOW], [HIGH]);
        }
        assert!(turns.rank(LOW) < turns.rank(HIGH));
        turns.note([HIGH, LOW], [LOW]);
        assert!(turns.rank(HIGH) < turns.rank(LOW));
    }

    #[test]
    fn the_longest_wait_goes_before_the_shorter() {
        let mut turns = Turns::default();
        let lowest = Priority(5);
        turns.note([HIGH, lowest], [HIGH]);
        for _ in 0..PATIENCE {
            turns.note([HIGH, LOW, lowest], [HIGH]);
        }
        assert!(turns.rank(lowest) < turns.rank(LOW));
        assert!(turns.rank(LOW) < turns.rank(HIGH));
    }

    #[test]
    fn nobody_waits_for_what_he_does_not_want() {
        let mut turns = Turns::default();
        for _ in 0..PATIENCE {
            turns.note([HIGH, LOW], [HIGH]);
        }
        turns.note([HIGH], [HIGH]);
        assert!(turns.rank(HIGH) < turns.rank(LOW));
    }
}
