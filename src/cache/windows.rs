//! Layers that look back a part of the way only: a running sequence holds what
//! their next tokens need, and what it gives up stays with its pages for as long
//! as nothing else needs the room.
//!
//! A prompt can go on after a page only where windows have all that they look
//! at from there. Invariant: what a page keeps for windows is of whole pages.

use std::ops::Range;

use mlx_rs::{error::Exception, transforms::async_eval};

use super::{
    KvCache, PageContent,
    holder::Holder,
    lower::Search,
    page::PAGE_TOKENS,
    pages::{Page, PageId, Place, Walk},
    tail::{Piece, Tail},
    tiers::Found,
};

impl KvCache {
    /// Whether there is what windows hold of a page whose first token stands at
    /// `start`.
    pub(super) fn has_window(&self, page: PageId, start: usize) -> bool {
        if !self.plain.windows().any() {
            return true;
        }
        let Some(page) = self.pages.get(page) else {
            return false;
        };
        page.window.is_some()
            || match page.place {
                Place::Own(_) => false,
                Place::In(holder) => {
                    let tail = self.tail(holder);
                    tail.is_some_and(|tail| start >= tail.window_start())
                }
            }
    }

    /// Goes back to where all layers can go on: where recurrent ones have a
    /// snapshot, and windows what they look at.
    pub(super) fn settle(&self, walk: &mut Walk) {
        if self.snapshots_only || !self.windows_fit(&walk.sources(), walk.tokens()) {
            walk.partial = None;
        }
        let has_snapshot = |path: &[PageId]| {
            let last = path.last().and_then(|page| self.pages.get(*page));
            last.is_some_and(|page| page.snapshot.is_some())
        };
        walk.back_to(|path| {
            (!self.snapshots_only || has_snapshot(path))
                && self.windows_fit(path, path.len() * PAGE_TOKENS)
        });
    }

    /// Whether windows have what the token at `position` looks at before it, all
    /// of it in `pages`.
    fn windows_fit(&self, pages: &[PageId], position: usize) -> bool {
        let first = self.plain.windows().start(position) / PAGE_TOKENS;
        let mut looked_at = pages.iter().enumerate().skip(first);
        looked_at.all(|(at, page)| self.has_window(*page, at * PAGE_TOKENS))
    }

    /// What pages keep of their own for the windows that go on after `walk`, from
    /// the first page that they look at.
    pub(super) fn windows_of(&self, walk: &Walk) -> Vec<Option<PageContent>> {
        if !self.plain.windows().any() {
            return Vec::new();
        }
        let first = self.plain.windows().start(walk.tokens()) / PAGE_TOKENS;
        let sources = walk.sources().into_iter().skip(first);
        let own = |page| self.pages.get(page)?.window.clone();
        sources.map(own).collect()
    }

