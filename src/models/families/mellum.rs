//! Mellum 2: Qwen3 with experts, some layers within a window, positions of their
//! own for each kind of layer.

use super::{common, qwen3_moe};
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = qwen3_moe::spec(config)?;
    common::sliding_layers(config, &mut spec)?;
    let kinds = ["full_attention", "sliding_attention"];
    let types = common::layer_types(config, spec.layers.len(), kinds)?;
    let types = types.ok_or_else(|| config.error("layer_types", "is missing"))?;
    for (attention, kind) in spec.attentions_mut().zip(types) {
        let context = config.size("max_position_embeddings")?;
        attention.rope = Some(common::rope_of_kind(config, kinds[kind], context)?);
    }
    Ok(spec)
}
