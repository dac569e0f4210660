//! GPT-2: learned positions, layer norms, biases everywhere and a plain MLP.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Activation, Names, NormSpec, QkvLayout},
};

pub const NAMES: Names = Names {
    embedding: "model.wte",
    positions: "model.wpe",
    norm: "model.ln_f",
    layer: "model.h.{}",
    before_mixer: "ln_1",
    before_mlp: "ln_2",
    fused_qkv: "attn.c_attn",
    output: "attn.c_proj",
    plain: ["mlp.c_fc", "mlp.c_proj"],
    // As PyTorch's GPT-2 has it: its layers are one-dimensional convolutions.
    transposed: Some("h."),
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = decoder(config)?;
    let intermediate = config.size_or_none("n_inner")?.unwrap_or(4 * spec.hidden);
    common::plain_mlps(&mut spec, intermediate, true, Activation::Gelu);
    for attention in spec.attentions_mut() {
        (attention.qkv_bias, attention.output_bias) = (true, true);
    }
    spec.names = NAMES;
    Ok(spec)
}

/// What GPT-2 and its followers share.
pub fn decoder(config: &Config) -> Result<ModelSpec, ModelError> {
    let config = common::renamed(
        config,
        &[
            ("n_embd", "hidden_size"),
            ("n_head", "num_attention_heads"),
            ("n_layer", "num_hidden_layers"),
            ("n_positions", "max_position_embeddings"),
        ],
    );
    let keys = common::Keys {
        norm_eps: "layer_norm_epsilon",
        intermediate: Some(4 * config.size("hidden_size")?),
    };
    let mut spec = common::decoder_with(&config, 1024, 10_000.0, keys)?;
    spec.norm = NormSpec::layer(spec.norm.eps, true);
    for attention in spec.attentions_mut() {
        (attention.qkv, attention.rope) = (QkvLayout::Joined, None);
    }
    spec.positions = Some(spec.context);
    Ok(spec)
}
