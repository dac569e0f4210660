//! Llama 1 to 3, and the many models that copied its shape.

use super::common;
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 2048, 10_000.0)?;
    let head_dim = common::head_dim(config, &spec)?;
    let attention_bias = config.flag_or("attention_bias", false)?;
    let mlp_bias = config.flag_or("mlp_bias", false)?;
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        attention.qkv_bias = attention_bias;
        attention.output_bias = attention_bias;
    }
    spec.gated_mut().for_each(|mlp| mlp.bias = mlp_bias);
    common::sliding_layers(config, &mut spec)?;
    Ok(spec)
}
