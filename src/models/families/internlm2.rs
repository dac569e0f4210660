//! InternLM 2: Llama by other names, with the queries of a key head, its key and
//! its value together.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Names, QkvLayout},
};

const NAMES: Names = Names {
    embedding: "model.tok_embeddings",
    head: "output",
    before_mixer: "attention_norm",
    before_mlp: "ffn_norm",
    fused_qkv: "attention.wqkv",
    output: "attention.wo",
    gate_up: ["feed_forward.w1", "feed_forward.w3"],
    down: "feed_forward.w2",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 32_768, 10_000.0)?;
    let bias = config.flag_or("bias", true)?;
    for attention in spec.attentions_mut() {
        attention.qkv = QkvLayout::ByGroup;
        (attention.qkv_bias, attention.output_bias) = (bias, bias);
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    spec.names = NAMES;
    Ok(spec)
}
