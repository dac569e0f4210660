//! The newest records, in memory, for any number of readers.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::Local;
use tokio::sync::watch;
use tracing::Level;

use super::LogRecord;

/// How many records are kept.
pub const CAPACITY: usize = 10_000;

/// A bounded log. Cheap to clone; all clones are the same ring.
#[derive(Debug, Clone)]
pub struct LogRing {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    records: Mutex<VecDeque<Arc<LogRecord>>>,
    capacity: usize,
    newest: watch::Sender<u64>,
}

impl Default for LogRing {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl LogRing {
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                records: Mutex::default(),
                capacity: capacity.max(1),
                newest: watch::Sender::new(0),
            }),
        }
    }

    /// Every record still kept, oldest first.
    pub fn snapshot(&self) -> Vec<Arc<LogRecord>> {
        self.since(0)
    }

    /// The records kept that came after `seq`, oldest first.
    pub fn since(&self, seq: u64) -> Vec<Arc<LogRecord>> {
        let records = self.lock();
        // Sequence numbers have no gaps, so the first one tells all places.
        let skip = match records.front() {
            Some(first) => (seq + 1).saturating_sub(first.seq) as usize,
            None => 0,
        };
        records.iter().skip(skip).cloned().collect()
    }

    /// Follows the newest sequence number (0 before the first record).
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.inner.newest.subscribe()
    }

    /// Appends a record made of these parts; its number and time are given
    /// here. The oldest one goes when the ring is full.
    pub(super) fn push(&self, level: Level, target: &str, message: String, rest: Rest) {
        let mut records = self.lock();
        let seq = *self.inner.newest.borrow() + 1;
        if records.len() == self.inner.capacity {
            records.pop_front();
        }
        records.push_back(Arc::new(LogRecord {
            seq,
            time: Local::now(),
            level,
            target: target.to_owned(),
            message,
            fields: rest.fields,
            request: rest.request,
        }));
        // Under the lock: numbers are published in their order.
        self.inner.newest.send_replace(seq);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<LogRecord>>> {
        // A push cannot leave the queue half changed.
        self.inner
            .records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parts of a record that most do not have.
#[derive(Debug, Default)]
pub(super) struct Rest {
    pub fields: Vec<(String, String)>,
    pub request: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(capacity: usize, count: usize) -> LogRing {
        let ring = LogRing::with_capacity(capacity);
        for n in 1..=count {
            ring.push(Level::INFO, "test", n.to_string(), Rest::default());
        }
        ring
    }

    fn seqs(records: &[Arc<LogRecord>]) -> Vec<u64> {
        records.iter().map(|record| record.seq).collect()
    }

    #[test]
    fn the_oldest_go_first() {
        let ring = filled(3, 5);
        assert_eq!(seqs(&ring.snapshot()), [3, 4, 5]);
        assert_eq!(ring.snapshot()[0].message, "3");
    }

    #[test]
    fn a_reader_gets_what_it_has_not_seen() {
        let ring = filled(3, 5);
        assert_eq!(seqs(&ring.since(4)), [5]);
        assert_eq!(seqs(&ring.since(1)), [3, 4, 5]);
        assert!(ring.since(5).is_empty());
        assert!(ring.since(u64::MAX - 1).is_empty());
        assert!(LogRing::default().since(7).is_empty());
    }

    #[test]
    fn the_watch_tells_of_new_records() {
        let ring = filled(3, 2);
        let mut newest = ring.newest();
        assert_eq!(*newest.borrow_and_update(), 2);
        ring.push(Level::INFO, "test", "more".into(), Rest::default());
        assert!(newest.has_changed().unwrap());
        assert_eq!(*newest.borrow(), 3);
    }

    #[test]
    fn many_writers_leave_no_gaps() {
        let ring = LogRing::with_capacity(1000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        ring.push(Level::INFO, "test", String::new(), Rest::default());
                    }
                });
            }
        });
        let expected: Vec<u64> = (1..=400).collect();
        assert_eq!(seqs(&ring.snapshot()), expected);
    }
}
