//! Seed-OSS: Llama with separate switches for the biases of attention.

use super::common;
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 524_288, 10_000.0)?;
    let head_dim = config.size("head_dim")?;
    let qkv_bias = config.flag_or("attention_bias", false)?;
    let output_bias = config.flag_or("attention_out_bias", false)?;
    let mlp_bias = config.flag_or("mlp_bias", false)?;
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        attention.qkv_bias = qkv_bias;
        attention.output_bias = output_bias;
    }
    spec.gated_mut().for_each(|mlp| mlp.bias = mlp_bias);
    Ok(spec)
}
