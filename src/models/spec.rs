//! What a model is: sizes, layers and tensor names, free of any weight.
//!
//! A family turns its config.json into a [`ModelSpec`]; everything after that
//! works from the description alone and never asks for the model's name.

use mlx_rs::Dtype;

use super::{Config, ModelError};
use crate::cache::{KvLayer, Packs};

/// A decoder-only transformer: embedding, layers of attention and MLP with
/// RMS norms before each, a final norm and a head.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// `model_type` of config.json.
    pub family: String,
    pub vocab: usize,
    pub hidden: usize,
    /// Tokens the model was made for.
    pub context: usize,
    pub layers: Vec<LayerSpec>,
    /// Added to the mean square in every RMS norm.
    pub norm_eps: f32,
    /// The head is the embedding, transposed.
    pub tied: bool,
    pub names: Names,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LayerSpec {
    pub attention: AttentionSpec,
    pub mlp: MlpSpec,
}

/// Attention with grouped queries: `heads` is a multiple of `kv_heads`.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionSpec {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub qkv_bias: bool,
    pub output_bias: bool,
    /// RMS norm of each head's queries and keys, before rotation.
    pub qk_norm: bool,
    /// A token sees itself and the `window - 1` tokens before it.
    pub window: Option<usize>,
    pub rope: RopeSpec,
}

/// The gated MLP: `down(silu(gate(x)) * up(x))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MlpSpec {
    pub intermediate: usize,
    pub bias: bool,
}

/// Rotary position embedding over the whole head.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeSpec {
    pub base: f64,
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
    /// YaRN (arXiv 2309.00071).
    Yarn {
        factor: f64,
        original_context: f64,
        beta_fast: f64,
        beta_slow: f64,
        mscale: f64,
        mscale_all_dim: f64,
    },
}

/// Where the tensors of a model are found. `{}` stands for the layer's number.
/// A file may leave out the leading `model.`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Names {
    pub embedding: &'static str,
    pub norm: &'static str,
    pub head: &'static str,
    pub layer: &'static str,
    pub attention_norm: &'static str,
    pub qkv: [&'static str; 3],
    pub output: &'static str,
    pub q_norm: &'static str,
    pub k_norm: &'static str,
    pub mlp_norm: &'static str,
    pub gate_up: [&'static str; 2],
    pub down: &'static str,
}

impl Names {
    /// The names that Llama introduced and most families kept.
    pub const LLAMA: Self = Self {
        embedding: "model.embed_tokens",
        norm: "model.norm",
        head: "lm_head",
        layer: "model.layers.{}",
        attention_norm: "input_layernorm",
        qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        output: "self_attn.o_proj",
        q_norm: "self_attn.q_norm",
        k_norm: "self_attn.k_norm",
        mlp_norm: "post_attention_layernorm",
        gate_up: ["mlp.gate_proj", "mlp.up_proj"],
        down: "mlp.down_proj",
    };

    /// The full name of `part` in layer `index`.
    pub fn in_layer(&self, index: usize, part: &str) -> String {
        format!("{}.{part}", self.layer.replace("{}", &index.to_string()))
    }
}

impl AttentionSpec {
    /// Width of the queries, and of what attention hands to its output.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of the keys, and of the values.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

impl ModelSpec {
    /// What each layer keeps of a token, in numbers of type `dtype`.
    pub fn kv_layers(&self, dtype: Dtype) -> Vec<KvLayer> {
        let layer = |layer: &LayerSpec| {
            let attention = &layer.attention;
            let mut kept = KvLayer::new(attention.kv_heads, attention.head_dim, dtype);
            if attention.window.is_some() {
                kept.packs = Packs::Plain;
            }
            kept
        };
        self.layers.iter().map(layer).collect()
    }

    /// Numbers in all weights, the tied head counted once.
    pub fn parameters(&self) -> u64 {
        let embeddings = if self.tied { 1 } else { 2 } * self.vocab * self.hidden;
        let layers: usize = self.layers.iter().map(|l| self.layer_parameters(l)).sum();
        (embeddings + layers + self.hidden) as u64
    }

    fn layer_parameters(&self, layer: &LayerSpec) -> usize {
        let (a, m) = (&layer.attention, &layer.mlp);
        let qkv = a.query_width() + 2 * a.kv_width();
        let mut count = 2 * self.hidden
            + self.hidden * (qkv + a.query_width())
            + 3 * self.hidden * m.intermediate;
        if a.qk_norm {
            count += 2 * a.head_dim;
        }
        if a.qkv_bias {
            count += qkv;
        }
        if a.output_bias {
            count += self.hidden;
        }
        if m.bias {
            count += 2 * m.intermediate + self.hidden;
        }
        count
    }

    /// Rejects descriptions whose parts do not fit together.
    pub(super) fn check(&self, config: &Config) -> Result<(), ModelError> {
        for layer in &self.layers {
            let a = &layer.attention;
            if a.heads % a.kv_heads != 0 {
                let problem = format!(
                    "is {}: the {} attention heads cannot be shared among it evenly",
                    a.kv_heads, a.heads
                );
                return Err(config.error("num_key_value_heads", problem));
            }
            if a.head_dim % 2 != 0 || a.head_dim == 0 {
                let problem = format!("is {}: rotary positions need an even size", a.head_dim);
                return Err(config.error("head_dim", problem));
            }
            if a.query_width() > 1 << 24 {
                let problem = format!("is {}: {} heads of it are too wide", a.head_dim, a.heads);
                return Err(config.error("head_dim", problem));
            }
            if matches!(a.rope.scaling, RopeScaling::Dynamic { .. }) && a.head_dim < 4 {
                return Err(config.error("head_dim", "is too small for dynamic rope scaling"));
            }
        }
        Ok(())
    }
}
