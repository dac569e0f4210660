//! What the engine thread does without work.

use std::{
    sync::mpsc::{Receiver, RecvError, RecvTimeoutError},
    time::Duration,
};

use super::Engine;
use crate::{
    cache::{Unsaved, disk::Disk},
    engine::{handle::Command, model::Loader, warm_up::warm_up_later},
};

/// How long the disk's writer is left alone before it is looked after again.
const WRITER_PAUSE: Duration = Duration::from_millis(100);
/// Without work for so long, the thread begins with what can wait: who asks
/// again at once need not wait for it.
const GRACE: Duration = Duration::from_millis(30);

impl<L: Loader> Engine<L> {
    /// Without work: a device is warmed up a step at a time, pages go to the disk
    /// a few at a time, then the thread sleeps until somebody wants something.
    pub(super) fn wait(
        &mut self,
        commands: &Receiver<Command>,
    ) -> Result<Option<Command>, RecvError> {
        let grace = GRACE.saturating_sub(self.worked.elapsed());
        let waits = self.disk.is_some() || !self.to_warm.is_empty();
        if !grace.is_zero() && waits {
            match commands.recv_timeout(grace) {
                Ok(command) => return Ok(Some(command)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(RecvError),
            }
        }
        if self.warm_up_more() {
            return Ok(None);
        }
        let left = self.kv.write_behind();
        if left == Unsaved::More {
            return Ok(None);
        }
        self.rest();
        if left == Unsaved::None && !self.disk.as_ref().is_some_and(Disk::is_busy) {
            return commands.recv().map(Some);
        }
        match commands.recv_timeout(WRITER_PAUSE) {
            Ok(command) => Ok(Some(command)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(RecvError),
        }
    }

    /// The next step that a device is warmed up with, if there is one left.
    fn warm_up_more(&mut self) -> bool {
        let (Some(step), Some(resident)) = (self.to_warm.pop_front(), &self.resident) else {
            return false;
        };
        if let Err(error) = warm_up_later(&*resident.decoder, step) {
            tracing::warn!(model = %resident.model.id, %error, "the model's first steps failed");
            self.to_warm.clear();
        }
        true
    }
}
