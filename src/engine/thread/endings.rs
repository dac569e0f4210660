//! How sequences leave: ended, failed, or back to the queue for want of memory.

use super::Engine;
use crate::{
    cache::PAGE_TOKENS,
    engine::{model::Loader, scheduler::Share, sequence::Sequence, step::StepError, types::*},
};

impl<L: Loader> Engine<L> {
    /// Ends a running request; what it computed is kept for later prompts.
    pub(super) fn end(&mut self, index: usize, reason: FinishReason, stop: Option<String>) {
        let mut sequence = self.running.remove(index);
        self.release(&sequence);
        sequence.finish(reason, stop);
        match reason {
            FinishReason::Cancelled => self.totals.cancelled += 1,
            _ => {
                self.totals.finished += 1;
                self.measures.request.record(sequence.age().as_secs_f64());
            }
        }
        self.leaving.push(sequence.outbox);
    }

    /// Gives a sequence's memory up and keeps what is computed, unless nothing
    /// may be reused: what is was computed in shapes that hang on the past.
    fn release(&mut self, sequence: &Sequence) {
        let computed = sequence.computed.min(sequence.tokens.len());
        let kept = (!self.options.deterministic).then(|| &sequence.tokens[..computed]);
        self.kv.release(sequence.slot(), kept);
        self.forget_draft(sequence.slot(), kept);
    }

    pub(super) fn fail(&mut self, index: usize, error: EngineError) {
        let mut sequence = self.running.remove(index);
        self.kv.release(sequence.slot(), None);
        self.forget_draft(sequence.slot(), None);
        sequence.fail(error);
        self.totals.failed += 1;
        self.leaving.push(sequence.outbox);
    }

    /// After a step of the requests `ids` has failed: alone, the request is at
    /// fault; otherwise each begins again from its tokens, in steps of its own
    /// and, if it was to have any, without proposals.
    pub(super) fn recover(&mut self, mut ids: Vec<RequestId>, error: &StepError) {
        ids.sort_unstable();
        ids.dedup();
        // What was kept may stand on the failed step.
        self.kv.clear();
        self.clear_drafts();
        self.flight = None;
        let single = ids.len() == 1;
        for id in ids {
            let Some(index) = self.running.iter().position(|s| s.id == id) else {
                continue;
            };
            let speculating = &mut self.running[index].speculating;
            let proposed = speculating.intent.is_some();
            if proposed {
                speculating.end();
            }
            if self.running[index].alone || (single && !proposed) {
                self.fail(index, EngineError::Compute(error.0.clone()));
                continue;
            }
            tracing::warn!(request = %id, %error, "a step failed: the request is computed again by itself");
            let mut sequence = self.running.remove(index);
            self.kv.release(sequence.slot(), None);
            sequence.reset();
            sequence.alone = true;
            self.queue.preempt(sequence);
        }
    }

    pub(super) fn fail_all(&mut self, fault: &StepError) {
        self.flight = None;
        while !self.running.is_empty() {
            self.fail(0, EngineError::Compute(fault.0.clone()));
        }
        self.kv.clear();
    }

    /// Prompts of models with recurrent layers are read up to ends of pages, the
    /// last one before the prompt's end among them: snapshots are taken there.
    /// For them, proposals go no further than to the end of a page.
    pub(super) fn end_at_pages(&self, shares: &mut [Share]) {
        if !self.takes_snapshots() {
            return;
        }
        for share in shares {
            let sequence = &self.running[share.index];
            let own = share.rows - share.proposals;
            let rows = rows_to_page_end(sequence.computed, own, sequence.tokens.len());
            if rows < own {
                (share.rows, share.samples, share.proposals) = (rows, false, 0);
                continue;
            }
            let after = (sequence.computed + own) % PAGE_TOKENS;
            share.proposals = share.proposals.min(PAGE_TOKENS - after);
            share.rows = own + share.proposals;
        }
    }

    /// Whether what recurrent layers carry on is kept for other requests.
    fn takes_snapshots(&self) -> bool {
        let resident = self.resident.as_ref();
        !self.options.deterministic && resident.is_some_and(|it| !it.decoder.can_forget())
    }

    /// After a step that has brought some sequences to the end of a page.
    pub(super) fn take_snapshots(&mut self, shares: &[Share]) {
        for share in shares {
            self.take_snapshot(self.running[share.index].slot());
        }
    }

    /// Keeps a running sequence's states if they are those of a page's end.
    pub(super) fn take_snapshot(&mut self, slot: usize) {
        if !self.takes_snapshots() {
            return;
        }
        if let Err(error) = self.kv.snapshot(slot) {
            tracing::warn!(%error, "a snapshot could not be taken");
        }
    }

    /// Sees to it that the keys and values of a step have room. A sequence
    /// that finds none waits until others have ended.
    pub(super) fn make_room(&mut self, shares: &mut Vec<Share>) {
        let mut homeless = Vec::new();
        shares.retain_mut(|share| {
            let sequence = &self.running[share.index];
            let (slot, computed) = (sequence.slot(), sequence.computed);
            let mut grown = self.kv.grow(slot, computed + share.rows);
            if share.proposals > 0 && grown.is_err() {
                // It can do without them.
                share.rows -= std::mem::take(&mut share.proposals);
                grown = self.kv.grow(slot, computed + share.rows);
            }
            match grown {
                Ok(()) => true,
                Err(error) => {
                    // One whose token is in flight is asked again next time.
                    if sequence.lazy.is_none() {
                        homeless.push((sequence.id, error));
                    }
                    false
                }
            }
        });
        for (id, error) in homeless {
            let Some(index) = self.running.iter().position(|s| s.id == id) else {
                continue;
            };
            if self.running.len() == 1 {
                let refusal = self.refusal(&error);
                self.fail(index, refusal);
            } else {
                tracing::warn!(request = %id, "memory is short: the request waits for others to end");
                let mut sequence = self.running.remove(index);
                self.release(&sequence);
                sequence.reset();
                self.totals.preempted += 1;
                self.queue.preempt(sequence);
            }
            // Indices have moved: the next turn plans anew.
            shares.clear();
            self.again = true;
        }
    }
}

/// How many of `rows` rows after the first `computed` of `tokens` tokens lead to
/// the end of a page; all of them if none of the pages left ends among them.
fn rows_to_page_end(computed: usize, rows: usize, tokens: usize) -> usize {
    // The last token is left, for its logits.
    let last = tokens.saturating_sub(1).min(computed + rows);
    let end = last / PAGE_TOKENS * PAGE_TOKENS;
    match end > computed {
        true => end - computed,
        false => rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_read_to_the_ends_of_pages() {
        for ((computed, rows, tokens), expected) in [
            ((0, 512, 1000), 512),
            ((512, 488, 1000), 448),
            ((960, 40, 1000), 40),
            ((0, 100, 1000), 64),
            ((30, 20, 1000), 20),
            ((30, 40, 1000), 34),
            ((0, 128, 128), 64),
            ((64, 64, 128), 64),
            ((200, 1, 201), 1),
            ((191, 1, 192), 1),
        ] {
            assert_eq!(rows_to_page_end(computed, rows, tokens), expected);
        }
    }
}
