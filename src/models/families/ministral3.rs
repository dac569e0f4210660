//! Ministral 3: Mistral whose queries grow with their position.

use super::common;
use crate::models::{Config, ModelError, ModelSpec, spec::Temperature};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 262_144, 1_000_000.0)?;
    let head_dim = common::head_dim(config, &spec)?;
    let temperature = temperature(config)?;
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        attention.temperature = temperature;
    }
    common::sliding_layers(config, &mut spec)?;
    Ok(spec)
}

/// How queries grow with their position, by `rope_parameters`.
pub fn temperature(config: &Config) -> Result<Option<Temperature>, ModelError> {
    let rope = config.object_or_none("rope_parameters")?;
    let rope = rope.ok_or_else(|| config.error("rope_parameters", "is missing"))?;
    match rope.number_or_none("llama_4_scaling_beta")? {
        None => Ok(None),
        Some(scale) => Ok(Some(Temperature {
            first: 0,
            floor: rope.positive("original_max_position_embeddings")?,
            scale,
        })),
    }
}
