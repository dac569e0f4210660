//! Ended sequences, kept for prompts that begin alike.
//!
//! Found by the hash chain of their full pages, then compared token by token,
//! so that the part of the last page that agrees counts too. Least recently
//! used entries go first. Not responsible for what an entry holds: `T` is the
//! keys and values in the program, anything in a test.

use std::collections::HashMap;

use super::page::PageHash;

/// Names an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(u64);

#[derive(Debug)]
struct Entry<T> {
    tokens: Vec<u32>,
    content: T,
    used: u64,
}

/// An entry that shares a beginning with a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    pub entry: EntryId,
    /// Tokens in common.
    pub common: usize,
    /// Tokens of the entry.
    pub length: usize,
}

#[derive(Debug)]
pub struct PrefixIndex<T> {
    root: PageHash,
    entries: HashMap<EntryId, Entry<T>>,
    /// Entries that hold a page.
    pages: HashMap<PageHash, Vec<EntryId>>,
    clock: u64,
}

impl<T> PrefixIndex<T> {
    pub fn new(root: PageHash) -> Self {
        Self {
            root,
            entries: HashMap::new(),
            pages: HashMap::new(),
            clock: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The contents and the tokens they stand for.
    pub fn iter(&self) -> impl Iterator<Item = (&T, usize)> {
        self.entries
            .values()
            .map(|entry| (&entry.content, entry.tokens.len()))
    }

    pub fn content(&self, id: EntryId) -> Option<&T> {
        self.entries.get(&id).map(|entry| &entry.content)
    }

    /// Keeps `content`, which stands for `tokens`. Entries that are beginnings
    /// of it hold nothing of their own any more and are returned.
    pub fn insert(&mut self, tokens: Vec<u32>, content: T) -> Vec<T> {
        let covered: Vec<EntryId> = self
            .entries
            .iter()
            .filter(|(_, entry)| tokens.starts_with(&entry.tokens))
            .map(|(id, _)| *id)
            .collect();
        let covered = covered.into_iter().filter_map(|id| self.remove(id));
        let covered = covered.map(|(_, content)| content).collect();
        self.clock += 1;
        let id = EntryId(self.clock);
        for hash in self.root.chain(&tokens) {
            self.pages.entry(hash).or_default().push(id);
        }
        let used = self.clock;
        self.entries.insert(
            id,
            Entry {
                tokens,
                content,
                used,
            },
        );
        covered
    }

    /// The entry with the longest beginning in common with `prompt`, if any.
    /// Marks it as used.
    pub fn find(&mut self, prompt: &[u32]) -> Option<Match> {
        let deepest = self
            .root
            .chain(prompt)
            .map_while(|hash| self.pages.get(&hash))
            .last();
        // Without a full page in common, a part of the first may agree.
        let candidates = match deepest {
            Some(entries) => entries.clone(),
            None => self.entries.keys().copied().collect(),
        };
        let best = candidates
            .into_iter()
            .filter_map(|id| {
                let entry = self.entries.get(&id)?;
                let pairs = entry.tokens.iter().zip(prompt);
                Some(Match {
                    entry: id,
                    common: pairs.take_while(|(a, b)| a == b).count(),
                    length: entry.tokens.len(),
                })
            })
            .filter(|found| found.common > 0)
            .max_by_key(|found| (found.common, std::cmp::Reverse(found.length), found.entry))?;
        self.clock += 1;
        if let Some(entry) = self.entries.get_mut(&best.entry) {
            entry.used = self.clock;
        }
        Some(best)
    }

    /// Takes an entry out.
    pub fn remove(&mut self, id: EntryId) -> Option<(Vec<u32>, T)> {
        let entry = self.entries.remove(&id)?;
        for hash in self.root.chain(&entry.tokens) {
            if let Some(holders) = self.pages.get_mut(&hash) {
                holders.retain(|holder| *holder != id);
                if holders.is_empty() {
                    self.pages.remove(&hash);
                }
            }
        }
        Some((entry.tokens, entry.content))
    }

    /// Takes the least recently used entry out, other than `keep`.
    pub fn evict(&mut self, keep: Option<EntryId>) -> Option<(Vec<u32>, T)> {
        let oldest = self
            .entries
            .iter()
            .filter(|(id, _)| Some(**id) != keep)
            .min_by_key(|(_, entry)| entry.used)
            .map(|(id, _)| *id)?;
        self.remove(oldest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index() -> PrefixIndex<&'static str> {
        PrefixIndex::new(PageHash::root("m", ""))
    }

    fn tokens(count: u32) -> Vec<u32> {
        (0..count).collect()
    }

    #[test]
    fn the_longest_common_beginning_wins() {
        let mut index = index();
        let mut branch = tokens(150);
        branch[100] = 9999;
        index.insert(tokens(150), "trunk");
        index.insert(branch.clone(), "branch");
        let found = index.find(&tokens(140)).unwrap();
        assert_eq!((found.common, found.length), (140, 150));
        assert_eq!(index.content(found.entry), Some(&"trunk"));
        let found = index.find(&branch[..120]).unwrap();
        assert_eq!(index.content(found.entry), Some(&"branch"));
        assert_eq!(found.common, 120);
        assert_eq!(index.find(&[5000, 1]), None);
    }

    #[test]
    fn less_than_a_page_counts_too() {
        let mut index = index();
        index.insert(tokens(20), "short");
        assert_eq!(index.find(&tokens(30)).unwrap().common, 20);
    }

    #[test]
    fn a_continuation_replaces_its_beginning() {
        let mut index = index();
        assert!(index.insert(tokens(70), "one").is_empty());
        assert_eq!(index.insert(tokens(90), "two"), ["one"]);
        assert_eq!(index.len(), 1);
        assert_eq!(index.pages.len(), 1);
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut index = index();
        index.insert(vec![1, 1], "a");
        index.insert(vec![2, 2], "b");
        index.insert(vec![3, 3], "c");
        let a = index.find(&[1, 1]).unwrap().entry;
        assert_eq!(index.evict(None).unwrap().1, "b");
        index.find(&[3]).unwrap();
        assert_eq!(index.evict(Some(a)).unwrap().1, "c");
        assert!(index.evict(Some(a)).is_none());
        assert_eq!(index.evict(None).unwrap().1, "a");
        assert!(index.is_empty() && index.pages.is_empty());
    }

    proptest! {
        /// Against a plain search over all entries.
        #[test]
        fn finds_what_a_full_search_finds(
            kept in prop::collection::vec(prop::collection::vec(0u32..2, 0..200), 0..8),
            prompt in prop::collection::vec(0u32..2, 0..200),
            cut in 0usize..200,
        ) {
            let mut index = PrefixIndex::new(PageHash::root("m", ""));
            for tokens in &kept {
                index.insert(tokens.clone(), ());
            }
            let mut prompts = vec![prompt];
            prompts.extend(kept.iter().map(|k| k[..cut.min(k.len())].to_vec()));
            for prompt in prompts {
                let common = |k: &Vec<u32>| k.iter().zip(&prompt).take_while(|(a, b)| a == b).count();
                let best = kept.iter().map(common).max().unwrap_or(0);
                prop_assert_eq!(index.find(&prompt).map_or(0, |found| found.common), best);
            }
        }
    }
}
