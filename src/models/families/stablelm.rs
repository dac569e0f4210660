//! StableLM 2: layer norms, rotation of a part of each head, and in some sizes
//! attention beside the MLP and norms of every head.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Names, NormPlaces, NormSpec, QkNorm},
};

const NAMES: Names = Names {
    q_norm: "self_attn.q_layernorm.norms.{}",
    k_norm: "self_attn.k_layernorm.norms.{}",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let keys = common::Keys {
        norm_eps: "layer_norm_eps",
        intermediate: None,
    };
    let mut spec = common::decoder_with(config, 4096, 10_000.0, keys)?;
    spec.norm = NormSpec::layer(spec.norm.eps, true);
    let head_dim = common::head_dim(config, &spec)?;
    let rotated = common::rotated(config, head_dim, 0.25)?;
    let bias = config.flag_or("use_qkv_bias", false)?;
    let normed = config.flag_or("qk_layernorm", false)?;
    for attention in spec.attentions_mut() {
        attention.qkv_bias = bias;
        attention.qk_norm = if normed {
            QkNorm::EachHead
        } else {
            QkNorm::None
        };
        attention
            .rope
            .iter_mut()
            .for_each(|rope| rope.dims = Some(rotated));
    }
    if config.flag_or("use_parallel_residual", false)? {
        spec.norms = NormPlaces::Shared;
    }
    (spec.tied, spec.names) = (false, NAMES);
    Ok(spec)
}
