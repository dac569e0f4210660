//! What one sequence proposes, and how its proposals have fared.
//!
//! A sequence that does not propose is followed all the same: what would have
//! been proposed is compared with what comes, which costs nothing and holds
//! nobody up. So a sequence begins to propose when it is likely to pay.

use super::{
    gain::{Acceptance, Batch, Choice, Gain, Source},
    lookup::{Lookup, Match},
};
use crate::config::Speculation as Mode;

/// How likely a proposal is right before anything is known, by the tokens that
/// agree, and a draft's.
const GUESSES: [f64; 3] = [0.3, 0.5, 0.8];
const DRAFT_GUESS: f64 = 0.6;
/// Lengths from which on a match is of the next kind.
const LENGTHS: [usize; 2] = [5, 12];
/// Tokens until a draft that was no help is asked again: at first, and at most.
const PAUSE: usize = 64;
const LONGEST_PAUSE: usize = 1024;

/// Tokens that a sequence wants to propose next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Intent {
    pub source: Source,
    pub choice: Choice,
}

/// Proposals of a step that was read.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Verified {
    pub source: Source,
    pub proposed: usize,
    pub accepted: usize,
}

#[derive(Debug)]
pub(in crate::engine) struct Speculation {
    /// `None` where nothing is looked up.
    lookup: Option<Lookup>,
    draft: bool,
    found: Option<Match>,
    looked_up: [Acceptance; GUESSES.len()],
    drafted: Acceptance,
    /// Tokens until the draft may be asked again, and the next pause.
    draft_rests: usize,
    draft_pause: usize,
    /// What the next step should hold of it. With one, the sequence waits for
    /// its step to be read before it is part of another.
    pub intent: Option<Intent>,
    /// What it will want when the draft has come near its end.
    pub postponed: Option<Intent>,
    /// It decided to propose when it last decided.
    proposes: bool,
    /// Tokens have come since it last decided.
    pub fresh: bool,
    pub proposed: usize,
    pub accepted: usize,
}

impl Speculation {
    pub fn new(mode: Mode, has_draft: bool) -> Self {
        let lookup = matches!(mode, Mode::Lookup | Mode::Auto);
        Self {
            lookup: lookup.then(Lookup::default),
            draft: has_draft && matches!(mode, Mode::Draft | Mode::Auto),
            found: None,
            looked_up: GUESSES.map(Acceptance::new),
            drafted: Acceptance::new(DRAFT_GUESS),
            draft_rests: 0,
            draft_pause: PAUSE,
            intent: None,
            postponed: None,
            proposes: false,
            fresh: false,
            proposed: 0,
            accepted: 0,
        }
    }

    pub fn is_on(&self) -> bool {
        self.lookup.is_some() || self.draft
    }

    /// Proposes nothing any more.
    pub fn end(&mut self) {
        (self.lookup, self.draft) = (None, false);
        (self.found, self.intent, self.postponed) = (None, None, None);
    }

    /// Asks the draft no more.
    pub fn end_drafts(&mut self) {
        self.draft = false;
        (self.intent, self.postponed) = (None, None);
    }

    /// The last `new` of `tokens` have come, some of them as proposed.
    pub fn learn(&mut self, tokens: &[u32], new: usize, verified: Option<Verified>) {
        self.intent = None;
        self.fresh = true;
        if let Some(verified) = verified {
            self.proposed += verified.proposed;
            self.accepted += verified.accepted;
        }
        self.draft_rests = self.draft_rests.saturating_sub(new);
        let before = tokens.len() - new.min(tokens.len());
        match (verified, self.found) {
            (Some(it), _) if it.source == Source::Draft => {
                self.drafted.record(it.proposed, it.accepted);
            }
            (Some(it), Some(found)) => {
                self.looked_up[kind(found)].record(it.proposed, it.accepted);
            }
            (None, Some(found)) => {
                let right = tokens.get(before) == tokens.get(found.next);
                self.looked_up[kind(found)].record(1, usize::from(right));
            }
            (_, None) => {}
        }
        self.found = self.lookup.as_mut().and_then(|lookup| {
            lookup.extend(tokens);
            lookup.find(tokens)
        });
    }

    /// Whether it has anything to propose.
    pub fn could(&self) -> bool {
        self.found.is_some() || self.may_draft()
    }

    /// Whether it is likely to propose together with others.
    pub fn is_likely(&self) -> bool {
        self.proposes || self.may_draft()
    }

    fn may_draft(&self) -> bool {
        self.draft && self.draft_rests == 0
    }

    /// Decides what to propose next, at most `most` tokens, in a batch of which
    /// others propose too; `ahead` if a token of it is in flight.
    pub fn decide(&mut self, gain: &mut Gain, mut batch: Batch, most: usize, ahead: bool) {
        batch.proposing += usize::from(!self.is_likely());
        self.find_intent(gain, batch, most, ahead);
        self.proposes = self.intent.is_some();
    }

