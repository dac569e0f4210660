//! Gemma 2: norms on both sides of every branch, GELU, capped scores and
//! logits. Every layer sees the whole context, as in mlx-lm.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Activation, Names, NormOffset, NormPlaces},
};

const NAMES: Names = Names {
    before_mlp: "pre_feedforward_layernorm",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = decoder(config, 8192, 10_000.0, 144.0)?;
    let number_or =
        |key: &str, default: f64| config.number_or_none(key).map(|n| n.unwrap_or(default));
    let cap = number_or("attn_logit_softcapping", 50.0)?;
    for attention in spec.attentions_mut() {
        attention.cap = Some(cap as f32);
    }
    spec.logit_cap = Some(number_or("final_logit_softcapping", 30.0)? as f32);
    spec.factors.embedding = (spec.hidden as f32).sqrt();
    Ok(spec)
}

/// What the Gemmas from the second on share. `scalar`: the width that queries
/// are scaled for, where config.json is silent.
pub fn decoder(
    config: &Config,
    context: usize,
    rope_base: f64,
    scalar: f64,
) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, context, rope_base)?;
    let head_dim = config.size_or_none("head_dim")?.unwrap_or(256);
    let scalar = config
        .number_or_none("query_pre_attn_scalar")?
        .unwrap_or(scalar);
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        attention.scale = Some(1.0 / scalar.sqrt());
    }
    for mlp in spec.gated_mut() {
        mlp.activation = Activation::Gelu;
    }
    spec.norms = NormPlaces::Around;
    spec.norm.offset = NormOffset::One;
    spec.tied = true;
    spec.names = NAMES;
    Ok(spec)
}
