//! Lille 130M: Llama by other names, neighbours rotated, always tied.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Names, QkvLayout},
};

const NAMES: Names = Names {
    embedding: "transformer.tok_embeddings",
    norm: "transformer.norm",
    layer: "transformer.layers.{}",
    before_mixer: "attention.norm",
    before_mlp: "feed_forward.norm",
    fused_qkv: "attention.qkv_proj",
    output: "attention.out_proj",
    gate_up: ["feed_forward.gate_proj", "feed_forward.up_proj"],
    down: "feed_forward.down_proj",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let config = common::renamed(
        config,
        &[
            ("n_embd", "hidden_size"),
            ("n_head", "num_attention_heads"),
            ("n_kv_heads", "num_key_value_heads"),
            ("n_layer", "num_hidden_layers"),
            ("block_size", "max_position_embeddings"),
        ],
    );
    // Eight thirds of the width, to the nearest multiple of 256.
    let wide = 8 * config.size("hidden_size")? / 3;
    let keys = common::Keys {
        norm_eps: "layer_norm_eps",
        intermediate: Some(256 * (wide as f64 / 256.0).round_ties_even().max(1.0) as usize),
    };
    let mut spec = common::decoder_with(&config, 512, 10_000.0, keys)?;
    for attention in spec.attentions_mut() {
        attention.qkv = QkvLayout::Joined;
        let rope = attention.rope.iter_mut();
        rope.for_each(|rope| rope.traditional = true);
    }
    (spec.tied, spec.names) = (true, NAMES);
    Ok(spec)
}
