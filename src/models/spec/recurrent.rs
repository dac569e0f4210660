//! Mixers that carry on a state instead of keys and values.

use super::RopeSpec;

/// Bytes of a number of the states that are kept in f32 whatever the model's
/// type.
const FLOAT: usize = size_of::<f32>();

/// A gated causal convolution over `kernel` tokens (LFM2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShortConvSpec {
    pub width: usize,
    pub kernel: usize,
    pub bias: bool,
}

/// The gated delta rule (arXiv 2412.06464) behind a short convolution.
/// `value_heads` is a multiple of `key_heads`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GatedDeltaSpec {
    pub key_heads: usize,
    pub value_heads: usize,
    pub key_dim: usize,
    pub value_dim: usize,
    pub kernel: usize,
    pub layout: DeltaLayout,
    /// β is between 0 and 2 instead of 1.
    pub doubled: bool,
    /// Of the norm of what heads give.
    pub norm_eps: f32,
}

/// Where the parts of the gated delta rule come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeltaLayout {
    /// One matrix holds queries, keys, values and gates by key head, another
    /// the two scalars of each head (Qwen3-Next).
    ByKeyHead,
    /// Four matrices: queries, keys and values in one (Qwen3.5).
    Joined,
    /// Six matrices, three convolutions (OLMo Hybrid).
    Apart,
    /// Four matrices, three convolutions, and two matrices of low rank each for
    /// gates and for decays, of which every column of a head's state has one
    /// (Kimi Delta Attention, arXiv 2510.26692).
    LowRank,
}

impl DeltaLayout {
    /// Whether every column of a state has a decay of its own.
    pub fn by_column(self) -> bool {
        self == Self::LowRank
    }
}

/// Mamba 2 (arXiv 2405.21060) behind a short convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mamba2Spec {
    /// Name of the module within a layer.
    pub module: &'static str,
    pub heads: usize,
    pub head_dim: usize,
    pub groups: usize,
    pub state: usize,
    pub kernel: usize,
    pub in_bias: bool,
    pub out_bias: bool,
    pub conv_bias: bool,
    /// Least and most of a time step.
    pub step_limit: (f32, f32),
    /// Parts that the result is normed in after gating; `None`: gated only.
    pub norm_groups: Option<usize>,
    /// Only weights that were converted for MLX mean what this describes.
    pub converted: bool,
}

/// Mamba (arXiv 2312.00752): a selective state space behind a short
/// convolution, whose time steps, keys and queries come out of that convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MambaSpec {
    /// Name of the module within a layer.
    pub module: &'static str,
    /// Parts that have a time step each, and their width.
    pub heads: usize,
    pub head_dim: usize,
    pub state: usize,
    pub kernel: usize,
    pub step_rank: usize,
    pub in_bias: bool,
    pub out_bias: bool,
    pub conv_bias: bool,
    pub norms: StepNorms,
    pub layout: MambaLayout,
    /// Least and most of a time step.
    pub step_limit: (f32, f32),
}

/// Norms of what time steps come from, of keys and of queries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepNorms {
    None,
    /// Without weights, of an epsilon.
    Plain(f32),
    /// With the epsilon of the model's norms.
    Weighted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MambaLayout {
    /// Every number of a state decays at a rate of its own.
    Each,
    /// Heads have one rate each; the matrix of the input has a gate and an
    /// input for one head after another (PLaMo 2).
    ByHead,
}

/// Lightning attention (arXiv 2401.04658): linear attention whose heads decay
/// at fixed rates, normed and gated.
#[derive(Debug, Clone, PartialEq)]
pub struct LightningSpec {
    /// Name of the module within a layer.
    pub module: &'static str,
    pub head_dim: usize,
    /// ln of what is left after a token, of each head.
    pub decays: Vec<f32>,
    pub qkv_bias: bool,
    pub output_bias: bool,
    pub qk_norm: bool,
    pub rope: RopeSpec,
    /// Parts that the result is normed in.
    pub norm_groups: usize,
}

/// The real-gated linear recurrent unit (Griffin, arXiv 2402.19427) behind a
/// short convolution, beside a gate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RgLruSpec {
    /// Name of the module within a layer.
    pub module: &'static str,
    pub width: usize,
    /// Blocks on the diagonal of the matrices of its gates.
    pub heads: usize,
    pub kernel: usize,
}

