//! GLM-4 of 2024: Llama with gate and up in one matrix and neighbours rotated.

use super::common;
use crate::models::{Config, ModelError, ModelSpec, spec::GateUpLayout};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 131_072, 10_000.0)?;
    let head_dim = common::head_dim(config, &spec)?;
    let bias = config.flag_or("attention_bias", false)?;
    for attention in spec.attentions_mut() {
        (attention.head_dim, attention.qkv_bias) = (head_dim, bias);
        attention
            .rope
            .iter_mut()
            .for_each(|rope| rope.traditional = true);
    }
    spec.gated_mut()
        .for_each(|mlp| mlp.layout = GateUpLayout::Joined);
    Ok(spec)
}
