//! DeepSeek 1: Llama whose later layers choose experts by softmax, beside some
//! that every token goes through. `norm_topk_prob` holds as in the makers' own
//! code; mlx-lm does not look at it.

use super::{common, deepseek_v2};
use crate::models::{Config, ModelError, ModelSpec, spec::Routing};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 2048, 10_000.0)?;
    let bias = config.flag_or("attention_bias", false)?;
    for attention in spec.attentions_mut() {
        (attention.qkv_bias, attention.output_bias) = (bias, bias);
    }
    let routing = Routing {
        normalise: config.flag_or("norm_topk_prob", false)?,
        ..Routing::SOFTMAX
    };
    deepseek_v2::mixtures(config, &mut spec, routing)?;
    spec.tied = false;
    Ok(spec)
}
