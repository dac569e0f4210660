//! Qwen3: no biases, a norm on each head's queries and keys, and heads whose
//! size is free of the model's width.

use super::common;
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 40_960, 1_000_000.0)?;
    let head_dim = config.size_or_none("head_dim")?.unwrap_or(128);
    for layer in &mut spec.layers {
        layer.attention.head_dim = head_dim;
        layer.attention.qk_norm = true;
        layer.attention.rope.traditional = false;
    }
    Ok(spec)
}
