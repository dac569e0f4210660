//! Qwen, the first: Llama by other names, with the gate's matrix after the
//! other's and queries, keys and values in one.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Names, QkvLayout},
};

const NAMES: Names = Names {
    embedding: "transformer.wte",
    norm: "transformer.ln_f",
    layer: "transformer.h.{}",
    before_mixer: "ln_1",
    before_mlp: "ln_2",
    fused_qkv: "attn.c_attn",
    output: "attn.c_proj",
    gate_up: ["mlp.w2", "mlp.w1"],
    down: "mlp.c_proj",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    // Given for both halves of the gated MLP.
    let both = config.size_or_none("intermediate_size")?.unwrap_or(11_008);
    let mut config = config.clone();
    config.default("layer_norm_epsilon", 1e-6.into());
    config.remove("num_key_value_heads");
    let keys = common::Keys {
        norm_eps: "layer_norm_epsilon",
        intermediate: Some(both / 2),
    };
    let mut spec = common::decoder_with(&config, 8192, 10_000.0, keys)?;
    let bias = !config.flag_or("no_bias", true)?;
    for attention in spec.attentions_mut() {
        attention.qkv = QkvLayout::Joined;
        (attention.qkv_bias, attention.output_bias) = (true, bias);
    }
    spec.gated_mut().for_each(|mlp| mlp.bias = bias);
    (spec.tied, spec.head_bias, spec.names) = (false, bias, NAMES);
    Ok(spec)
}
