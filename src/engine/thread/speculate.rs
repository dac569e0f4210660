//! Proposals: who makes some, what they are, and what is learned of them.
//!
//! A sequence that is to propose waits for its token to be read; the others
//! are computed ahead as ever. Those that propose do so in the same steps.

use std::time::Duration;

use super::{Engine, guarded};
use crate::engine::{
    model::Loader,
    scheduler::{Candidate, Share},
    speculation::{
        draft::{Drafted, Wanted},
        gain::{Batch, Source},
        state::Verified,
    },
    step::{Outcome, Part, Proposals, StepError},
    types::*,
};

/// Steps that a chunk of the draft's may hold up: the one in flight when it is
/// launched, and the next.
const UNEVEN: u8 = 2;

impl<L: Loader> Engine<L> {
    /// The speculation of a request that asks for `wanted`.
    pub(super) fn speculation(&self, wanted: Option<Speculation>) -> Speculation {
        match self.options.deterministic {
            true => Speculation::Off,
            false => wanted.unwrap_or(self.options.speculation),
        }
    }

    /// What a plan has to know of all that may be part of the next step. Those
    /// that propose wait while proposals of others are in flight: at the next
    /// turn they go together, as none are then.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let flying = self.flight.as_ref();
        let flying = flying.is_some_and(|it| it.parts.iter().any(|part| part.proposals > 0));
        let ready = self.running.iter().enumerate();
        ready
            .filter(|(_, sequence)| !flying || sequence.proposals() == 0)
            .filter_map(|(index, sequence)| sequence.candidate(index))
            .collect()
    }

    /// Lets every sequence that has just got tokens decide what to propose.
    pub(super) fn decide_proposals(&mut self) {
        let mut prompts = self.running.iter();
        if prompts.any(|it| it.computed < it.prompt_tokens()) {
            // Proposals would have to wait for whole chunks of them.
            for sequence in &mut self.running {
                sequence.speculating.intent = None;
            }
            return;
        }
        let all = self.running.iter();
        let all = all.filter(|it| it.decodes() && !it.outbox.is_paused());
        let likely = all.clone().filter(|it| it.speculating.is_likely());
        let batch = Batch {
            decoding: all.count(),
            proposing: likely.count(),
        };
        let most = self.options.draft_tokens;
        for index in 0..self.running.len() {
            let sequence = &mut self.running[index];
            if !std::mem::take(&mut sequence.speculating.fresh) || sequence.alone {
                continue;
            }
            let most = most.min(sequence.most_proposals());
            if sequence.decodes() && sequence.speculating.could() {
                let ahead = sequence.lazy.is_some();
                let speculating = &mut sequence.speculating;
                speculating.decide(&mut self.gain, batch, most, ahead);
            }
            let intent = sequence.speculating.intent;
            if intent.is_some_and(|it| it.source == Source::Draft) && !self.follow(index) {
                let speculating = &mut self.running[index].speculating;
                speculating.postponed = speculating.intent.take();
            }
        }
    }

    /// Brings the draft near the end of a sequence, a chunk a turn at most;
    /// whether it is there.
    fn follow(&mut self, index: usize) -> bool {
        let sequence = &mut self.running[index];
        let Some(drafter) = &mut self.drafter else {
            sequence.speculating.end_drafts();
            return false;
        };
        let (slot, expected) = (sequence.slot(), sequence.expected());
        if drafter.is_near(slot, sequence.tokens.len()) {
            return true;
        }
        if self.uneven == UNEVEN {
            return false;
        }
        self.uneven = UNEVEN;
        let salt = &sequence.request.cache_salt;
        let followed = guarded(|| Ok(drafter.follow(slot, &sequence.tokens, expected, salt)));
        match followed {
            Ok(Ok(near)) => near,
            Ok(Err(error)) => {
                tracing::info!(request = %sequence.id, %error, "the draft model is not asked any more");
                sequence.speculating.end_drafts();
                false
            }
            Err(fault) => {
                self.draft_failed(&fault);
                false
            }
        }
    }

    /// What is proposed for each share. One whose proposals fail keeps its own
    /// rows.
    pub(super) fn proposals(&mut self, shares: &mut [Share]) -> Vec<Proposals> {
        let mut drafted = self.drafted(shares);
        let mut proposals = Vec::with_capacity(shares.len());
        for share in shares {
            let sequence = &self.running[share.index];
            let source = sequence.speculating.intent.map(|intent| intent.source);
            let made = match source {
                _ if share.proposals == 0 => Proposals::None,
                Some(Source::Draft) => match drafted.pop() {
                    Some(drafted) => Proposals::Drafted(drafted),
                    None => Proposals::None,
                },
                Some(Source::Lookup) => {
                    let looked_up = &sequence.speculating;
                    Proposals::LookedUp(looked_up.looked_up(&sequence.tokens, share.proposals))
                }
                None => Proposals::None,
            };
            let count = match &made {
                Proposals::None => 0,
                Proposals::LookedUp(tokens) => tokens.len(),
                Proposals::Drafted(_) => share.proposals,
            };
            if let Some(intent) = sequence.speculating.intent.filter(|_| count > 0) {
                self.gain.made(intent.choice, intent.source);
            }
            share.rows -= share.proposals - count;
            share.proposals = count;
            proposals.push(made);
        }
        proposals
    }

    /// The draft's proposals, for the last share that wants some first; none at
    /// all if it fails.
    fn drafted(&mut self, shares: &[Share]) -> Vec<Drafted> {
        let drafts = |share: &&Share| {
            let intent = self.running[share.index].speculating.intent;
            share.proposals > 0 && intent.is_some_and(|it| it.source == Source::Draft)
        };
        let shares: Vec<Share> = shares.iter().filter(drafts).rev().copied().collect();
        let (Some(drafter), false) = (&mut self.drafter, shares.is_empty()) else {
            return Vec::new();
        };
        let running = &self.running;
        let drafted = guarded(|| {
            let mut wanted = Vec::with_capacity(shares.len());
            for share in &shares {
                let sequence = &running[share.index];
                let (slot, length) = (sequence.slot(), sequence.tokens.len());
                let room = drafter.make_room(slot, length + share.proposals);
                room.map_err(|error| StepError(error.to_string()))?;
                wanted.push(Wanted {
                    slot,
                    tokens: &sequence.tokens,
                    count: share.proposals,
                    params: &sequence.request.sampling,
                    seed: sequence.seed,
                    generated: sequence.generated(),
                });
            }
            Ok(drafter.draft(&wanted)?)
        });
        drafted.unwrap_or_else(|fault| {
            self.draft_failed(&fault);
            Vec::new()
        })
    }

    /// No request that runs now asks the draft again.
    fn draft_failed(&mut self, fault: &StepError) {
        tracing::warn!(%fault, "the draft model failed: running requests go on without");
        for sequence in &mut self.running {
            sequence.speculating.end_drafts();
        }
        self.clear_drafts();
    }

    /// Takes back what was computed of a part's proposals but for the first
    /// `accepted`, and counts these. With recurrent layers that go back further
    /// those are to compute again.
    ///
    /// # Errors
    /// When the cache cannot forget them.
    pub(super) fn settle(
        &mut self,
        index: usize,
        part: &Part,
        accepted: usize,
    ) -> Result<(), StepError> {
        if part.proposals == 0 {
            return Ok(());
        }
        let sequence = &mut self.running[index];
        let slot = sequence.slot();
        sequence.reached = part.computed + accepted;
        if let Some(drafter) = &mut self.drafter {
            drafter.settle(slot, sequence.reached);
        }
        self.totals.proposed_tokens += part.proposals as u64;
        self.totals.accepted_tokens += accepted as u64;
        sequence.computed = self.kv.truncate(slot, sequence.reached)?;
        if accepted == part.proposals {
            self.take_snapshot(slot);
        }
        Ok(())
    }

    /// Notes how long a step took.
    pub(super) fn measure_step(&mut self, outcomes: &[Outcome], ahead: bool, took: Duration) {
        let parts = || outcomes.iter().map(|outcome| &outcome.part);
        let proposed: usize = parts().map(|part| part.proposals).sum();
        let mut drafted = parts().filter(|part| part.proposals > 0);
        let source = match drafted.any(|part| part.source == Source::Draft) {
            true => Source::Draft,
            false => Source::Lookup,
        };
        // Proposals, and what was taken back with others.
        let more = parts().map(|part| part.rows).sum::<usize>() - outcomes.len();
        let uneven = self.uneven;
        self.uneven = uneven.saturating_sub(1);
        if uneven > 0 || parts().any(|part| part.prefill) {
            return;
        }
        let (gain, seconds) = (&mut self.gain, took.as_secs_f64());
        match (proposed, more) {
            // As fast as it gets if it was launched ahead.
            (0, 0) if ahead => gain.record(outcomes.len(), 0, source, seconds),
            (0, 0) => gain.record_waited(outcomes.len(), seconds),
            // What was taken back, alone: neither.
            (0, _) => {}
            _ => gain.record(outcomes.len(), more, source, seconds),
        }
    }

    /// The draft forgets a sequence, or keeps what it has of its `tokens`.
    pub(super) fn forget_draft(&mut self, slot: usize, tokens: Option<&[u32]>) {
        if let Some(drafter) = &mut self.drafter {
            drafter.release(slot, tokens);
        }
    }

    pub(super) fn clear_drafts(&mut self) {
        if let Some(drafter) = &mut self.drafter {
            drafter.clear();
        }
    }
}

/// What became of a part's proposals, the first `accepted` of which are tokens
/// of the answer.
pub(super) fn verified(part: &Part, accepted: usize) -> Option<Verified> {
    (part.proposals > 0).then_some(Verified {
        source: part.source,
        proposed: part.proposals,
        accepted,
    })
}
