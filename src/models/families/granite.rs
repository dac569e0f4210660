//! Granite 3: Llama with factors on embeddings, scores, branches and logits.

use super::llama;
use crate::models::{Config, ModelError, ModelSpec, spec::Factors};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = llama::spec(config)?;
    let scale = config.positive("attention_multiplier")?;
    for attention in spec.attentions_mut() {
        attention.scale = Some(scale);
    }
    spec.factors = factors(config)?;
    Ok(spec)
}

/// What all Granites multiply with.
pub fn factors(config: &Config) -> Result<Factors, ModelError> {
    Ok(Factors {
        embedding: config.positive("embedding_multiplier")? as f32,
        branch: config.positive("residual_multiplier")? as f32,
        head: 1.0 / config.positive("logits_scaling")? as f32,
    })
}
