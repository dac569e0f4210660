//! Phi-3 and Phi-4: Llama with queries, keys and values in one matrix, gate and
//! up in another, and rotation of a part of each head.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{GateUpLayout, QkvLayout},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 131_072, 10_000.0)?;
    let factor = config
        .number_or_none("partial_rotary_factor")?
        .unwrap_or(1.0);
    for attention in spec.attentions_mut() {
        attention.qkv = QkvLayout::Joined;
        let rotated = (attention.head_dim as f64 * factor) as usize;
        attention
            .rope
            .iter_mut()
            .for_each(|rope| rope.dims = Some(rotated));
    }
    spec.gated_mut()
        .for_each(|mlp| mlp.layout = GateUpLayout::Joined);
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(spec)
}
