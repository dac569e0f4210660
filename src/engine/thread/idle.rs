//! What the engine thread does without work.

use std::{
    sync::mpsc::{Receiver, RecvError, RecvTimeoutError},
    time::Duration,
};

use super::Engine;
use crate::{
    cache::{Unsaved, disk::Disk},
    engine::{handle::Command, model::Loader},
};

/// How long the disk's writer is left alone before it is looked after again.
const WRITER_PAUSE: Duration = Duration::from_millis(100);
/// Without work for so long, the thread begins to hand pages to the writer: who
/// asks again at once need not wait for it.
const GRACE: Duration = Duration::from_millis(30);

impl<L: Loader> Engine<L> {
    /// Without work: pages go to the disk a few at a time, then the thread
    /// sleeps until somebody wants something.
    pub(super) fn wait(
        &mut self,
        commands: &Receiver<Command>,
    ) -> Result<Option<Command>, RecvError> {
        let grace = GRACE.saturating_sub(self.worked.elapsed());
        if !grace.is_zero() && self.disk.is_some() {
            match commands.recv_timeout(grace) {
                Ok(command) => return Ok(Some(command)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(RecvError),
            }
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
}
