//! Helium: Llama with neighbours rotated; attention's output has no bias.

use super::common;
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 4096, 100_000.0)?;
    let attention_bias = config.flag_or("attention_bias", false)?;
    let mlp_bias = config.flag_or("mlp_bias", false)?;
    for attention in spec.attentions_mut() {
        attention.qkv_bias = attention_bias;
        attention
            .rope
            .iter_mut()
            .for_each(|rope| rope.traditional = true);
    }
    spec.gated_mut().for_each(|mlp| mlp.bias = mlp_bias);
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(spec)
}
