//! Command R: attention beside the MLP behind one layer norm without bias,
//! neighbours rotated, logits scaled.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{NormPlaces, NormSpec, QkNorm},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = decoder(config, 8_000_000.0)?;
    if config.flag_or("use_qk_norm", false)? {
        spec.attentions_mut()
            .for_each(|it| it.qk_norm = QkNorm::EachHead);
    }
    Ok(spec)
}

/// What both generations share.
pub fn decoder(config: &Config, rope_base: f64) -> Result<ModelSpec, ModelError> {
    let mut config = config.clone();
    config.default("layer_norm_eps", 1e-5.into());
    let keys = common::Keys {
        norm_eps: "layer_norm_eps",
        intermediate: None,
    };
    let mut spec = common::decoder_with(&config, 8192, rope_base, keys)?;
    spec.norm = NormSpec::layer(spec.norm.eps, config.flag_or("layer_norm_bias", false)?);
    let bias = config.flag_or("attention_bias", false)?;
    for attention in spec.attentions_mut() {
        (attention.qkv_bias, attention.output_bias) = (bias, bias);
        attention
            .rope
            .iter_mut()
            .for_each(|rope| rope.traditional = true);
    }
    spec.norms = NormPlaces::Shared;
    spec.factors.head = config.number_or_none("logit_scale")?.unwrap_or(0.0625) as f32;
    spec.tied = true;
    Ok(spec)
}
