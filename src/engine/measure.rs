//! Distributions that the engine counts: plain data for `/metrics` and the
//! cache pane.

use std::time::Duration;

/// How often a value fell into which bucket, since the start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// Upper bounds of the buckets, inclusive, ascending.
    bounds: &'static [f64],
    /// One more than bounds: the last is for what lies above all.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        }
    }

    pub fn record(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
            self.sum += value;
        }
    }

    /// Each bound with how many values are at most as large.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut below = 0;
        self.bounds
            .iter()
            .zip(&self.counts)
            .map(move |(bound, count)| {
                below += count;
                (*bound, below)
            })
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn sum(&self) -> f64 {
        self.sum
    }
}

const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
const WAIT: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
];
const BETWEEN: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];
const WHOLE: &[f64] = &[
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];

/// What requests and steps were like. Times are in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    /// Sequences of the latest step, and of each step.
    pub last_batch: usize,
    pub batch: Histogram,
    /// From submission to the first prefill step.
    pub queued: Histogram,
    /// From submission to the first token, of the latest request and of each.
    pub last_first_token: Option<Duration>,
    pub first_token: Histogram,
    /// From one token of a request to its next.
    pub inter_token: Histogram,
    /// From submission to the end of answers that were not cancelled.
    pub request: Histogram,
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            last_batch: 0,
            batch: Histogram::new(BATCH),
            queued: Histogram::new(WAIT),
            last_first_token: None,
            first_token: Histogram::new(WAIT),
            inter_token: Histogram::new(BETWEEN),
            request: Histogram::new(WHOLE),
        }
    }
}

impl Measures {
    pub(super) fn step(&mut self, sequences: usize) {
        self.last_batch = sequences;
        self.batch.record(sequences as f64);
    }

    pub(super) fn token(&mut self, gap: Gap) {
        match gap {
            Gap::First(wait) => {
                self.last_first_token = Some(wait);
                self.first_token.record(wait.as_secs_f64());
            }
            Gap::Next(gap) => self.inter_token.record(gap.as_secs_f64()),
        }
    }
}

/// How long a token let wait: from the submission, or from the one before.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gap {
    First(Duration),
    Next(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_their_bucket() {
        let mut histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.0, 9.0] {
            histogram.record(value);
        }
        let buckets: Vec<_> = histogram.cumulative().collect();
        assert_eq!(buckets, [(1.0, 2), (2.0, 4)]);
        assert_eq!((histogram.count(), histogram.sum()), (5, 14.0));
    }
}
