//! GLM-4-0414: GLM with norms around the branches and rotation of a part of
//! each head.

use super::{common, glm};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Names, NormPlaces},
};

const NAMES: Names = Names {
    after_mixer: "post_self_attn_layernorm",
    before_mlp: "post_attention_layernorm",
    after_mlp: "post_mlp_layernorm",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = glm::spec(config)?;
    let head_dim = common::head_dim(config, &spec)?;
    let rotated = common::rotated(config, head_dim, 0.5)?;
    let traditional = config.flag_or("rope_traditional", true)?;
    for attention in spec.attentions_mut() {
        if let Some(rope) = &mut attention.rope {
            (rope.dims, rope.traditional) = (Some(rotated), traditional);
        }
    }
    (spec.norms, spec.names, spec.tied) = (NormPlaces::Around, NAMES, false);
    Ok(spec)
}
