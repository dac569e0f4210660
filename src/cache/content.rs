//! What is kept of one page: keys and values in compact buffers of their own,
//! and what recurrent layers carry on at its end.

use mlx_rs::Array;

use super::scheme::Windows;

/// Layer by layer, keys and values `[1, kv_heads, tokens, head_dim]`; `None`
/// for a layer that keeps none. Evaluated, and never written to.
#[derive(Debug, Clone, Default)]
pub struct PageContent {
    pub layers: Vec<Option<[Array; 2]>>,
}

/// Takes what `windows` keep out of a page.
fn take_windows(content: &mut PageContent, windows: &Windows) -> Option<PageContent> {
    let mut layers = vec![None; content.layers.len()];
    for (at, layer) in content.layers.iter_mut().enumerate() {
        if windows.has(at) {
            layers[at] = layer.take();
        }
    }
    let any = layers.iter().any(Option::is_some);
    any.then_some(PageContent { layers })
}

impl PageContent {
    /// What layers keep that reach back to the beginning, and what `windows`
    /// keep, if it is there.
    pub fn split(mut self, windows: &Windows) -> (Self, Option<Self>) {
        let taken = windows.any().then(|| take_windows(&mut self, windows));
        (self, taken.flatten())
    }

    /// With what `window` has of other layers.
    pub fn with(mut self, window: Option<&Self>) -> Self {
        for (at, layer) in window.iter().flat_map(|w| w.layers.iter().enumerate()) {
            if let (Some(own), Some(_)) = (self.layers.get_mut(at), layer) {
                *own = layer.clone();
            }
        }
        self
    }

    pub fn bytes(&self) -> u64 {
        self.arrays().map(|array| array.nbytes() as u64).sum()
    }

    pub fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.layers.iter().flatten().flatten()
    }
}

/// What recurrent layers carry on after some tokens, by layer.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub tokens: usize,
    pub states: Vec<Option<Vec<Array>>>,
}

impl Snapshot {
    pub fn bytes(&self) -> u64 {
        self.arrays().map(|array| array.nbytes() as u64).sum()
    }

    pub fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.states.iter().flatten().flatten()
    }
}
