//! SmolLM3: Llama whose every fourth layer is not told positions.

use super::llama;
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = llama::spec(config)?;
    let every = config.size_or_none("no_rope_layer_interval")?.unwrap_or(4);
    let key = "no_rope_layers";
    let listed = match config.get(key) {
        Some(_) => Some(config.numbers(key)?),
        None => None,
    };
    if let Some(listed) = &listed
        && listed.len() != spec.layers.len()
    {
        let problem = format!(
            "has {} entries: expected one for each of the {} layers",
            listed.len(),
            spec.layers.len()
        );
        return Err(config.error(key, problem));
    }
    for (index, attention) in spec.attentions_mut().enumerate() {
        let rotated = match &listed {
            Some(listed) => listed[index] != 0.0,
            None => (index + 1) % every != 0,
        };
        attention.rope.take_if(|_| !rotated);
    }
    Ok(spec)
}
