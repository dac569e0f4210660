//! How positions turn queries and keys.

/// Rotary position embedding of the first `dims` numbers of a head.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeSpec {
    pub base: f64,
    /// Numbers of a head that are rotated; `None`: all.
    pub dims: Option<usize>,
    /// Rotates neighbours rather than halves.
    pub traditional: bool,
    pub scaling: RopeScaling,
}

/// How positions beyond the original context are reached.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    None,
    /// Positions divided by `factor`.
    Linear {
        factor: f64,
    },
    /// The base grows with the length once past `context` (dynamic NTK).
    Dynamic {
        factor: f64,
        context: usize,
    },
    /// Llama 3.1: low frequencies divided by `factor`, a smooth middle.
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_context: f64,
    },
    /// Only the pairs of the first `rotated` numbers turn, at frequencies of a
    /// rotation of all of them, divided by `factor` (Gemma 4).
    Proportional {
        rotated: usize,
        factor: f64,
    },
    /// YaRN (arXiv 2309.00071).
    Yarn {
        factor: f64,
        original_context: f64,
        beta_fast: f64,
        beta_slow: f64,
        mscale: f64,
        mscale_all_dim: f64,
    },
    /// LongRoPE (arXiv 2402.13753): a factor for each frequency, one for all if
    /// there is but one, and one for the length of queries and keys.
    Long {
        factors: Vec<f64>,
        magnitude: f64,
    },
}

impl RopeScaling {
    /// Tokens within reach of a model whose config.json says `context`.
    pub fn reach(&self, context: usize) -> usize {
        match self {
            Self::Yarn {
                factor,
                original_context,
                ..
            } => context.max((factor * original_context) as usize),
            _ => context,
        }
    }
}
