//! What mixes tokens: kinds of attention and of recurrence.

use mlx_rs::Dtype;

use super::{
    GatedDeltaSpec, LightningSpec, Mamba2Spec, MambaSpec, MlaSpec, RgLruSpec, RopeSpec,
    ShortConvSpec,
};
use crate::cache::{KvLayer, Packs};

#[derive(Debug, Clone, PartialEq)]
pub enum MixerSpec {
    Attention(AttentionSpec),
    /// One matrix in the place of attention, with a bias or without.
    Linear {
        bias: bool,
    },
    Mla(MlaSpec),
    ShortConv(ShortConvSpec),
    GatedDelta(GatedDeltaSpec),
    Mamba(MambaSpec),
    Mamba2(Mamba2Spec),
    Lightning(LightningSpec),
    RgLru(RgLruSpec),
    /// Side by side over the same input, their results added.
    Both(AttentionSpec, Mamba2Spec),
}

/// Attention with grouped queries: `heads` is a multiple of `kv_heads`.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionSpec {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub qkv_bias: bool,
    pub output_bias: bool,
    pub qkv: QkvLayout,
    pub qk_norm: QkNorm,
    /// Epsilon of these norms; `None`: that of the model's norms.
    pub qk_norm_eps: Option<f32>,
    pub sight: Sight,
    /// Every head has a logit of its own that takes part in the softmax and
    /// stands for no token.
    pub sinks: bool,
    /// `None`: positions are not told (NoPE).
    pub rope: Option<RopeSpec>,
    /// Of the scores; `None`: 1 / √head_dim.
    pub scale: Option<f64>,
    /// Scores are `cap · tanh(scores / cap)`.
    pub cap: Option<f32>,
    /// What the result is multiplied with before its output.
    pub gate: OutputGate,
    pub temperature: Option<Temperature>,
    /// Numbers of a head of values; `None`: as many as of keys.
    pub value_dim: Option<usize>,
    /// Values are multiplied with it.
    pub value_scale: Option<f32>,
    /// Queries, keys and values are kept within ± this.
    pub clip: Option<f32>,
    /// Values are normed by head, without weights.
    pub value_norm: bool,
    /// Values are made by the matrix of keys, which has no sister.
    pub keys_as_values: bool,
    /// The layer whose keys and values it looks at instead of its own, with
    /// neither matrices nor norms for such.
    pub shares: Option<usize>,
    /// Later layers look at its keys and values.
    pub lends: bool,
    /// Heads share key heads by turns, the first with the first of the next
    /// round, instead of neighbours with each other.
    pub by_turns: bool,
    pub source: KvSource,
}

/// What the result of attention is multiplied with before its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputGate {
    None,
    /// The sigmoid of a second half that the query matrix has for each head.
    WithQueries,
    /// The sigmoid of a matrix of its own, `Names::gate`.
    Whole,
    /// A number for each head from `Names::gate`: its sigmoid.
    ByHead,
    /// The same: its softplus.
    ByHeadSoftplus,
}

/// Where a layer's keys and values before norms and rotation come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvSource {
    /// Matrices of its own.
    Own,
    /// The same, and layers after it use them too.
    Lent,
    /// The last layer that lends (cross-layer attention, arXiv 2405.12981).
    Borrowed,
}

/// Where queries, keys and values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QkvLayout {
    /// A matrix each, `Names::qkv`.
    Apart,
    /// One matrix, `Names::fused_qkv`: all queries, all keys, all values.
    Joined,
    /// One matrix, in which every key head stands together: the queries that
    /// share it, its key, its value.
    ByGroup,
}

/// Tokens before its own that a token sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    All,
    /// Itself and the `n - 1` tokens before it.
    Window(usize),
    /// Those of its own chunk: positions are cut into chunks of `n`.
    Chunk(usize),
}

impl Sight {
    /// How many tokens at the end it sees at most, itself among them.
    fn reach(self) -> Option<usize> {
        match self {
            Self::All => None,
            Self::Window(tokens) | Self::Chunk(tokens) => Some(tokens),
        }
    }
}

/// Norms of queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QkNorm {
    None,
    /// Of each head, before rotation.
    Head,
    /// Of each head, after rotation.
    HeadAfter,
    /// Of each head, with weights of its own, before rotation. `Names::q_norm`
    /// has a place for the head's number if it is a tensor a head.
    EachHead,
    /// Of all heads' numbers together, before rotation.
    Whole,
    /// Of each head, without weights and, if nothing else is said, with an
    /// epsilon of 1e-6, after rotation (Llama 4).
    Plain,
}

/// Queries grow with their position p: `q · (1 + scale · ln(1 + ⌊p / floor⌋))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature {
    /// Position of the first token.
    pub first: u8,
    pub floor: f64,
    pub scale: f64,
}

