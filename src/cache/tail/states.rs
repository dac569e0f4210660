//! What the recurrent layers of a sequence carry on from token to token, and
//! what they carried on before tokens that are only proposed.
//!
//! A state stands for all tokens at once, so that it cannot be cut: it goes
//! back to the tokens before the proposals, which are kept until it is known
//! that the proposals stay. Invariant: arrays are never written to; one that is
//! replaced stays as it was for whoever holds it.

use mlx_rs::Array;

use crate::cache::{Taken, content::Snapshot};

#[derive(Debug, Clone)]
struct Carried {
    arrays: Vec<Array>,
    /// Taken in so far.
    tokens: usize,
}

#[derive(Debug, Clone)]
struct State {
    now: Carried,
    /// Before proposals, if the latest tokens are some.
    before: Option<Carried>,
}

impl State {
    /// What will not be taken back.
    fn firm(&self) -> &Carried {
        self.before.as_ref().unwrap_or(&self.now)
    }

    /// Goes back to at most `length` tokens; false if it cannot.
    fn go_back(&mut self, length: usize) -> bool {
        let before = self.before.take();
        if self.now.tokens > length
            && let Some(before) = before
        {
            self.now = before;
        }
        self.now.tokens <= length
    }
}

/// By layer.
#[derive(Debug, Clone, Default)]
pub struct States {
    layers: Vec<Option<State>>,
}

impl States {
    pub fn is_empty(&self) -> bool {
        self.layers.iter().all(Option::is_none)
    }

    fn all(&self) -> impl Iterator<Item = &State> {
        self.layers.iter().flatten()
    }

    /// How many tokens each stands for, proposals included.
    pub fn tokens(&self) -> impl Iterator<Item = usize> {
        self.all().map(|state| state.now.tokens)
    }

    /// How many tokens all stand for without proposals, if that is the same.
    pub fn firm_tokens(&self) -> Option<usize> {
        let tokens = self.all().next()?.firm().tokens;
        let mut all = self.all();
        all.all(|state| state.firm().tokens == tokens)
            .then_some(tokens)
    }

    pub fn get(&self, layer: usize) -> Option<Vec<Array>> {
        let state = self.layers.get(layer)?.as_ref()?;
        Some(state.now.arrays.clone())
    }

    /// Replaces a layer's state; what was before the first proposed token is
    /// kept.
    pub fn set(&mut self, layer: usize, taken: Taken, arrays: Vec<Array>) {
        let (tokens, proposed) = match taken {
            Taken::Own(tokens) => (tokens, false),
            Taken::Proposed(tokens) => (tokens, true),
        };
        if self.layers.len() <= layer {
            self.layers.resize(layer + 1, None);
        }
        let state = self.layers[layer].take();
        let tokens = tokens + state.as_ref().map_or(0, |state| state.now.tokens);
        let before = state.filter(|_| proposed);
        let before = before.map(|state| state.before.unwrap_or(state.now));
        let now = Carried { arrays, tokens };
        self.layers[layer] = Some(State { now, before });
    }

    /// All states, as they are without proposals.
    pub fn snapshot(&self, tokens: usize) -> Snapshot {
        let arrays = |state: &State| state.firm().arrays.clone();
        let layers = self.layers.iter();
        Snapshot {
            tokens,
            states: layers.map(|state| state.as_ref().map(arrays)).collect(),
        }
    }

    pub fn restore(snapshot: &Snapshot) -> Self {
        let tokens = snapshot.tokens;
        let state = |arrays: &Vec<Array>| State {
            now: Carried {
                arrays: arrays.clone(),
                tokens,
            },
            before: None,
        };
        let layers = snapshot.states.iter();
        Self {
            layers: layers.map(|it| it.as_ref().map(state)).collect(),
        }
    }

    /// Goes back to `length` tokens, or to fewer where proposals are among the
    /// first `length`: how many they are. What cannot go back is lost, all of it.
    pub fn go_back(&mut self, length: usize) -> usize {
        let mut all = self.layers.iter_mut().flatten();
        if !all.all(|state| state.go_back(length)) {
            self.layers.clear();
        }
        self.tokens().chain([length]).min().unwrap_or(length)
    }

    pub fn arrays(&self) -> impl Iterator<Item = &Array> {
        let carried = self
            .all()
            .flat_map(|it| [Some(&it.now), it.before.as_ref()]);
        carried.flatten().flat_map(|carried| &carried.arrays)
    }
}
