//! What recurrent layers carry on, kept at ends of pages: models that have such
//! layers begin there and nowhere else.

use mlx_rs::{error::Exception, ops, transforms::async_eval};

use super::{
    KvCache,
    holder::{Holder, Running},
    page::PAGE_TOKENS,
    pages::PageId,
};

/// Snapshots of a prompt that is being computed: when there are so many, every
/// second goes.
const MOST_SNAPSHOTS: usize = 16;
/// Of snapshots that are closer together the latest stays: those of an answer
/// come with every page.
const SNAPSHOT_DISTANCE: usize = 4 * PAGE_TOKENS;

impl KvCache {
    /// Keeps what recurrent layers carry on of a running sequence, if it is at
    /// the end of a page: pages are found by others up to there.
    ///
    /// # Errors
    /// When MLX refuses to compute it.
    pub fn snapshot(&mut self, sequence: usize) -> Result<(), Exception> {
        let running = self.running.get_mut(&sequence);
        let Some(Running { holder, .. }) = running.filter(|_| self.snapshots_only) else {
            return Ok(());
        };
        let whole = |tokens: &usize| tokens.is_multiple_of(PAGE_TOKENS);
        let Some(tokens) = holder.tail.state_tokens().filter(whole) else {
            return Ok(());
        };
        let mut snapshot = holder.tail.snapshot(tokens);
        // A state may be a part of a buffer of the whole batch, which would stay
        // with it. Its own greater: MLX might share the buffer of a plain copy.
        for array in snapshot.states.iter_mut().flatten().flatten() {
            *array = ops::maximum(&*array, &*array)?;
        }
        async_eval(snapshot.arrays())?;
        let snapshots = &mut holder.snapshots;
        snapshots.retain(|before| before.tokens + SNAPSHOT_DISTANCE <= snapshot.tokens);
        if snapshots.len() >= MOST_SNAPSHOTS {
            let mut at = 0..;
            snapshots.retain(|_| at.next().is_some_and(|at: usize| at % 2 == 1));
        }
        snapshots.push(snapshot);
        self.keep_within_limit();
        if self.running_bytes() > self.limit
            && let Some(running) = self.running.get_mut(&sequence)
        {
            running.holder.snapshots.clear();
        }
        Ok(())
    }

    /// How many of the first `length` tokens of a sequence others may begin
    /// with: with recurrent layers those before a snapshot.
    pub(super) fn sealable(&self, holder: &Holder, length: usize) -> usize {
        if !self.snapshots_only {
            return length;
        }
        let sealed = holder.path.len() * PAGE_TOKENS;
        let snapshots = holder.snapshots.iter().map(|snapshot| snapshot.tokens);
        let ends = snapshots.chain([sealed]).filter(|end| *end <= length);
        ends.max().unwrap_or(0)
    }

    /// Moves a snapshot at the end of the holder's last page to that page.
    pub(super) fn keep_snapshot(&mut self, holder: &mut Holder, page: PageId) {
        let end = holder.path.len() * PAGE_TOKENS;
        let snapshots = &mut holder.snapshots;
        if let Some(at) = snapshots.iter().position(|it| it.tokens == end) {
            self.pages.keep_snapshot(page, snapshots.swap_remove(at));
        }
    }
}
