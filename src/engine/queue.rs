//! What waits to run: new requests, sequences that gave their memory up, and
//! changes of the model.
//!
//! Invariants: requests go by priority, and by arrival within a priority; a
//! change of the model lets nobody pass, in either direction.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::oneshot;

use super::{
    handle::{LoadedModel, Submission},
    sequence::Sequence,
    turns::{Priority, Turns},
    types::*,
};

/// A model is changed when everything before has ended, and what came after
/// meets the new model.
pub(super) enum Change {
    Load {
        source: ModelSource,
        draft: Option<ModelSource>,
        reply: oneshot::Sender<Result<Arc<LoadedModel>, EngineError>>,
    },
    Unload {
        reply: oneshot::Sender<()>,
    },
}

pub(super) enum Waiting {
    Request(Submission),
    Change(Change),
}

/// What is to be started next.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Next {
    Resume(Sequence),
    Admit(Submission),
    Change(Change),
}

#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    /// They ran before, so they came before the first change.
    preempted: Vec<Sequence>,
    turns: Turns,
}

/// Where a request waits.
#[derive(Clone, Copy)]
enum Place {
    Waiting(usize),
    Preempted(usize),
}

impl Queue {
    pub fn push(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    pub fn preempt(&mut self, sequence: Sequence) {
        self.preempted.push(sequence);
    }

    /// Sequences that gave their memory up.
    pub fn preempted(&self) -> usize {
        self.preempted.len()
    }

    /// Requests that go before a new one of this priority.
    pub fn ahead_of(&self, priority: Priority) -> usize {
        let waiting = self.waiting.iter().filter_map(|waiting| match waiting {
            Waiting::Request(submission) => Some(submission.request.priority),
            Waiting::Change(_) => None,
        });
        let preempted = self.preempted.iter().map(|it| it.request.priority);
        let all = waiting.chain(preempted);
        all.filter(|other| *other <= priority).count()
    }

    /// Takes out what goes next. What cannot start yet is put back.
    pub fn next(&mut self) -> Option<Next> {
        match self.first() {
            Some((Place::Preempted(at), _)) => Some(Next::Resume(self.preempted.remove(at))),
            Some((Place::Waiting(at), _)) => self.waiting.remove(at).map(Next::from),
            None => self.waiting.pop_front().map(Next::from),
        }
    }

    pub fn put_back(&mut self, next: Next) {
        match next {
            Next::Resume(sequence) => self.preempted.push(sequence),
            Next::Admit(submission) => self.waiting.push_front(Waiting::Request(submission)),
            Next::Change(change) => self.waiting.push_front(Waiting::Change(change)),
        }
    }

    /// A request of this priority has begun; the others go on waiting.
    pub fn started(&mut self, priority: Priority) {
        let others: Vec<Priority> = self.requests().map(|(_, priority, _)| priority).collect();
        self.turns.note(others, [priority]);
    }

    /// Takes out a request that is to run no more.
    pub fn remove(&mut self, id: RequestId) -> Option<Next> {
        if let Some(at) = self.preempted.iter().position(|it| it.id == id) {
            return Some(Next::Resume(self.preempted.remove(at)));
        }
        let same = |waiting: &Waiting| matches!(waiting, Waiting::Request(it) if it.id == id);
        let at = self.waiting.iter().position(same)?;
        self.waiting.remove(at).map(Next::from)
    }

    fn first(&self) -> Option<(Place, RequestId)> {
        let requests = self.requests();
        let first = requests.min_by_key(|(_, priority, id)| (self.turns.rank(*priority), *id));
        first.map(|(place, _, id)| (place, id))
    }

    /// All requests that no change of the model holds back.
    fn requests(&self) -> impl Iterator<Item = (Place, Priority, RequestId)> {
        let preempted = self.preempted.iter().enumerate();
        let preempted =
            preempted.map(|(at, it)| (Place::Preempted(at), it.request.priority, it.id));
        let waiting = self.waiting.iter().enumerate();
        let waiting = waiting.map_while(|(at, waiting)| match waiting {
            Waiting::Request(it) => Some((Place::Waiting(at), it.request.priority, it.id)),
            Waiting::Change(_) => None,
        });
        preempted.chain(waiting)
    }
}

impl From<Waiting> for Next {
    fn from(waiting: Waiting) -> Self {
        match waiting {
            Waiting::Request(submission) => Self::Admit(submission),
            Waiting::Change(change) => Self::Change(change),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::engine::turns::PATIENCE;

    fn request(id: u64, priority: i8) -> Waiting {
        let (events, _) = tokio::sync::mpsc::channel(1);
        Waiting::Request(Submission {
            id: RequestId(id),
            request: Request {
                priority: Priority(priority),
                ..Request::default()
            },
            events,
            starved: Arc::default(),
            arrived: Instant::now(),
        })
    }

    fn unload() -> Waiting {
        let (reply, _) = oneshot::channel();
        Waiting::Change(Change::Unload { reply })
    }

    /// The ids in the order of their turns; 0 is a change.
    fn drain(queue: &mut Queue) -> Vec<u64> {
        let mut order = Vec::new();
        while let Some(next) = queue.next() {
            order.push(match next {
                Next::Admit(it) => {
                    queue.started(it.request.priority);
                    it.id.0
                }
                Next::Change(_) => 0,
                Next::Resume(_) => unreachable!("nothing has run"),
            });
        }
        order
    }

    #[test]
    fn priorities_then_arrival_and_changes_stand_in_between() {
        let mut queue = Queue::default();
        for waiting in [
            request(1, 0),
            request(2, 0),
            request(3, -10),
            unload(),
            request(4, -10),
            request(5, 3),
            request(6, 0),
        ] {
            queue.push(waiting);
        }
        assert_eq!(queue.ahead_of(Priority(0)), 5);
        assert_eq!(drain(&mut queue), [3, 1, 2, 0, 4, 6, 5]);
    }

    #[test]
    fn what_is_put_back_keeps_its_place() {
        let mut queue = Queue::default();
        for waiting in [request(1, 0), request(2, 0), request(3, -1)] {
            queue.push(waiting);
        }
        for _ in 0..20 {
            let next = queue.next().unwrap();
            queue.put_back(next);
        }
        assert!(matches!(queue.remove(RequestId(2)), Some(Next::Admit(it)) if it.id.0 == 2));
        assert!(queue.remove(RequestId(2)).is_none());
        assert_eq!(drain(&mut queue), [3, 1]);
    }

    #[test]
    fn a_low_priority_has_its_turn_while_others_keep_coming() {
        let mut queue = Queue::default();
        queue.push(request(1, 5));
        for id in 2..=u64::from(2 * PATIENCE) {
            queue.push(request(id, -5));
        }
        let place = drain(&mut queue).iter().position(|id| *id == 1).unwrap();
        assert_eq!(place, PATIENCE as usize);
    }
}
