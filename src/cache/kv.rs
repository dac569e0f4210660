//! The KV cache of one model: running sequences, those that have just ended,
//! and sealed pages, under one limit of bytes.
//!
//! A running sequence computes in a tail of its own. When its prompt is
//! computed, and when it ends, its tokens become pages, whose content stays in
//! the tail: nothing is copied. The latest tails stay as they are (`hot`), so
//! that the next turn of a chat goes on in place; older ones are cut up into
//! pages with buffers of their own. A prompt that begins as pages do gets a
//! tail gathered from them.
//!
//! Not responsible for which sequences run, or for tokens that a sequence has
//! not computed yet.

use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use mlx_rs::{Array, error::Exception};

use super::{
    Buffers, CacheCounters, KvLayer, KvMode, KvStore, PageHash, Past, Refusal, Scheme, Taken,
    counters::PrefixCounters,
    holder::{Holder, Rest, Running},
    page::{PAGE_TOKENS, pages},
    pages::PageStore,
    tail::{RowForm, Tail},
    tiers::Tiers,
};

/// Why a sequence cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error(
        "{needed} bytes of keys and values are needed, {used} of {limit} are held by running requests"
    )]
    Full { needed: u64, used: u64, limit: u64 },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Mlx(#[from] Exception),
}

/// What a cache is made for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CacheOptions {
    /// Covers everything about the model that changes keys and values.
    pub fingerprint: String,
    pub layers: Vec<KvLayer>,
    /// What a sequence carries on besides, however long it is.
    pub state_bytes: u64,
    /// Some layers are recurrent: others begin where there is a snapshot of
    /// them, and nowhere else.
    pub snapshots_only: bool,
    /// Bytes of running and ended sequences and pages together.
    pub limit: u64,
    /// Bytes of ended sequences and pages. The sequence that ended last may
    /// hold more.
    pub kept_limit: u64,
    /// Tokens of a sequence that a step has at most: room for them beside a
    /// window.
    pub step_rows: usize,
}

/// How the keys and values of a sequence are kept, and whose they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KvPolicy {
    pub mode: KvMode,
    /// Prompts with other salts find nothing of it.
    pub salt: String,
}

/// Prompts of one model begin alike for a few tokens, whatever they say: so few
/// are computed again sooner than they are gathered, and count as nothing found.
pub(super) const LEAST_COMMON: usize = 16;
/// Ended sequences that are kept whole: the turns of as many chats go on
/// without a copy, at the price of their tails' unused room.
pub(super) const HOT: usize = 4;
#[derive(Debug)]
pub struct KvCache {
    pub(super) running: HashMap<usize, Running>,
    /// Latest last.
    pub(super) hot: VecDeque<Holder>,
    pub(super) pages: PageStore,
    pub(super) tiers: Tiers,
    fingerprint: String,
    pub(super) layers: Vec<KvLayer>,
    state_bytes: u64,
    pub(super) snapshots_only: bool,
    step_rows: usize,
    pub(super) plain: Rc<Scheme>,
    /// Those of other modes, as far as they were asked for.
    schemes: Vec<(KvMode, Rc<Scheme>)>,
    pub(super) limit: u64,
    pub(super) kept_limit: u64,
    pub(super) holders: u64,
    pub(super) evicted: u64,
    prefix: PrefixCounters,
}

impl KvCache {
    pub fn new(options: CacheOptions) -> Self {
        let plain = Scheme::new(KvMode::Plain, &options.layers, options.step_rows);
        Self {
            running: HashMap::new(),
            hot: VecDeque::new(),
            pages: PageStore::default(),
            tiers: Tiers::default(),
            fingerprint: options.fingerprint,
            layers: options.layers,
            state_bytes: options.state_bytes,
            snapshots_only: options.snapshots_only,
            step_rows: options.step_rows,
            plain: Rc::new(plain.unwrap_or_default()),
            schemes: Vec::new(),
            limit: options.limit,
            kept_limit: options.kept_limit.min(options.limit),
            holders: 0,
            evicted: 0,
            prefix: PrefixCounters::default(),
        }
    }

    pub(super) fn scheme(&mut self, mode: KvMode) -> Result<Rc<Scheme>, Refusal> {
        if mode == KvMode::Plain {
            return Ok(Rc::clone(&self.plain));
        }
        if let Some((_, scheme)) = self.schemes.iter().find(|(known, _)| *known == mode) {
            return Ok(Rc::clone(scheme));
        }
        let scheme = Rc::new(Scheme::new(mode, &self.layers, self.step_rows)?);
        self.schemes.push((mode, Rc::clone(&scheme)));
        Ok(scheme)
    }

