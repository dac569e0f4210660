//! Hunyuan's dense models: norms of queries and keys after rotation, whose base
//! a factor stretches.

use super::{common, llama};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Names, QkNorm, RopeScaling},
};

pub const NAMES: Names = Names {
    q_norm: "self_attn.query_layernorm",
    k_norm: "self_attn.key_layernorm",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut plain = config.clone();
    let scaling = plain.object_or_none("rope_scaling")?;
    plain.remove("rope_scaling");
    let mut spec = llama::spec(&plain)?;
    let head_dim = common::head_dim(config, &spec)?;
    let alpha = match &scaling {
        Some(scaling) => scaling.number_or_none("alpha")?.unwrap_or(1.0),
        None => 1.0,
    };
    let width = head_dim as f64;
    let normed = config.flag_or("use_qk_norm", true)?;
    for attention in spec.attentions_mut() {
        attention.qk_norm = if normed {
            QkNorm::HeadAfter
        } else {
            QkNorm::None
        };
        if let Some(rope) = &mut attention.rope {
            rope.scaling = RopeScaling::None;
            rope.base *= alpha.powf(width / (width - 2.0));
        }
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    spec.names = NAMES;
    Ok(spec)
}