    /// The pieces that windows are made of, with `windows` of their pages.
    pub(super) fn recent_pieces<'a>(
        &'a self,
        walk: &Walk,
        windows: &'a [Option<PageContent>],
    ) -> Option<Vec<Piece<'a>>> {
        let sources = walk.sources();
        let first = sources.len() - windows.len();
        let mut pieces = Vec::with_capacity(windows.len());
        let pages = sources.iter().enumerate().skip(first);
        for ((at, page), window) in pages.zip(windows) {
            let start = at * PAGE_TOKENS;
            let count = (walk.tokens() - start).min(PAGE_TOKENS);
            pieces.push(match (window, self.place_of(*page)) {
                (Some(content), _) => Piece::Page(content, count),
                (None, Some(holder)) => Piece::Tail(self.tail(holder)?, start..start + count),
                (None, None) => return None,
            });
        }
        Some(pieces)
    }

    /// Sees to it that windows of a running sequence hold no more than they need
    /// when it has `tokens` tokens.
    ///
    /// # Errors
    /// When MLX refuses to copy what they keep.
    pub(super) fn slide(&mut self, sequence: usize, tokens: usize) -> Result<(), Exception> {
        let running = self.running.get(&sequence);
        let Some(start) = running.and_then(|it| it.holder.tail.slides_to(tokens)) else {
            return Ok(());
        };
        let Some(mut running) = self.running.remove(&sequence) else {
            return Ok(());
        };
        let kept = match self.kept_limit {
            0 => Ok(()),
            _ => self.keep_before(&mut running.holder, &running.prompt, start),
        };
        let slid = kept.and_then(|()| running.holder.tail.slide(start));
        self.running.insert(sequence, running);
        self.keep_within_limit();
        slid
    }

    /// Keeps what the windows of a holder have before `start` with the pages that
    /// its prompt is, which are made of it as far as there are none.
    fn keep_before(
        &mut self,
        holder: &mut Holder,
        prompt: &[u32],
        start: usize,
    ) -> Result<(), Exception> {
        let sealed = self.sealable(holder, start.min(prompt.len()));
        let sealed = sealed / PAGE_TOKENS * PAGE_TOKENS;
        if sealed > holder.path.len() * PAGE_TOKENS {
            self.register(holder, &prompt[..sealed]);
        }
        let first = holder.tail.window_start() / PAGE_TOKENS;
        let path = holder.path.iter().enumerate();
        let leaving = path.take(start / PAGE_TOKENS).skip(first);
        let own = leaving.filter(|(_, id)| {
            let page = self.pages.get(**id);
            let lacks = |page: &Page| page.is_in(holder.id) && page.window.is_none();
            // The last may end before the tokens do.
            page.is_some_and(|page| page.is_full() && lacks(page))
        });
        let ranges = own.map(|(at, id)| (*id, at * PAGE_TOKENS..(at + 1) * PAGE_TOKENS));
        let ranges: Vec<_> = ranges.collect();
        self.keep_windows(&holder.tail, &ranges)
    }

    /// Copies what the windows of a tail hold of some pages, to keep it with
    /// these.
    ///
    /// # Errors
    /// When MLX refuses.
    pub(super) fn keep_windows(
        &mut self,
        tail: &Tail,
        pages: &[(PageId, Range<usize>)],
    ) -> Result<(), Exception> {
        if pages.is_empty() {
            return Ok(());
        }
        let ranges: Vec<_> = pages.iter().map(|(_, range)| range.clone()).collect();
        let contents = tail.cut_windows(&ranges)?;
        // Lazy copies would hold the whole buffers.
        async_eval(contents.iter().flat_map(PageContent::arrays))?;
        for ((page, _), content) in pages.iter().zip(contents) {
            self.pages.put_window(*page, Some(content));
        }
        Ok(())
    }

    /// Gives a page a content of its own.
    pub(super) fn put_content(&mut self, page: PageId, content: PageContent) {
        let (content, window) = content.split(self.plain.windows());
        self.pages.put(page, Place::Own(content));
        if window.is_some() {
            self.pages.put_window(page, window);
        }
    }

    /// Reads what the windows that go on after `walk` lack from lower tiers.
    pub(super) fn read_windows(&mut self, search: &Search, walk: &Walk) {
        let first = self.plain.windows().start(walk.tokens()) / PAGE_TOKENS;
        for (at, id) in walk.path.iter().enumerate().skip(first) {
            if self.has_window(*id, at * PAGE_TOKENS) {
                continue;
            }
            let page = search.page(at, None);
            let window = |found: Option<Found>| found?.content.split(self.plain.windows()).1;
            let window = window(page.and_then(|page| search.tiers.in_ram(page))).or_else(|| {
                window(page.and_then(|page| search.tiers.on_disk(page, &search.scheme)))
            });
            if window.is_none() {
                return;
            }
            self.pages.put_window(*id, window);
        }
    }

    /// Gives up what windows hold of the page that was used longest ago, unless
    /// a page or the sequence that was used at `hot` comes first.
    pub(super) fn give_up_window(&mut self, hot: Option<u64>) -> bool {
        let Some((used, page)) = self.pages.oldest_window() else {
            return false;
        };
        let older = |other: Option<u64>| other.is_some_and(|other| other < used);
        if older(hot) || older(self.pages.oldest().map(|(used, _)| used)) {
            return false;
        }
        // Lower tiers are asked for it when it is looked for again.
        self.save_before(page);
        self.keep_in_ram(page);
        self.pages.put_window(page, None);
        true
    }
}
