//! The keys and values of one page, in compact buffers of its own.

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
