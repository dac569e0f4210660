//! What is known of a model on this machine.

use std::path::PathBuf;

/// A folder that holds a model, or what should be one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelEntry {
    /// Unique in the list; what commands and requests call it.
    pub id: String,
    pub path: PathBuf,
    pub origin: Origin,
    /// `model_type` of config.json; empty when it cannot be read.
    pub family: String,
    /// Whether Maquette can run it.
    pub supported: bool,
    /// 0 when unknown.
    pub parameters: u64,
    /// Such as "bf16" or "4-bit g64"; empty when unknown.
    pub quantisation: String,
    pub weight_bytes: u64,
    /// In tokens, 0 when unknown.
    pub context_length: usize,
    /// What the chat template can carry.
    pub template: TemplateFacts,
    pub fit: Fit,
    /// Why it cannot be loaded, in one sentence.
    pub problem: Option<String>,
}

/// Where a model was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The one that comes with Maquette.
    Guide,
    /// Maquette's own models folder.
    Models,
    /// The Hugging Face cache.
    HuggingFace,
    /// A folder of the settings.
    #[default]
    Folder,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Guide => "built in",
            Self::Models => "models folder",
            Self::HuggingFace => "Hugging Face cache",
            Self::Folder => "your folder",
        })
    }
}

/// What a chat template can carry, as far as its text tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TemplateFacts {
    /// Without a template a model continues texts and does not chat.
    pub present: bool,
    pub tools: bool,
    pub thinking: bool,
}

/// Whether a model fits in memory. All in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fit {
    /// `weights + kv + work`.
    pub needed: u64,
    /// What the device has left.
    pub available: u64,
    pub weights: u64,
    /// Keys and values of `context` tokens.
    pub kv: u64,
    /// Activations, logits and other room to work.
    pub work: u64,
    /// The tokens of context that `kv` is for.
    pub context: usize,
}

impl Fit {
    pub fn fits(&self) -> bool {
        self.needed <= self.available
    }

    /// The share of the available memory that is needed; above 1 it does not
    /// fit, and it is infinite when nothing is available.
    pub fn share(&self) -> f64 {
        if self.needed == 0 {
            return 0.0;
        }
        self.needed as f64 / self.available as f64
    }
}
