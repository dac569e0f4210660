//! What is kept of one page: keys and values in compact buffers of their own,
//! and what recurrent layers carry on at its end.

use mlx_rs::Array;

/// Layer by layer, keys and values `[1, kv_heads, tokens, head_dim]`; `None`
/// for a layer that keeps none. Evaluated, and never written to.
#[derive(Debug, Clone, Default)]
pub struct PageContent {
    pub layers: Vec<Option<[Array; 2]>>,
}

impl PageContent {
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
