//! ERNIE 4.5: Llama with neighbours rotated and one switch for all biases.

use super::common;
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 131_072, 10_000.0)?;
    let head_dim = common::head_dim(config, &spec)?;
    let bias = config.flag_or("use_bias", false)?;
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        (attention.qkv_bias, attention.output_bias) = (bias, bias);
        attention
            .rope
            .iter_mut()
            .for_each(|rope| rope.traditional = true);
    }
    spec.gated_mut().for_each(|mlp| mlp.bias = bias);
    Ok(spec)
}