impl AttentionSpec {
    /// Plain attention: everything that can be switched on is off.
    pub fn new(heads: usize, kv_heads: usize, head_dim: usize, rope: RopeSpec) -> Self {
        Self {
            heads,
            kv_heads,
            head_dim,
            qkv_bias: false,
            output_bias: false,
            qkv: QkvLayout::Apart,
            qk_norm: QkNorm::None,
            qk_norm_eps: None,
            sight: Sight::All,
            sinks: false,
            rope: Some(rope),
            scale: None,
            cap: None,
            gate: OutputGate::None,
            temperature: None,
            value_dim: None,
            value_scale: None,
            clip: None,
            source: KvSource::Own,
            value_norm: false,
            keys_as_values: false,
            shares: None,
            lends: false,
            by_turns: false,
        }
    }

    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of the keys.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Numbers of a head of values.
    pub fn value_dim(&self) -> usize {
        self.value_dim.unwrap_or(self.head_dim)
    }

    /// Width of the values.
    pub fn value_width(&self) -> usize {
        self.kv_heads * self.value_dim()
    }

    /// Width of what attention hands to its output.
    pub fn output_width(&self) -> usize {
        self.heads * self.value_dim()
    }

    /// Numbers of the gate, without those that come with the queries.
    pub fn gate_width(&self) -> usize {
        match self.gate {
            OutputGate::None | OutputGate::WithQueries => 0,
            OutputGate::Whole => self.output_width(),
            OutputGate::ByHead | OutputGate::ByHeadSoftplus => self.heads,
        }
    }

    fn parameters(&self, hidden: usize) -> usize {
        let queries = match self.gate {
            OutputGate::WithQueries => 2 * self.query_width(),
            _ => self.query_width(),
        };
        let keys_and_values = match self.source {
            _ if self.shares.is_some() => 0,
            KvSource::Own | KvSource::Lent if self.keys_as_values => self.kv_width(),
            KvSource::Own | KvSource::Lent => self.kv_width() + self.value_width(),
            KvSource::Borrowed => 0,
        };
        let qkv = queries + keys_and_values;
        let norms = match self.qk_norm {
            QkNorm::None | QkNorm::Plain => 0,
            QkNorm::Head | QkNorm::HeadAfter if self.shares.is_some() => self.head_dim,
            QkNorm::Head | QkNorm::HeadAfter => 2 * self.head_dim,
            QkNorm::EachHead | QkNorm::Whole => self.query_width() + self.kv_width(),
        };
        hidden * (qkv + self.gate_width() + self.output_width())
            + norms
            + usize::from(self.qkv_bias) * qkv
            + usize::from(self.output_bias) * hidden
            + usize::from(self.sinks) * self.heads
    }
}

impl MixerSpec {
    /// What a layer with this mixer keeps of a token.
    pub fn kv_layer(&self, dtype: Dtype) -> KvLayer {
        match self {
            Self::Attention(a) if a.shares.is_some() => KvLayer::nothing(dtype),
            Self::Attention(a) | Self::Both(a, _) => {
                let mut kept = KvLayer::new(a.kv_heads, a.head_dim, dtype);
                if a.sinks {
                    kept.packs = Packs::Refused("its heads have sinks, which make up for no error");
                }
                if a.value_dim() != a.head_dim {
                    kept.widths = [a.head_dim, a.value_dim()];
                    kept.packs = Packs::Refused("its keys and values differ in size");
                }
                kept.reach = a.sight.reach();
                kept
            }
            Self::Mla(a) => KvLayer {
                widths: [a.kv_rank, a.key_width()],
                packs: Packs::Refused("it keeps latents, which are small already"),
                ..KvLayer::new(1, a.kv_rank, dtype)
            },
            Self::Linear { .. }
            | Self::ShortConv(_)
            | Self::GatedDelta(_)
            | Self::Mamba(_)
            | Self::Mamba2(_)
            | Self::Lightning(_)
            | Self::RgLru(_) => KvLayer::nothing(dtype),
        }
    }

    /// Bytes that a sequence carries on besides keys and values.
    pub fn state_bytes(&self, element: usize) -> usize {
        match self {
            Self::Attention(_) | Self::Linear { .. } | Self::Mla(_) => 0,
            Self::ShortConv(c) => (c.kernel - 1) * c.width * element,
            Self::GatedDelta(d) => d.state_bytes(element),
            Self::Mamba(m) => m.state_bytes(element),
            Self::Lightning(l) => l.state_bytes(),
            Self::RgLru(r) => r.state_bytes(element),
            Self::Mamba2(m) | Self::Both(_, m) => m.state_bytes(element),
        }
    }

    pub fn parameters(&self, hidden: usize) -> usize {
        match self {
            Self::Attention(a) => a.parameters(hidden),
            Self::Linear { bias } => hidden * (hidden + usize::from(*bias)),
            Self::Mla(a) => a.parameters(hidden),
            Self::ShortConv(c) => c.parameters(hidden),
            Self::GatedDelta(d) => d.parameters(hidden),
            Self::Mamba(m) => m.parameters(hidden),
            Self::Mamba2(m) => m.parameters(hidden),
            Self::Lightning(l) => l.parameters(hidden),
            Self::RgLru(r) => r.parameters(hidden),
            Self::Both(a, m) => a.parameters(hidden) + m.parameters(hidden),
        }
    }
}
