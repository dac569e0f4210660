//! The keys and values of one sequence, layer by layer (`layer`), in buffers
//! that grow (`run`).
//!
//! Invariants: all layers are packed as the sequence's scheme says; those that
//! are windows all begin with the same token, the first of a page.

mod layer;
mod run;
mod states;
#[cfg(test)]
mod tests;

use std::{ops::Range, rc::Rc};

use mlx_rs::{Array, error::Exception};

pub use self::run::{GROWTH, RowForm};
use self::{
    layer::Layer,
    run::{Run, Slice, form},
    states::States,
};
use super::{
    Buffers, Past, Taken,
    content::{PageContent, Snapshot},
    scheme::Scheme,
};

/// Bytes of pages that are copied at once: few waits, little memory twice.
const AT_ONCE: usize = 64 << 20;

/// Tokens whose keys and values are computed, to make a tail of.
#[derive(Debug)]
pub enum Piece<'a> {
    /// The first tokens of a page.
    Page(&'a PageContent, usize),
    /// Tokens of another tail.
    Tail(&'a Tail, Range<usize>),
}

impl Piece<'_> {
    fn tokens(&self) -> usize {
        match self {
            Self::Page(_, tokens) => *tokens,
            Self::Tail(_, range) => range.len(),
        }
    }

    fn layers(&self) -> usize {
        match self {
            Self::Page(page, _) => page.layers.len(),
            Self::Tail(tail, _) => tail.layers.len(),
        }
    }

    /// What a layer keeps of the tokens; `None` if it keeps nothing.
    fn slices(&self, layer: usize) -> Option<Vec<Slice>> {
        Some(match self {
            Self::Page(page, count) => {
                let whole = Slice::whole(page.layers.get(layer)?.clone()?);
                vec![whole.part_of(0, *count)]
            }
            Self::Tail(tail, range) => {
                let layer = tail.layers.get(layer)?.as_ref()?;
                layer.slices(range.start, range.end)
            }
        })
    }
}

/// Keys and values of a sequence, layer by layer.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    layers: Vec<Option<Layer>>,
    /// Of the recurrent layers.
    states: States,
    /// The position that windows begin with: older tokens were given up.
    window_start: usize,
    /// Capacity to begin with, so that a long prompt does not grow in steps.
    reserve: usize,
    scheme: Rc<Scheme>,
}

impl Tail {
    pub fn new(reserve: usize, scheme: Rc<Scheme>) -> Self {
        Self {
            layers: Vec::new(),
            states: States::default(),
            window_start: 0,
            reserve,
            scheme,
        }
    }

    pub fn scheme(&self) -> &Rc<Scheme> {
        &self.scheme
    }

    /// Tokens that all layers have.
    pub fn length(&self) -> usize {
        let lengths = self.layers.iter().flatten().map(Layer::length);
        lengths.chain(self.states.tokens()).min().unwrap_or(0)
    }

    /// Whether any layer carries on a state.
    pub fn has_states(&self) -> bool {
        !self.states.is_empty()
    }

    /// How many tokens the states stand for, proposals left out, if the layers
    /// have them all.
    pub fn state_tokens(&self) -> Option<usize> {
        let tokens = self.states.firm_tokens()?;
        let mut layers = self.layers.iter().flatten();
        layers.all(|it| it.length() >= tokens).then_some(tokens)
    }

    /// All states, as they stand for `tokens` tokens, see
    /// [`Tail::state_tokens`].
    pub fn snapshot(&self, tokens: usize) -> Snapshot {
        self.states.snapshot(tokens)
    }