    /// Takes in a sequence that is expected to reach `expected` tokens, and
    /// says how many tokens of `prompt` need not be computed: at least one is
    /// always left, for its logits.
    ///
    /// # Errors
    /// [`CacheError::Full`] when running sequences leave too little; what is
    /// kept makes room. [`CacheError::Refused`] when the model cannot take the
    /// policy's mode.
    pub fn admit(
        &mut self,
        sequence: usize,
        prompt: &[u32],
        expected: usize,
        policy: &KvPolicy,
    ) -> Result<usize, CacheError> {
        let expected = expected.max(prompt.len());
        let scheme = self.scheme(policy.mode)?;
        let promised = scheme.bytes_for(expected) + self.state_bytes;
        self.check_room(promised)?;
        let wanted = &prompt[..prompt.len().saturating_sub(1)];
        let root = PageHash::root(&self.fingerprint, &policy.mode.to_string(), &policy.salt);
        let mut walk = self.pages.walk(root, wanted);
        walk.forget_shorter_than(LEAST_COMMON);
        let below = self.walk_on(&mut walk, wanted, promised, &scheme);
        self.settle(&mut walk);
        let holder = match self.continued(root, wanted, walk.tokens()) {
            Some((at, common)) => self.take_over(at, common, expected)?,
            None => self.gather(&walk, promised, expected, scheme)?,
        };
        let cached = holder.tail.length();
        self.prefix.count(cached, below, walk.end);
        let prompt = match self.plain.windows().any() {
            true => wanted.to_vec(),
            false => Vec::new(),
        };
        let running = Running {
            holder,
            promised,
            prompt,
        };
        self.running.insert(sequence, running);
        self.keep_within_limit();
        Ok(cached)
    }

    fn check_room(&self, needed: u64) -> Result<(), CacheError> {
        let (used, limit) = (self.running_bytes(), self.limit);
        if used.saturating_add(needed) > limit {
            return Err(CacheError::Full {
                needed,
                used,
                limit,
            });
        }
        Ok(())
    }

    /// Makes pages of the first tokens of a running sequence, all of which it
    /// has computed: other prompts may begin with them from now on.
    pub fn seal(&mut self, sequence: usize, tokens: &[u32]) {
        if let Some(mut running) = self.running.remove(&sequence) {
            let length = running.holder.tail.length().min(tokens.len());
            let sealed = self.sealable(&running.holder, length);
            self.register(&mut running.holder, &tokens[..sealed]);
            self.running.insert(sequence, running);
        }
    }

    /// Makes room for `tokens` tokens of a running sequence: what windows need no
    /// more is given up, and more is taken if it outgrows what it was admitted
    /// with.
    ///
    /// # Errors
    /// [`CacheError::Full`], or when MLX refuses to copy what windows keep.
    pub fn grow(&mut self, sequence: usize, tokens: usize) -> Result<(), CacheError> {
        self.slide(sequence, tokens)?;
        let running = self.running.get(&sequence);
        let scheme = running.map(|running| running.holder.tail.scheme());
        let total = scheme.unwrap_or(&self.plain).bytes_for(tokens) + self.state_bytes;
        // Asked for every row of every step: nearly always this is the answer.
        if running.is_some_and(|running| total <= running.promised) {
            return Ok(());
        }
        let needed = total.saturating_sub(running.map_or(0, Running::bytes));
        if needed == 0 {
            return Ok(());
        }
        self.check_room(needed)?;
        if let Some(running) = self.running.get_mut(&sequence) {
            running.promised = total;
        }
        self.keep_within_limit();
        Ok(())
    }

    /// Forgets the tokens of a running sequence from `length` on: proposals that
    /// were not accepted. Pages are of tokens that stay, and are never cut. Says
    /// how many tokens are left: with recurrent layers those before the
    /// proposals, unless all of these stay.
    ///
    /// # Errors
    /// When pages were made of tokens that lie behind `length`, or recurrent
    /// layers cannot go back so far.
    pub fn truncate(&mut self, sequence: usize, length: usize) -> Result<usize, Exception> {
        let path = self.running.get(&sequence).map(|it| &it.holder.path[..]);
        let last = path.unwrap_or_default().iter().enumerate().rev();
        let sealed = last
            .filter_map(|(at, page)| Some(at * PAGE_TOKENS + self.pages.get(*page)?.tokens.len()))
            .next();
        if sealed.is_some_and(|sealed| sealed > length) {
            return Err(Exception::custom(format!(
                "sequence {sequence} cannot be cut to {length} tokens: pages were made of {}",
                sealed.unwrap_or(0)
            )));
        }
        let tail = self.tail_of(sequence)?;
        let had_states = tail.has_states();
        let left = tail.truncate(length)?;
        if had_states && !tail.has_states() {
            return Err(Exception::custom(format!(
                "sequence {sequence} cannot be cut to {length} tokens: its states stand for more"
            )));
        }
        Ok(left)
    }

