//! What treats every token alone: one MLP, or a choice among many.

use super::MoeNames;

#[derive(Debug, Clone, PartialEq)]
pub enum MlpSpec {
    Gated(GatedSpec),
    Plain(PlainSpec),
    /// One matrix, with a bias or without.
    Linear {
        bias: bool,
    },
    Moe(MoeSpec),
    /// A gated MLP, and a mixture that sees the same and whose result is added
    /// after the next layer (shortcut-connected experts, LongCat).
    WithShortcut(GatedSpec, MoeSpec),
}

/// The plain MLP: `down(activation(up(x)))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlainSpec {
    pub intermediate: usize,
    pub bias: bool,
    pub activation: Activation,
}

/// The gated MLP: `down(activation(gate(x)) * up(x))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GatedSpec {
    pub intermediate: usize,
    pub bias: bool,
    pub activation: Activation,
    pub layout: GateUpLayout,
}

/// Where gate and up come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateUpLayout {
    /// A matrix each, `Names::gate_up`.
    Apart,
    /// One matrix, `Names::fused_gate_up`: gate before up.
    Joined,
    /// The same, up before gate.
    UpFirst,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `silu(gate) · up`
    Silu,
    /// `gelu(gate) · up`, by its approximation with tanh.
    Gelu,
    /// The same, by the error function.
    GeluExact,
    /// `max(gate, 0)² · up`
    SquaredRelu,
    /// xIELU (arXiv 2411.13010), of four numbers that are learned with each MLP.
    XieLu,
    /// `min(silu(gate), limit) · up`, `up` within ± the limit.
    SiluWithin(f32),
    /// `gate' · sigmoid(1.702 gate') · (up' + 1)`, with gates of at most 7 and
    /// the others within ±7 (gpt-oss).
    Clamped,
}

/// A mixture: a router chooses `active` of `experts` gated MLPs for each token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MoeSpec {
    pub experts: usize,
    /// Experts beyond those that give back what they get.
    pub identities: usize,
    pub active: usize,
    pub intermediate: usize,
    pub activation: Activation,
    /// Experts have gates; otherwise they, and the shared one, are plain.
    pub gated: bool,
    /// Width of what experts see and give, where matrices of the mixture's own
    /// lead there and back.
    pub latent: Option<usize>,
    pub expert_bias: bool,
    pub router_bias: bool,
    pub routing: Routing,
    pub shared: Option<SharedSpec>,
    pub names: &'static MoeNames,
}

/// How a router's logits become a choice and weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Routing {
    pub score: Score,
    /// A bias an expert is added to the scores for the choice alone.
    pub correction: bool,
    /// Experts stand in `groups` of equal size, and only the `groups_kept` best
    /// are chosen from. One group: all of them.
    pub groups: usize,
    pub groups_kept: usize,
    pub group_score: GroupScore,
    /// The chosen weights are divided by their sum.
    pub normalise: bool,
    pub scale: f32,
    /// Weights multiply the experts' input instead of their output.
    pub weigh_input: bool,
    /// Logits are `cap · tanh(logits / cap)`.
    pub cap: Option<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Score {
    /// Softmax over all experts.
    Softmax,
    /// Softmax over the chosen ones.
    SoftmaxOfChosen,
    Sigmoid,
    /// `√softplus`
    SqrtSoftplus,
    /// One expert after the other, each weighed by a softmax over those left
    /// that come within twice the jitter of it (SparseMixer, arXiv 2310.00811).
    SparseMixer {
        jitter: f32,
    },
}

/// What a group of experts is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupScore {
    Best,
    TwoBest,
}

/// An expert that every token goes through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SharedSpec {
    pub intermediate: usize,
    pub bias: bool,
    pub activation: Activation,
    pub weight: SharedWeight,
}

/// What weighs a shared expert, `Names::shared_gate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedWeight {
    /// Nothing: it is added as it is.
    None,
    /// A sigmoid of its own.
    Sigmoid,
    /// A softmax over two numbers, the first of which weighs the chosen ones.
    Shares,
}

impl SharedSpec {
    /// Added as it is.
    pub const fn new(intermediate: usize) -> Self {
        Self {
            intermediate,
            bias: false,
            activation: Activation::Silu,
            weight: SharedWeight::None,
        }
    }

    fn parameters(&self, hidden: usize) -> usize {
        let weight = match self.weight {
            SharedWeight::None => 0,
            SharedWeight::Sigmoid => hidden,
            SharedWeight::Shares => 2 * (hidden + 1),
        };
        let bias = usize::from(self.bias) * (2 * self.intermediate + hidden);
        3 * hidden * self.intermediate + bias + weight
    }
}

impl Routing {
    /// Softmax over all, nothing else.
    pub const SOFTMAX: Self = Self {
        score: Score::Softmax,
        correction: false,
        groups: 1,
        groups_kept: 1,
        group_score: GroupScore::Best,
        normalise: false,
        scale: 1.0,
        weigh_input: false,
        cap: None,
    };
}

impl MlpSpec {
    pub fn parameters(&self, hidden: usize) -> usize {
        let dense = |it: &GatedSpec| gated(hidden, it.intermediate, it.bias);
        match self {
            Self::Gated(g) => dense(g),
            Self::Plain(p) => {
                let learned = 4 * usize::from(p.activation == Activation::XieLu);
                let bias = usize::from(p.bias) * (p.intermediate + hidden);
                2 * hidden * p.intermediate + bias + learned
            }
            Self::Linear { bias } => hidden * (hidden + usize::from(*bias)),
            Self::Moe(m) => m.parameters(hidden),
            Self::WithShortcut(g, m) => dense(g) + m.parameters(hidden),
        }
    }
}

impl MlpSpec {
    /// The mixture of experts, if there is one.
    pub fn moe(&self) -> Option<&MoeSpec> {
        match self {
            Self::Moe(moe) | Self::WithShortcut(_, moe) => Some(moe),
            Self::Gated(_) | Self::Plain(_) | Self::Linear { .. } => None,
        }
    }
}

impl MoeSpec {
    /// What the router chooses among.
    pub fn choices(&self) -> usize {
        self.experts + self.identities
    }

    fn parameters(&self, hidden: usize) -> usize {
        let router = self.choices() * (hidden + usize::from(self.router_bias));
        let corrected = self.routing.correction && !self.names.correction_is_optional;
        let correction = usize::from(corrected) * self.choices();
        let width = self.latent.unwrap_or(hidden);
        let latent = self.latent.map_or(0, |latent| 2 * hidden * latent);
        // Plain ones have no gate.
        let gate = |intermediate: usize, width: usize, bias: bool| match self.gated {
            true => 0,
            false => intermediate * (width + usize::from(bias)),
        };
        let shared = self.shared.map_or(0, |shared| {
            shared.parameters(hidden) - gate(shared.intermediate, hidden, shared.bias)
        });
        let expert = gated(width, self.intermediate, self.expert_bias)
            - gate(self.intermediate, width, self.expert_bias);
        router + correction + latent + shared + self.experts * expert
    }
}

fn gated(hidden: usize, intermediate: usize, bias: bool) -> usize {
    3 * hidden * intermediate + usize::from(bias) * (2 * intermediate + hidden)
}