    fn find_intent(&mut self, gain: &mut Gain, batch: Batch, most: usize, ahead: bool) {
        self.intent = self.postponed.take();
        if self.intent.is_some() {
            return;
        }
        let mut intent = |source, acceptance: &Acceptance| {
            let choice = gain.choose(batch, source, acceptance, most, ahead)?;
            Some(Intent { source, choice })
        };
        if let Some(found) = self.found {
            self.intent = intent(Source::Lookup, &self.looked_up[kind(found)]);
        }
        if self.intent.is_some() || !self.may_draft() {
            return;
        }
        self.intent = intent(Source::Draft, &self.drafted);
        if self.intent.is_none() && gain.knows(batch) {
            // Nothing is learned of a draft that is not asked.
            self.draft_rests = self.draft_pause;
            self.draft_pause = (self.draft_pause * 2).min(LONGEST_PAUSE);
            self.drafted = Acceptance::new(DRAFT_GUESS);
        }
    }

    /// `count` tokens that were looked up, after `tokens`.
    pub fn looked_up(&self, tokens: &[u32], count: usize) -> Vec<u32> {
        self.found
            .map_or_else(Vec::new, |found| Lookup::continuation(found, tokens, count))
    }
}

fn kind(found: Match) -> usize {
    LENGTHS
        .iter()
        .filter(|length| found.length >= **length)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Batch = Batch {
        decoding: 1,
        proposing: 0,
    };

    /// Eight rows cost as much again as a step.
    fn measured() -> Gain {
        let mut gain = Gain::default();
        for rows in [0, 0, 0, 8, 8, 4, 4, 2, 2, 1, 1] {
            for source in [Source::Lookup, Source::Draft] {
                gain.record(1, rows, source, 0.010 + 0.00125 * rows as f64);
            }
        }
        gain
    }

    #[test]
    fn what_repeats_is_proposed_and_what_does_not_is_left_alone() {
        let mut gain = measured();
        let mut state = Speculation::new(Mode::Lookup, false);
        let tokens: Vec<u32> = (0..40).map(|i| i % 10).collect();
        state.learn(&tokens, 40, None);
        state.decide(&mut gain, ALONE, 6, false);
        let intent = state.intent.unwrap();
        assert!(
            intent.source == Source::Lookup && intent.choice.count > 3,
            "{intent:?}"
        );
        assert_eq!(state.looked_up(&tokens, 12)[8..], [8, 9, 0, 1]);
        let fresh: Vec<u32> = (0..40).collect();
        let mut state = Speculation::new(Mode::Lookup, false);
        state.learn(&fresh, 40, None);
        state.decide(&mut gain, ALONE, 6, false);
        assert!(state.intent.is_none() && !state.could());
    }

    #[test]
    fn guesses_that_are_not_made_are_judged_too() {
        let mut gain = measured();
        let mut state = Speculation::new(Mode::Lookup, false);
        // Each run of three occurs again and is followed by something else.
        let mut tokens: Vec<u32> = Vec::new();
        for i in 0..30 {
            tokens.extend([1, 2, 3]);
            state.learn(&tokens, 3, None);
            tokens.push(100 + i);
            state.learn(&tokens, 1, None);
        }
        tokens.extend([1, 2, 3]);
        state.learn(&tokens, 3, None);
        assert!(state.could());
        state.decide(&mut gain, ALONE, 6, false);
        assert_eq!(state.intent, None);
    }

    #[test]
    fn a_draft_that_is_no_help_rests() {
        let mut gain = measured();
        let mut state = Speculation::new(Mode::Auto, true);
        let mut tokens: Vec<u32> = (0..10).collect();
        let mut asked = 0;
        for next in 10..1010 {
            let intent = state.intent;
            tokens.push(next);
            let verified = intent.map(|intent| Verified {
                source: intent.source,
                proposed: intent.choice.count,
                accepted: 0,
            });
            state.learn(&tokens, 1, verified);
            state.decide(&mut gain, ALONE, 4, false);
            asked += usize::from(state.intent.is_some());
        }
        assert!((5..60).contains(&asked), "{asked}");
        assert_eq!((state.accepted, state.proposed > 0), (0, true));
        state.end_drafts();
        assert!(state.is_on() && !state.could());
        state.end();
        assert!(!state.is_on());
    }

    #[test]
    fn modes_say_what_is_asked() {
        let on = |mode, draft| Speculation::new(mode, draft).is_on();
        assert!(!on(Mode::Off, true) && on(Mode::Lookup, false));
        assert!(!on(Mode::Draft, false) && on(Mode::Draft, true) && on(Mode::Auto, false));
    }
}
