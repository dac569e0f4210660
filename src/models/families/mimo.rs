//! MiMo: Qwen2. Layers that guess several tokens at once are left aside.

use super::common;
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 32_768, 10_000.0)?;
    for attention in spec.attentions_mut() {
        attention.qkv_bias = true;
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(spec)
}
