//! InternLM 3: Llama with switches for its biases.

use super::common;
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 32_768, 10_000.0)?;
    let head_dim = common::head_dim(config, &spec)?;
    let attention_bias = config.flag_or("qkv_bias", false)?;
    let mlp_bias = config.flag_or("bias", false)?;
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        (attention.qkv_bias, attention.output_bias) = (attention_bias, attention_bias);
    }
    spec.gated_mut().for_each(|mlp| mlp.bias = mlp_bias);
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(spec)
}