    /// Goes on from a snapshot of as many tokens as the layers have.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.states = States::restore(snapshot);
    }

    /// What a recurrent layer carries on.
    pub fn state(&self, layer: usize) -> Option<Vec<Array>> {
        self.states.get(layer)
    }

    /// Replaces what a recurrent layer carries on.
    pub fn set_state(&mut self, layer: usize, taken: Taken, arrays: Vec<Array>) {
        self.states.set(layer, taken, arrays);
    }

    /// Bytes of all buffers and states.
    pub fn bytes(&self) -> u64 {
        let layers: u64 = self.layers.iter().flatten().map(Layer::bytes).sum();
        let states = self.states.arrays().map(|array| array.nbytes() as u64);
        layers + states.sum::<u64>()
    }

    /// Forgets all tokens from `length` on and says how many are left: fewer
    /// where states had to go back to what they were before proposals. States
    /// that cannot go back so far are lost.
    ///
    /// # Errors
    /// When packed tokens cannot be unpacked, or windows have given up tokens
    /// that they would need.
    pub fn truncate(&mut self, length: usize) -> Result<usize, Exception> {
        let length = self.states.go_back(length);
        if self.scheme.windows().start(length) < self.window_start {
            return Err(Exception::custom(format!(
                "a sequence whose windows begin at {} cannot be cut to {length} tokens",
                self.window_start
            )));
        }
        for (at, layer) in self.layers.iter_mut().enumerate() {
            if let Some(layer) = layer {
                layer.truncate(length, self.scheme.layer(at), self.reserve)?;
            }
        }
        Ok(length)
    }

    pub fn window_start(&self) -> usize {
        self.window_start
    }

    /// Where windows have to begin for them to hold `tokens` tokens' newest
    /// within their bounds; `None` if they may stay as they are.
    pub fn slides_to(&self, tokens: usize) -> Option<usize> {
        let windows = self.scheme.windows();
        if !windows.any() || tokens - self.window_start.min(tokens) <= windows.most() {
            return None;
        }
        let start = windows.done_with(self.length());
        (start > self.window_start).then_some(start)
    }

    /// Gives up what windows hold before `start`.
    ///
    /// # Errors
    /// When MLX refuses to copy what they keep.
    pub fn slide(&mut self, start: usize) -> Result<(), Exception> {
        let windows = self.scheme.windows();
        let layers = self.layers.iter_mut().enumerate();
        for (_, layer) in layers.filter(|(at, _)| windows.has(*at)) {
            if let Some(layer) = layer {
                layer.slide(start, windows.most())?;
            }
        }
        self.window_start = start;
        Ok(())
    }

    /// Capacity of a layer's buffers to begin with.
    fn reserve_of(&self, layer: usize) -> usize {
        let windows = self.scheme.windows();
        match windows.has(layer) {
            true => self.reserve.min(windows.most()),
            false => self.reserve,
        }
    }

    /// Makes room for `tokens` tokens when a buffer next grows.
    pub fn reserve(&mut self, tokens: usize) {
        self.reserve = self.reserve.max(tokens);
    }

    /// Appends `[1, kv_heads, T, head_dim]` to a layer and gives everything
    /// that it has. Full pages of earlier tokens are packed before, where the
    /// layer is.
    pub fn append(
        &mut self,
        layer: usize,
        keys: &Array,
        values: &Array,
    ) -> Result<Past, Exception> {
        if keys.ndim() != 4 || values.ndim() != 4 {
            return Err(Exception::custom(format!(
                "keys {:?} and values {:?} must have four dimensions",
                keys.shape(),
                values.shape()
            )));
        }
        let scheme = Rc::clone(&self.scheme);
        let packing = scheme.layer(layer);
        let rotation = packing.and_then(|packing| packing.rotation.clone());
        let rows = match &rotation {
            Some(rotation) => [rotation.rotate(keys)?, rotation.rotate(values)?],
            None => [keys.clone(), values.clone()],
        };
        let mut own = self.room(
            layer,
            rows[0].dim(2) as usize,
            [form(&rows[0]), form(&rows[1])],
        )?;
        own.recent.write([&rows[0], &rows[1]])?;
        let (segments, start) = (own.segments(packing)?, own.start());
        self.layers[layer] = Some(own);
        Ok(Past::new(segments, start, rotation))
    }

    /// Whether a layer has one buffer of all its tokens.
    pub fn is_plain(&self, layer: usize) -> bool {
        self.scheme.layer(layer).is_none()
    }

    /// Counts `tokens` more tokens in a plain layer and gives its whole buffers:
    /// the caller writes the tokens' keys and values into them in place.
    pub fn place(
        &mut self,
        (layer, tokens): (usize, usize),
        like: RowForm,
    ) -> Result<Buffers, Exception> {
        let mut own = self.room(layer, tokens, [like, like])?;
        own.recent.end += tokens;
        let buffers = Buffers {
            arrays: own.recent.buffers.clone(),
            start: own.recent.start,
        };
        self.layers[layer] = Some(own);
        Ok(buffers)
    }

    /// Takes a layer out, packed as far as it is to be and with room for
    /// `count` more tokens.
    fn room(&mut self, layer: usize, count: usize, like: [RowForm; 2]) -> Result<Layer, Exception> {
        if self.layers.len() <= layer {
            self.layers.resize(layer + 1, None);
        }
        let packing = self.scheme.layer(layer);
        // Of packed layers only the latest tokens are here.
        let reserve = packing.map_or(self.reserve_of(layer), |_| 0);
        let Some(mut own) = self.layers[layer].take() else {
            let capacity = count.max(reserve).next_multiple_of(GROWTH);
            return Run::empty(like, 0, capacity).map(Layer::new);
        };
        if let Some(packing) = packing {
            own.pack(packing, self.reserve)?;
        }
        own.recent.make_room(count, reserve)?;
        Ok(own)
    }

    /// A tail of all `pieces` one after the other, computed before it is
    /// returned: a lazy copy could see later writes in place. Windows are made of
    /// the pieces `recent`, the last of the same tokens.
    ///
    /// # Errors
    /// When the pieces are not of one model, or lack something.
    pub fn gather(
        pieces: &[Piece],
        recent: &[Piece],
        reserve: usize,
        scheme: Rc<Scheme>,
    ) -> Result<Self, Exception> {
        let tokens = |pieces: &[Piece]| pieces.iter().map(Piece::tokens).sum::<usize>();
        let length = tokens(pieces);
        let count = pieces.iter().chain(recent).map(Piece::layers).max();
        let count = count.unwrap_or(0);
        let mut gathered = Self::new(reserve, scheme);
        if gathered.scheme.windows().any() {
            gathered.window_start = length.saturating_sub(tokens(recent));
        }
        for layer in 0..count {
            let (pieces, start) = match gathered.scheme.windows().has(layer) {
                true => (recent, gathered.window_start),
                false => (pieces, 0),
            };
            let parts = pieces.iter().map(|piece| piece.slices(layer));
            let parts: Option<Vec<Vec<Slice>>> = parts.collect();
            if parts.is_none() && gathered.scheme.windows().has(layer) {
                return Err(Exception::custom("pages lack what a window needs of them"));
            }
            let gather = |parts: Vec<Vec<Slice>>| {
                let packing = gathered.scheme.layer(layer);
                Layer::gather(&parts.concat(), start, packing, gathered.reserve_of(layer))
            };
            let parts = parts.filter(|parts| !parts.is_empty());
            let layer = parts.map(gather).transpose()?;
            gathered.layers.push(layer);
        }
        // Models that are recurrent throughout have nothing of each token.
        if count > 0 && gathered.length() != length {
            return Err(Exception::custom("the pages are not of one model"));
        }
        mlx_rs::transforms::eval(gathered.arrays())?;
        Ok(gathered)
    }

    /// Copies of what windows hold of each range.
    pub fn cut_windows(&self, ranges: &[Range<usize>]) -> Result<Vec<PageContent>, Exception> {
        let windows = self.scheme.windows();
        let cut = |range: &Range<usize>, at: usize| {
            let layer = self.layers[at].as_ref().filter(|_| windows.has(at));
            layer.map(|layer| layer.cut(range.start, range.end, None))
        };
        let layers = |range| (0..self.layers.len()).map(move |at| cut(range, at).transpose());
        let page = |range| -> Result<PageContent, Exception> {
            Ok(PageContent {
                layers: layers(range).collect::<Result<_, _>>()?,
            })
        };
        ranges.iter().map(page).collect()
    }

    /// Copies of the tokens of each range; windows have nothing of those that
    /// they gave up. Computed some layers at a time; a layer that was copied is
    /// given up if `consume`.
    pub fn cut(
        &mut self,
        ranges: &[Range<usize>],
        consume: bool,
    ) -> Result<Vec<PageContent>, Exception> {
        let mut pages = vec![PageContent::default(); ranges.len()];
        let (mut lazy, mut done) = (0, 0);
        for at in 0..self.layers.len() {
            let packing = self.scheme.layer(at);
            let is_window = self.scheme.windows().has(at);
            for (page, range) in pages.iter_mut().zip(ranges) {
                let has = |_: &&Layer| !is_window || range.start >= self.window_start;
                let layer = self.layers[at].as_ref().filter(has);
                let cut = layer.map(|layer| layer.cut(range.start, range.end, packing));
                page.layers.push(cut.transpose()?);
                lazy += page.layers[at]
                    .iter()
                    .flatten()
                    .map(Array::nbytes)
                    .sum::<usize>();
            }
            if lazy >= AT_ONCE || at + 1 == self.layers.len() {
                let new = pages.iter().flat_map(|page| &page.layers[done..]);
                mlx_rs::transforms::eval(new.flatten().flatten())?;
                if consume {
                    self.layers[done..=at].fill(None);
                }
                (lazy, done) = (0, at + 1);
            }
        }
        Ok(pages)
    }

    /// All buffers and states: evaluating them computes everything appended so
    /// far.
    pub fn arrays(&self) -> impl Iterator<Item = &Array> {
        let layers = self.layers.iter().flatten().flat_map(Layer::arrays);
        layers.chain(self.states.arrays())
    }
}
