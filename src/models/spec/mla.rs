//! Latent attention.

use super::{RopeSpec, Temperature};

/// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): keys and values
/// of all heads come from one latent of `kv_rank` numbers a token, and one
/// rotated part of `rope_dim` numbers serves all heads' keys.
#[derive(Debug, Clone, PartialEq)]
pub struct MlaSpec {
    pub heads: usize,
    /// Rank of the queries' own latent; `None`: they are projected directly.
    pub query_rank: Option<usize>,
    pub kv_rank: usize,
    /// Numbers of a head of queries and keys without and with position.
    pub plain_dim: usize,
    pub rope_dim: usize,
    pub value_dim: usize,
    pub bias: bool,
    /// Epsilon of the norms of the latents.
    pub norm_eps: f32,
    /// What the queries' latent and the other one are multiplied with.
    pub latent_scales: [f32; 2],
    pub temperature: Option<Temperature>,
    pub indexer: Option<IndexerSpec>,
    /// `None`: positions are not told.
    pub rope: Option<RopeSpec>,
    /// Of the scores, without what the rotation's magnitude adds.
    pub scale: f64,
}

/// The lightning indexer (DeepSeek-V3.2): `heads` small heads judge the tokens
/// before each, which then attends to the `top` best alone. Needs a latent of the
/// queries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IndexerSpec {
    pub heads: usize,
    /// Numbers of a head, and of a token's key; `MlaSpec::rope_dim` of them are
    /// rotated.
    pub dim: usize,
    pub top: usize,
    /// Rotates neighbours rather than halves.
    pub traditional: bool,
}

impl IndexerSpec {
    fn parameters(&self, hidden: usize, query_rank: usize) -> usize {
        query_rank * self.heads * self.dim + hidden * (self.dim + self.heads) + 2 * self.dim
    }
}

impl MlaSpec {
    /// Numbers of a token that are kept beside the latent.
    pub fn key_width(&self) -> usize {
        self.rope_dim + self.indexer.map_or(0, |indexer| indexer.dim)
    }

    /// Numbers of a head of queries and keys.
    pub fn query_dim(&self) -> usize {
        self.plain_dim + self.rope_dim
    }

    pub(super) fn parameters(&self, hidden: usize) -> usize {
        let queries = self.heads * self.query_dim();
        let latent = self.kv_rank + self.rope_dim;
        let queries = match self.query_rank {
            None => hidden * queries,
            Some(rank) => rank * (hidden + queries + 1 + usize::from(self.bias)),
        };
        let up = self.kv_rank * self.heads * (self.plain_dim + self.value_dim);
        let bias = usize::from(self.bias) * (latent + hidden);
        let rank = self.query_rank.unwrap_or(0);
        let indexer = self.indexer.map_or(0, |it| it.parameters(hidden, rank));
        indexer
            + queries
            + hidden * (latent + self.heads * self.value_dim)
            + self.kv_rank
            + up
            + bias
    }
}
