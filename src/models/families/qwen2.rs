//! Qwen2 and Qwen2.5: Llama with biases on queries, keys and values. Every
//! layer sees the whole context, as in mlx-lm, whatever `sliding_window` says.

use super::common;
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 32_768, 1_000_000.0)?;
    for attention in spec.attentions_mut() {
        attention.qkv_bias = true;
    }
    Ok(spec)
}
