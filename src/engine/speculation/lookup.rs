//! Prompt lookup: what followed the last time the sequence ended as it does
//! now.
//!
//! A hash table of the places where each run of three tokens was last seen, and
//! for each place the one before with the same hash. A new token costs one
//! write and a look at a bounded number of places, whatever the sequence's
//! length; the table grows with the sequence up to a bound. Places found are
//! compared with the tokens themselves, so that a collision is a miss and never
//! a wrong proposal.

/// Tokens that have to agree at the least.
const ORDER: usize = 3;
/// Entries of the smallest and of the largest table.
const LEAST_ENTRIES: usize = 1 << 8;
const MOST_ENTRIES: usize = 1 << 18;
/// Places that are looked at, the latest first, and how far back each agrees.
const PLACES: usize = 16;
const LONGEST: usize = 32;

/// An earlier place where the sequence ended as it does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Match {
    /// Where the token lies that followed then.
    pub next: usize,
    /// Tokens that agree, at most [`LONGEST`].
    pub length: usize,
}

/// The runs of one sequence, by where the token after them lies. 0 is nowhere:
/// no run ends there.
#[derive(Debug, Default)]
pub(in crate::engine) struct Lookup {
    /// The latest place of each hash.
    latest: Vec<u32>,
    /// By place, the one before of the same hash.
    before: Vec<u32>,
}

impl Lookup {
    /// Takes in the tokens that the sequence has got since. The ones before
    /// must be those of the call before.
    pub fn extend(&mut self, tokens: &[u32]) {
        let wanted = (2 * tokens.len()).next_power_of_two();
        let wanted = wanted.clamp(LEAST_ENTRIES, MOST_ENTRIES);
        if wanted > self.latest.len() {
            self.latest = vec![0; wanted];
            self.before.clear();
        }
        for place in self.before.len()..tokens.len() {
            let run = place.checked_sub(ORDER).map(|start| &tokens[start..place]);
            let before = run.map_or(0, |run| {
                let entry = self.entry(run);
                let place = u32::try_from(place).unwrap_or(0);
                std::mem::replace(&mut self.latest[entry], place)
            });
            self.before.push(before);
        }
    }

    /// The place before which most tokens agree with the last ones, of those
    /// that are looked at; of equals the latest.
    pub fn find(&self, tokens: &[u32]) -> Option<Match> {
        let start = tokens.len().checked_sub(ORDER)?;
        if self.latest.is_empty() {
            return None;
        }
        let mut place = self.latest[self.entry(&tokens[start..])] as usize;
        let mut best: Option<Match> = None;
        for _ in 0..PLACES {
            if place == 0 || best.is_some_and(|best| best.length == LONGEST) {
                break;
            }
            let length = common_end(tokens.get(..place).unwrap_or_default(), tokens);
            if length >= ORDER && best.is_none_or(|best| length > best.length) {
                best = Some(Match {
                    next: place,
                    length,
                });
            }
            place = self.before.get(place).map_or(0, |before| *before as usize);
        }
        best
    }

    /// `count` tokens that follow if all goes on as it did from `found` on.
    pub fn continuation(found: Match, tokens: &[u32], count: usize) -> Vec<u32> {
        let mut proposed: Vec<u32> = Vec::with_capacity(count);
        for at in found.next..found.next + count {
            // Past the end the proposals themselves are what goes on.
            let token = tokens.get(at).or_else(|| proposed.get(at - tokens.len()));
            proposed.extend(token.copied());
        }
        proposed
    }

    /// The entry of a run (FNV-1a, then the high half mixed in).
    fn entry(&self, run: &[u32]) -> usize {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for token in run {
            hash = (hash ^ u64::from(*token)).wrapping_mul(0x0000_0100_0000_01b3);
            hash ^= hash >> 29;
        }
        hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> 32) as usize & (self.latest.len() - 1)
    }
}

/// How many tokens two runs have in common at their ends.
fn common_end(a: &[u32], b: &[u32]) -> usize {
    let pairs = a.iter().rev().zip(b.iter().rev()).take(LONGEST);
    pairs.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(tokens: &[u32]) -> Option<Match> {
        let mut lookup = Lookup::default();
        lookup.extend(tokens);
        lookup.find(tokens)
    }

    #[test]
    fn the_longest_match_wins_and_of_equals_the_latest() {
        // 1 2 3 was followed by 9 and later by 8.
        let latest = found(&[1, 2, 3, 9, 0, 1, 2, 3, 8, 7, 1, 2, 3]).unwrap();
        assert_eq!((latest.next, latest.length), (8, 3));
        // A match of five goes before a later one of three.
        let longest = found(&[4, 5, 1, 2, 3, 9, 0, 0, 1, 2, 3, 8, 4, 5, 1, 2, 3]).unwrap();
        assert_eq!((longest.next, longest.length), (5, 5));
        assert_eq!(found(&[1, 2, 3, 4, 5, 6]), None);
        assert_eq!(found(&[1, 2, 1, 2]), None, "two tokens are too few");
        assert_eq!(found(&[]), None);
    }

    #[test]
    fn what_repeats_goes_on_past_the_end() {
        let tokens = [5, 6, 7, 5, 6, 7, 5, 6];
        let found = found(&tokens).unwrap();
        assert_eq!((found.next, found.length), (5, 5));
        let next = Lookup::continuation(found, &tokens, 7);
        assert_eq!(next, [7, 5, 6, 7, 5, 6, 7]);
    }

    #[test]
    fn the_table_is_bounded() {
        let mixed = |i: u32| i.wrapping_mul(2_654_435_761);
        let mut tokens: Vec<u32> = (0..300_000).map(mixed).collect();
        let mut lookup = Lookup::default();
        for end in (0..=tokens.len()).step_by(1000) {
            lookup.extend(&tokens[..end]);
        }
        assert_eq!(lookup.latest.len(), MOST_ENTRIES);
        tokens.extend_from_within(299_000..299_010);
        lookup.extend(&tokens);
        let found = lookup.find(&tokens).unwrap();
        assert_eq!((found.next, found.length), (299_010, 10));
    }

    proptest! {
        #[test]
        fn a_match_is_the_best_of_the_latest(
            tokens in prop::collection::vec(0u32..4, 0..200),
            pieces in prop::collection::vec(1usize..20, 1..20),
        ) {
            let mut lookup = Lookup::default();
            let mut end = 0;
            for piece in pieces {
                end = (end + piece).min(tokens.len());
                let tokens = &tokens[..end];
                lookup.extend(tokens);
                let lengths = (1..end).rev().map(|next| (common_end(&tokens[..next], tokens), next));
                let agreeing = || lengths.clone().filter(|(length, _)| *length >= ORDER);
                match lookup.find(tokens) {
                    Some(found) => {
                        let length = common_end(&tokens[..found.next], tokens);
                        prop_assert_eq!(length, found.length);
                        // Others with the same hash may take some places up.
                        let latest = agreeing().next().map_or(0, |(length, _)| length);
                        prop_assert!(found.length >= latest);
                    }
                    None => prop_assert!(agreeing().next().is_none()),
                }
            }
        }
    }
}