    /// Ends a running sequence. With `tokens`, those whose keys and values it
    /// has, it is kept for later prompts as far as the limit allows.
    pub fn release(&mut self, sequence: usize, tokens: Option<&[u32]>) {
        let Some(Running { mut holder, .. }) = self.running.remove(&sequence) else {
            return;
        };
        let length = tokens.map_or(0, |tokens| tokens.len().min(holder.tail.length()));
        let tokens = tokens.map_or(&[][..], |tokens| &tokens[..length]);
        let sealed = self.sealable(&holder, length);
        self.register(&mut holder, &tokens[..sealed]);
        holder.snapshots.clear();
        for page in &holder.path {
            self.pages.release(*page);
        }
        if length == 0 {
            self.vacate(&mut holder, 0, Rest::Removed);
            return;
        }
        if self.plain.windows().start(length) < holder.tail.window_start() {
            // Its pages may be of use, its end is not.
            self.vacate(&mut holder, 0, Rest::CutUp);
            self.keep_within_limit();
            return;
        }
        // What is only proposed is no part of it.
        let left = holder.tail.truncate(length).unwrap_or_else(|error| {
            tracing::warn!(%error, "an ended sequence could not be cut back and is given up");
            0
        });
        let goes_on = holder.tail.state_tokens() == Some(left);
        let usable = !self.snapshots_only || sealed > 0 || goes_on;
        if left == 0 || !usable {
            self.vacate(&mut holder, 0, Rest::Removed);
            return;
        }
        holder.tokens = tokens[..left].to_vec();
        holder.used = self.pages.tick();
        self.hot.push_back(holder);
        if self.hot.len() > HOT {
            self.cool(0);
        }
        self.keep_within_limit();
    }

    /// Forgets everything but the running sequences' own tails.
    pub fn clear(&mut self) {
        self.hot.clear();
        self.pages.clear();
        for running in self.running.values_mut() {
            running.holder.snapshots.clear();
            running.holder.path.clear();
        }
    }

    fn tail_of(&mut self, sequence: usize) -> Result<&mut Tail, Exception> {
        let running = self.running.get_mut(&sequence);
        running
            .map(|running| &mut running.holder.tail)
            .ok_or_else(|| {
                Exception::custom(format!("the cache does not know sequence {sequence}"))
            })
    }

    /// Everything of `sequence` that is not computed yet hangs on these.
    pub fn arrays(&self, sequence: usize) -> impl Iterator<Item = &Array> {
        let running = self.running.get(&sequence).into_iter();
        running.flat_map(|running| running.holder.tail.arrays())
    }

    pub fn counters(&self) -> CacheCounters {
        let (running_bytes, kept_bytes) = (self.running_bytes(), self.kept_bytes());
        let page_bytes = self.plain.page_bytes();
        let running = self.running.values();
        let hot: usize = self.hot.iter().map(|hot| pages(hot.tokens.len())).sum();
        CacheCounters {
            running_bytes,
            kept_bytes,
            used: running
                .map(|running| pages(running.holder.tail.length()))
                .sum(),
            kept: self.pages.owned().1 + hot,
            free: (self.limit.saturating_sub(running_bytes + kept_bytes) / page_bytes) as usize,
            evicted: self.evicted,
            prefix: self.prefix,
        }
    }
}

impl KvStore for KvCache {
    fn update(
        &mut self,
        sequence: usize,
        layer: usize,
        keys: Array,
        values: Array,
    ) -> Result<Past, Exception> {
        self.tail_of(sequence)?.append(layer, &keys, &values)
    }

    fn has_place(&self, sequence: usize, layer: usize) -> bool {
        let running = self.running.get(&sequence);
        running.is_some_and(|running| running.holder.tail.is_plain(layer))
    }

    fn place(
        &mut self,
        sequence: usize,
        own: (usize, usize),
        form: RowForm,
    ) -> Result<Buffers, Exception> {
        self.tail_of(sequence)?.place(own, form)
    }

    fn state(&mut self, sequence: usize, layer: usize) -> Result<Option<Vec<Array>>, Exception> {
        Ok(self.tail_of(sequence)?.state(layer))
    }

    fn set_state(
        &mut self,
        sequence: usize,
        layer: usize,
        taken: Taken,
        state: Vec<Array>,
    ) -> Result<(), Exception> {
        self.tail_of(sequence)?.set_state(layer, taken, state);
        Ok(())
    }
}
