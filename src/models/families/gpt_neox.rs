//! GPT-NeoX and Pythia: attention and a plain MLP side by side behind layer
//! norms of their own, heads' queries, keys and values together.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Activation, Names, NormPlaces, NormSpec, QkvLayout},
};

const NAMES: Names = Names {
    embedding: "model.embed_in",
    norm: "model.final_layer_norm",
    head: "model.embed_out",
    layer: "model.h.{}",
    fused_qkv: "attention.query_key_value",
    output: "attention.dense",
    plain: ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"],
    published: &[("model.h.", "gpt_neox.layers."), ("model.", "gpt_neox.")],
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let intermediate = 4 * config.size("hidden_size")?;
    let keys = common::Keys {
        norm_eps: "layer_norm_eps",
        intermediate: Some(intermediate),
    };
    let mut spec = common::decoder_with(config, 2048, 10_000.0, keys)?;
    spec.norm = NormSpec::layer(spec.norm.eps, true);
    let base = config
        .number_or_none("rotary_emb_base")?
        .unwrap_or(10_000.0);
    let share = config.number_or_none("rotary_pct")?.unwrap_or(0.25);
    for attention in spec.attentions_mut() {
        attention.qkv = QkvLayout::ByGroup;
        (attention.qkv_bias, attention.output_bias) = (true, true);
        let rotated = (attention.head_dim as f64 * share) as usize;
        if let Some(rope) = &mut attention.rope {
            (rope.base, rope.dims) = (base, Some(rotated));
        }
    }
    common::plain_mlps(&mut spec, intermediate, true, Activation::Gelu);
    spec.norms = match config.flag_or("use_parallel_residual", true)? {
        true => NormPlaces::Beside,
        false => NormPlaces::Before,
    };
    (spec.tied, spec.names) = (false, NAMES);
    Ok(spec)
}
