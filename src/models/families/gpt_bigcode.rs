//! SantaCoder and StarCoder: GPT-2 whose heads share one key and value.

use super::{common, gpt2};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Activation, Names},
};

const NAMES: Names = Names {
    embedding: "transformer.wte",
    positions: "transformer.wpe",
    norm: "transformer.ln_f",
    layer: "transformer.h.{}",
    transposed: None,
    ..gpt2::NAMES
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = gpt2::decoder(config)?;
    let bias = config.flag_or("attention_bias", true)?;
    let shared = config.flag_or("multi_query", true)?;
    for attention in spec.attentions_mut() {
        (attention.qkv_bias, attention.output_bias) = (bias, bias);
        if shared {
            attention.kv_heads = 1;
        }
    }
    let intermediate = config.size_or_none("n_inner")?.unwrap_or(4 * spec.hidden);
    let bias = config.flag_or("mlp_bias", true)?;
    common::plain_mlps(&mut spec, intermediate, bias, Activation::GeluExact);
    spec.names = NAMES;
    Ok(spec)
}
