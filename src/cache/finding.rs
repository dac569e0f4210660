//! How a prompt begins with what is kept: an ended sequence goes on in place, or
//! a tail is gathered from pages.

use std::rc::Rc;

use mlx_rs::error::Exception;

use super::{
    CacheError, KvCache, PageHash, Scheme,
    holder::{Holder, Rest},
    kv::LEAST_COMMON,
    page::PAGE_TOKENS,
    pages::{HolderId, Place, Walk},
    tail::{Piece, Tail},
};

/// An ended sequence goes on in place if at most this many of its tokens are
/// written over by it; otherwise what agrees is gathered.
const TAKE_OVER_WASTE: usize = PAGE_TOKENS;
/// So few tokens that are written over are not copied before: templates write
/// the end of a prompt in another way when a turn has followed.
const WORTHLESS: usize = 16;

impl KvCache {
    /// The ended sequence that `wanted` goes on from, if none of the pages is
    /// worth more, and the tokens in common.
    pub(super) fn continued(
        &self,
        root: PageHash,
        wanted: &[u32],
        in_pages: usize,
    ) -> Option<(usize, usize)> {
        let common = |holder: &Holder| {
            let own = if holder.root == root {
                &holder.tokens[..]
            } else {
                &[]
            };
            let pairs = own.iter().zip(wanted);
            pairs.take_while(|(a, b)| a == b).count()
        };
        let best = self.hot.iter().enumerate();
        best.map(|(at, holder)| (at, common(holder)))
            .filter(|(at, common)| {
                let waste = self.hot[*at].tokens.len() - common;
                let tail = &self.hot[*at].tail;
                // States stand for all of their tokens.
                let states = || tail.state_tokens() == Some(*common);
                *common >= LEAST_COMMON.max(in_pages)
                    && waste <= TAKE_OVER_WASTE
                    && self.plain.windows().start(*common) >= tail.window_start()
                    && (!self.snapshots_only || states())
            })
            .max_by_key(|(at, common)| (*common, *at))
    }

    /// Lets an ended sequence go on after its first `common` tokens.
    ///
    /// # Errors
    /// When packed tokens cannot be unpacked; what was kept is lost then.
    pub(super) fn take_over(
        &mut self,
        at: usize,
        common: usize,
        expected: usize,
    ) -> Result<Holder, Exception> {
        let mut holder = self.hot.remove(at).unwrap_or_default();
        let whole = common == holder.tokens.len();
        let kept = if whole {
            holder.path.len()
        } else {
            common / PAGE_TOKENS
        };
        let little = holder.tokens.len() - common <= WORTHLESS;
        let rest = if little { Rest::Removed } else { Rest::Copied };
        self.vacate(&mut holder, kept, rest);
        holder.tokens = Vec::new();
        if let Err(error) = holder.tail.truncate(common) {
            self.vacate(&mut holder, 0, Rest::Removed);
            return Err(error);
        }
        holder.tail.reserve(expected);
        // Its last page may have become the beginning of another.
        holder.path.retain(|page| self.pages.contains(*page));
        for page in &holder.path {
            self.pages.refer(*page);
        }
        Ok(holder)
    }

    /// A tail of the pages that were found, or an empty one.
    pub(super) fn gather(
        &mut self,
        walk: &Walk,
        promised: u64,
        expected: usize,
        scheme: Rc<Scheme>,
    ) -> Result<Holder, CacheError> {
        self.holders += 1;
        let empty = Tail::new(expected, Rc::clone(&scheme));
        let mut holder = Holder::new(HolderId(self.holders), walk.root, empty);
        if walk.tokens() == 0 {
            return Ok(holder);
        }
        let last = walk.path.last().and_then(|page| self.pages.get(*page));
        // Whoever makes room may give it up.
        let snapshot = last.and_then(|page| page.snapshot.clone());
        if self.snapshots_only && snapshot.is_none() {
            return Ok(holder);
        }
        let sources = walk.sources();
        sources.iter().for_each(|page| self.pages.refer(*page));
        let kept: Vec<HolderId> = sources.iter().filter_map(|p| self.place_of(*p)).collect();
        // Making room may give up what windows hold of them.
        let windows = self.windows_of(walk);
        self.make_room(self.limit.saturating_sub(promised), &kept);
        let recent = self.recent_pieces(walk, &windows);
        let pieces = self.pieces(walk).zip(recent);
        let gathered =
            pieces.map(|(pieces, recent)| Tail::gather(&pieces, &recent, expected, scheme));
        match gathered {
            Some(Ok(tail)) => {
                walk.partial
                    .iter()
                    .for_each(|(p, _)| self.pages.release(*p));
                holder.tail = tail;
                if let Some(snapshot) = snapshot {
                    holder.tail.restore(&snapshot);
                }
                holder.path = walk.path.clone();
                Ok(holder)
            }
            Some(Err(error)) => {
                sources.iter().for_each(|page| self.pages.release(*page));
                Err(error.into())
            }
            None => {
                sources.iter().for_each(|page| self.pages.release(*page));
                Ok(holder)
            }
        }
    }

    /// The pages of a walk, those that lie in one tail in one piece. `None` if
    /// one is not where it should be.
    fn pieces(&self, walk: &Walk) -> Option<Vec<Piece<'_>>> {
        let full = walk.path.iter().map(|page| (*page, PAGE_TOKENS));
        let mut pieces: Vec<Piece> = Vec::new();
        for (at, (page, count)) in full.chain(walk.partial).enumerate() {
            let start = at * PAGE_TOKENS;
            match &self.pages.get(page)?.place {
                Place::Own(content) => pieces.push(Piece::Page(content, count)),
                Place::In(id) => match (self.tail(*id)?, pieces.last_mut()) {
                    (tail, Some(Piece::Tail(last, range)))
                        if std::ptr::eq(*last, tail) && range.end == start =>
                    {
                        range.end += count;
                    }
                    (tail, _) => pieces.push(Piece::Tail(tail, start..start + count)),
                },
            }
        }
        Some(pieces)
    }
}
