//! Samples of the engine's numbers, one a second.

use std::collections::VecDeque;

use chrono::{DateTime, Local};

use crate::tui::types::{EngineStats, Totals};

/// Thirty minutes.
const CAPACITY: usize = 1800;
/// Samples taken after the last change, so that rates come back to zero.
const REST: u8 = 3;
/// A longer pause between samples is drawn as rest at both its ends.
const PAUSE: i64 = 3000;

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// Milliseconds since the epoch.
    pub time: i64,
    /// Tokens a second of the time spent on them.
    pub prefill: f64,
    pub decode: f64,
    pub running: usize,
    pub waiting: usize,
    /// Bytes.
    pub active: u64,
    pub kv: u64,
    /// Prompt tokens a second of the clock.
    pub cached: f64,
    pub computed: f64,
}

#[derive(Debug, Default)]
pub struct History {
    samples: VecDeque<Sample>,
    /// The numbers of the latest sample.
    seen: EngineStats,
    /// How many samples without a change have been taken.
    rested: u8,
}

impl History {
    /// Whether the next second brings something to show.
    pub fn moving(&self, stats: &EngineStats) -> bool {
        *stats != self.seen || (self.rested < REST && !self.samples.is_empty())
    }

    pub fn last(&self) -> Sample {
        self.samples.back().copied().unwrap_or_default()
    }

    pub fn sample(&mut self, now: DateTime<Local>, stats: &EngineStats) {
        if !self.moving(stats) {
            return;
        }
        self.rested = match *stats == self.seen {
            true => self.rested + 1,
            false => 0,
        };
        let time = now.timestamp_millis();
        let last = self.last();
        let elapsed = time - last.time;
        if last.time > 0 && elapsed > PAUSE {
            // Nothing happened in between: a flat line, not a slope.
            for time in [last.time + 1000, time - 1000] {
                self.push(Sample {
                    time,
                    active: last.active,
                    kv: last.kv,
                    ..Sample::default()
                });
            }
        }
        let seconds = (elapsed.clamp(100, PAUSE) as f64) / 1000.0;
        let sample = Sample {
            time,
            running: stats.running.len(),
            waiting: stats.waiting,
            active: stats.bytes.active,
            kv: stats.bytes.kv,
            ..rates(&self.seen.totals, &stats.totals, seconds)
        };
        self.push(sample);
        self.seen = stats.clone();
    }

    fn push(&mut self, sample: Sample) {
        if self.samples.len() == CAPACITY {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// What `value` was over the last seconds: (seconds before the newest
    /// sample, as a negative number; value).
    pub fn points(&self, seconds: f64, value: fn(&Sample) -> f64) -> Vec<(f64, f64)> {
        let newest = self.last().time;
        let place = |sample: &Sample| ((sample.time - newest) as f64 / 1000.0, value(sample));
        let points = self.samples.iter().map(place);
        points.filter(|(x, _)| *x >= -seconds).collect()
    }
}

fn rates(before: &Totals, now: &Totals, seconds: f64) -> Sample {
    let speed = |tokens: u64, micros: u64| match micros {
        0 => 0.0,
        _ => tokens as f64 / (micros as f64 / 1e6),
    };
    let more = |value: fn(&Totals) -> u64| value(now).saturating_sub(value(before));
    let prefilled = more(|t| t.prefilled_tokens);
    Sample {
        prefill: speed(prefilled, more(|t| t.prefill_micros)),
        decode: speed(more(|t| t.generated_tokens), more(|t| t.decode_micros)),
        cached: more(|t| t.cached_tokens) as f64 / seconds,
        computed: prefilled as f64 / seconds,
        ..Sample::default()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn at(second: i64) -> DateTime<Local> {
        Local.timestamp_opt(1_800_000_000 + second, 0).unwrap()
    }

    fn stats(generated: u64) -> EngineStats {
        let mut stats = EngineStats::default();
        stats.totals.generated_tokens = generated;
        stats.totals.decode_micros = generated * 10_000;
        stats
    }

    #[test]
    fn rates_are_differences() {
        let mut history = History::default();
        history.sample(at(0), &stats(50));
        history.sample(at(1), &stats(150));
        assert!((history.last().decode - 100.0).abs() < 1e-9);
        assert_eq!(history.points(60.0, |s| s.decode).len(), 2);
    }

    #[test]
    fn it_comes_to_rest() {
        let mut history = History::default();
        assert!(
            !history.moving(&EngineStats::default()),
            "nothing has happened"
        );
        let now = stats(50);
        assert!(history.moving(&now));
        for second in 0..10 {
            history.sample(at(second), &now);
        }
        assert!(!history.moving(&now));
        assert_eq!(history.samples.len(), 1 + usize::from(REST));
        assert_eq!(history.last().decode, 0.0);
    }

    #[test]
    fn a_pause_is_flat() {
        let mut history = History::default();
        history.sample(at(0), &stats(50));
        history.sample(at(100), &stats(150));
        let points = history.points(200.0, |s| s.decode);
        assert_eq!(points.len(), 4);
        assert_eq!((points[1].1, points[2].1), (0.0, 0.0));
    }

    #[test]
    fn old_samples_go() {
        let mut history = History::default();
        for second in 0..CAPACITY as i64 + 10 {
            history.sample(at(second), &stats(second as u64 + 1));
        }
        assert_eq!(history.samples.len(), CAPACITY);
        assert_eq!(history.points(120.0, |s| s.decode).len(), 121);
    }
}
