//! How far the pages of a prompt are kept: full pages by hash, then the page
//! that agrees longest.

use super::{PageId, PageStore};
use crate::cache::page::{PAGE_TOKENS, PageHash};

/// Why a walk goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkEnd {
    /// All tokens were found.
    Complete,
    /// What was kept ends here.
    NoPage,
    /// What was kept goes on with other tokens.
    OtherTokens,
    /// The next page was there and had to go.
    Evicted,
}

/// What is kept of a prompt.
#[derive(Debug, Clone)]
pub struct Walk {
    /// What the pages' hashes build on.
    pub root: PageHash,
    /// Full pages, from the first.
    pub path: Vec<PageId>,
    /// A page that agrees in its first tokens only, and in how many.
    pub partial: Option<(PageId, usize)>,
    pub end: WalkEnd,
}

impl Walk {
    /// All pages of it.
    pub fn sources(&self) -> Vec<PageId> {
        let partial = self.partial.iter().map(|(page, _)| page);
        self.path.iter().chain(partial).copied().collect()
    }

    /// Drops what was found if it is less than `least` tokens in all.
    pub fn forget_shorter_than(&mut self, least: usize) {
        if self.tokens() < least {
            self.path.clear();
            self.partial = None;
        }
    }

    /// Goes back to the deepest page of which `fits` says, given the pages up to
    /// it, that all layers can go on after it.
    pub fn back_to(&mut self, fits: impl Fn(&[PageId]) -> bool) {
        while !self.path.is_empty() && !fits(&self.path) {
            self.path.pop();
            self.partial = None;
            self.end = WalkEnd::NoPage;
        }
    }

    pub fn tokens(&self) -> usize {
        self.path.len() * PAGE_TOKENS + self.partial.map_or(0, |(_, tokens)| tokens)
    }
}

impl PageStore {
    /// What is kept of `prompt` below `root`; marks it as used.
    pub fn walk(&mut self, root: PageHash, prompt: &[u32]) -> Walk {
        let mut path = Vec::new();
        let mut hash = root;
        for tokens in prompt.chunks_exact(PAGE_TOKENS) {
            hash = hash.child(tokens);
            let Some(id) = self.by_hash.get(&hash) else {
                break;
            };
            path.push(*id);
        }
        let rest = &prompt[path.len() * PAGE_TOKENS..];
        let partial = self.closest(root, path.last().copied(), rest);
        let end = match partial {
            _ if rest.is_empty() => WalkEnd::Complete,
            Some((_, tokens)) if tokens == rest.len() => WalkEnd::Complete,
            _ if self.evicted_set.contains(&hash) => WalkEnd::Evicted,
            Some((id, tokens)) if self.pages[&id].tokens.len() == tokens => WalkEnd::NoPage,
            _ if self.children(root, path.last().copied()).is_empty() => WalkEnd::NoPage,
            _ => WalkEnd::OtherTokens,
        };
        let now = self.tick();
        for id in path.iter().chain(partial.iter().map(|(id, _)| id)) {
            self.change(*id, |page| page.used = now);
        }
        Walk {
            root,
            path,
            partial,
            end,
        }
    }

    /// The child of `parent` with the longest beginning in common with
    /// `tokens`, if there is any.
    fn closest(
        &self,
        root: PageHash,
        parent: Option<PageId>,
        tokens: &[u32],
    ) -> Option<(PageId, usize)> {
        let common = |id: &PageId| {
            let own = self.pages.get(id).map_or(&[][..], |page| &page.tokens);
            own.iter().zip(tokens).take_while(|(a, b)| a == b).count()
        };
        let children = self.children(root, parent).iter();
        children
            .map(|id| (*id, common(id)))
            .filter(|(_, common)| *common > 0)
            .max_by_key(|(id, common)| (*common, *id))
    }
}
