//! Qwen3: no biases, a norm on each head's queries and keys, and heads whose
//! size is free of the model's width.

use super::common;
use crate::models::{Config, ModelError, ModelSpec, spec::QkNorm};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 40_960, 1_000_000.0)?;
    let head_dim = config.size_or_none("head_dim")?.unwrap_or(128);
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        attention.qk_norm = QkNorm::Head;
        attention
            .rope
            .iter_mut()
            .for_each(|rope| rope.traditional = false);
    }
    Ok(spec)
}
