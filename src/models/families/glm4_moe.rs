//! GLM-4.5 and later: experts as DeepSeek-V3 chooses them, attention with
//! rotation of a part of each head.

use super::{common, deepseek_v2, deepseek_v3};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{QkNorm, RopeScaling},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 131_072, 1_000_000.0)?;
    let head_dim = common::head_dim(config, &spec)?;
    let rotated = common::rotated(config, head_dim, 0.5)?;
    let bias = config.flag_or("attention_bias", false)?;
    let normed = config.flag_or("use_qk_norm", false)?;
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        attention.qkv_bias = bias;
        attention.qk_norm = if normed { QkNorm::Head } else { QkNorm::None };
        if let Some(rope) = &mut attention.rope {
            (rope.dims, rope.scaling) = (Some(rotated), RopeScaling::None);
        }
    }
    let experts = deepseek_v2::experts(config, deepseek_v3::routing(config)?)?;
    let dense = config.count_or_none("first_k_dense_replace")?.unwrap_or(0);
    for layer in spec.layers.iter_mut().skip(dense) {
        layer.mlp = experts.clone().or(layer.mlp.take());
    }
    spec.tied = false;
    Ok(spec)
}
