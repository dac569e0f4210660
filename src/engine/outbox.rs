//! Events on their way to one reader.
//!
//! The channel is bounded and the engine never waits for it: what does not fit
//! waits here. A reader that falls far behind has its sequence paused until it
//! catches up; nothing is lost, and nobody else is held up.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::mpsc::{Sender, error::TrySendError};

use super::types::Event;

/// Events a channel holds.
pub(super) const CHANNEL: usize = 64;
/// Events that may wait besides before the sequence is paused.
const PATIENCE: usize = 64;

#[derive(Debug)]
pub(super) struct Outbox {
    channel: Sender<Event>,
    waiting: VecDeque<Event>,
    /// Tells the reader that events wait: it wakes the engine when it has
    /// taken one.
    starved: Arc<AtomicBool>,
    closed: bool,
}

impl Outbox {
    pub fn new(channel: Sender<Event>, starved: Arc<AtomicBool>) -> Self {
        Self {
            channel,
            waiting: VecDeque::new(),
            starved,
            closed: false,
        }
    }

    pub fn send(&mut self, event: Event) {
        self.waiting.push_back(event);
        self.flush();
    }

    /// Hands over what fits.
    pub fn flush(&mut self) {
        self.offer();
        if !self.waiting.is_empty() && !self.closed {
            self.starved.store(true, Ordering::SeqCst);
            // The reader may have emptied the channel before it could see that.
            self.offer();
        }
    }

    fn offer(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            match self.channel.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.waiting.push_front(event);
                    return;
                }
                Err(TrySendError::Closed(_)) => {
                    self.closed = true;
                    self.waiting.clear();
                }
            }
        }
    }

    /// Whether the reader is too far behind to go on.
    pub fn is_paused(&self) -> bool {
        self.waiting.len() >= PATIENCE
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the reader is gone.
    pub fn is_closed(&self) -> bool {
        self.closed || self.channel.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_or_reordered() {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(4);
        let starved = Arc::new(AtomicBool::new(false));
        let mut outbox = Outbox::new(sender, starved.clone());
        let total = PATIENCE + 4;
        for ahead in 0..total {
            assert!(!outbox.is_paused());
            outbox.send(Event::Queued { ahead });
        }
        assert!(outbox.is_paused() && starved.load(Ordering::SeqCst));
        for expected in 0..total {
            match receiver.try_recv().unwrap() {
                Event::Queued { ahead } => assert_eq!(ahead, expected),
                other => panic!("{other:?}"),
            }
            outbox.flush();
        }
        assert!(outbox.is_empty() && !outbox.is_closed());
        drop(receiver);
        outbox.send(Event::Queued { ahead: 0 });
        assert!(outbox.is_closed() && outbox.is_empty());
    }
}