impl ShortConvSpec {
    pub(super) fn parameters(&self, hidden: usize) -> usize {
        let bias = usize::from(self.bias) * (4 * self.width + hidden);
        4 * hidden * self.width + self.width * self.kernel + bias
    }
}

impl GatedDeltaSpec {
    /// Width of all queries, and of all keys.
    pub fn keys(&self) -> usize {
        self.key_heads * self.key_dim
    }

    /// Width of all values.
    pub fn values(&self) -> usize {
        self.value_heads * self.value_dim
    }

    /// Numbers of a token that go through the convolution.
    pub fn channels(&self) -> usize {
        2 * self.keys() + self.values()
    }

    /// Decays of a token.
    pub fn decays(&self) -> usize {
        match self.layout.by_column() {
            true => self.value_heads * self.key_dim,
            false => self.value_heads,
        }
    }

    pub(super) fn parameters(&self, hidden: usize) -> usize {
        // By way of a head's width.
        let gates_and_decays = match self.layout {
            DeltaLayout::LowRank => {
                2 * hidden * self.value_dim + self.value_dim * (self.values() + self.decays())
            }
            _ => hidden * (self.values() + self.decays()),
        };
        hidden * (self.channels() + self.value_heads + self.values())
            + gates_and_decays
            + self.channels() * self.kernel
            + self.value_heads
            + self.decays()
            + self.value_dim
    }

    pub(super) fn state_bytes(&self, element: usize) -> usize {
        let state = self.value_heads * self.key_dim * self.value_dim * FLOAT;
        (self.kernel - 1) * self.channels() * element + state
    }
}

impl Mamba2Spec {
    pub fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Numbers of a token that go through the convolution.
    pub fn channels(&self) -> usize {
        self.width() + 2 * self.groups * self.state
    }

    /// Width of the input's projection: gate, convolution and time steps.
    pub fn inputs(&self) -> usize {
        self.width() + self.channels() + self.heads
    }

    pub(super) fn parameters(&self, hidden: usize) -> usize {
        hidden * (self.inputs() + self.width())
            + self.channels() * (self.kernel + usize::from(self.conv_bias))
            + 3 * self.heads
            + usize::from(self.in_bias) * self.inputs()
            + usize::from(self.out_bias) * hidden
            + usize::from(self.norm_groups.is_some()) * self.width()
    }

    pub(super) fn state_bytes(&self, element: usize) -> usize {
        let state = self.heads * self.head_dim * self.state * FLOAT;
        (self.kernel - 1) * self.channels() * element + state
    }
}

impl MambaSpec {
    pub fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// What time steps, keys and queries are made of.
    pub fn selected(&self) -> usize {
        self.step_rank + 2 * self.state
    }

    pub(super) fn parameters(&self, hidden: usize) -> usize {
        let rates = match self.layout {
            MambaLayout::Each => self.heads * self.state,
            MambaLayout::ByHead => self.heads,
        };
        3 * hidden * self.width()
            + self.width() * (self.kernel + usize::from(self.conv_bias) + self.selected())
            + self.step_rank * self.heads
            + rates
            + 2 * self.heads
            + usize::from(self.in_bias) * 2 * self.width()
            + usize::from(self.out_bias) * hidden
            + usize::from(self.norms == StepNorms::Weighted) * self.selected()
    }

    pub(super) fn state_bytes(&self, element: usize) -> usize {
        (self.kernel - 1) * self.width() * element + self.width() * self.state * FLOAT
    }
}

impl LightningSpec {
    pub fn heads(&self) -> usize {
        self.decays.len()
    }

    pub fn width(&self) -> usize {
        self.heads() * self.head_dim
    }

    pub(super) fn parameters(&self, hidden: usize) -> usize {
        5 * hidden * self.width()
            + self.width()
            + usize::from(self.qkv_bias) * 3 * self.width()
            + usize::from(self.output_bias) * hidden
            + usize::from(self.qk_norm) * 2 * self.head_dim
    }

    pub(super) fn state_bytes(&self) -> usize {
        self.width() * self.head_dim * FLOAT
    }
}

impl RgLruSpec {
    pub(super) fn parameters(&self, hidden: usize) -> usize {
        let gates = 2 * self.width * (self.width / self.heads + 1);
        2 * (hidden + 1) * self.width
            + hidden * (self.width + 1)
            + self.width * (self.kernel + 2)
            + gates
    }

    pub(super) fn state_bytes(&self, element: usize) -> usize {
        (self.kernel - 1) * self.width * element + self.width * FLOAT
    }
}
