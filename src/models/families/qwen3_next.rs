//! Qwen3-Next: three layers of the gated delta rule to one of gated attention,
//! experts chosen by softmax, and one that every token goes through.

use super::{common, qwen3_moe};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{DeltaLayout, GatedDeltaSpec, MixerSpec, NormOffset, OutputGate, QkNorm},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = hybrid(config, DeltaLayout::ByKeyHead)?;
    qwen3_moe::mixtures(config, &mut spec)?;
    Ok(spec)
}

/// The layers' mixers, with dense MLPs.
pub fn hybrid(config: &Config, layout: DeltaLayout) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 131_072, 10_000_000.0)?;
    let delta = delta(config, layout, spec.norm.eps)?;
    let head_dim = common::head_dim(config, &spec)?;
    let bias = config.flag_or("attention_bias", false)?;
    let rotated = common::rotated(config, head_dim, 0.25)?;
    let every = config.size_or_none("full_attention_interval")?.unwrap_or(4);
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        if (index + 1) % every != 0 {
            layer.mixer = Some(MixerSpec::GatedDelta(delta));
        } else if let Some(attention) = layer.attention_mut() {
            attention.head_dim = head_dim;
            (attention.qkv_bias, attention.output_bias) = (bias, bias);
            (attention.qk_norm, attention.gate) = (QkNorm::Head, OutputGate::WithQueries);
            attention
                .rope
                .iter_mut()
                .for_each(|rope| rope.dims = Some(rotated));
        }
    }
    spec.norm.offset = NormOffset::OneIfPublished;
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(spec)
}

/// The gated delta rule, its results normed with an epsilon.
pub fn delta(
    config: &Config,
    layout: DeltaLayout,
    norm_eps: f32,
) -> Result<GatedDeltaSpec, ModelError> {
    let delta = GatedDeltaSpec {
        key_heads: config.size("linear_num_key_heads")?,
        value_heads: config.size("linear_num_value_heads")?,
        key_dim: config.size("linear_key_head_dim")?,
        value_dim: config.size("linear_value_head_dim")?,
        kernel: config.size("linear_conv_kernel_dim")?,
        layout,
        doubled: false,
        norm_eps,
    };
    if !delta.value_heads.is_multiple_of(delta.key_heads) {
        let (values, keys) = (delta.value_heads, delta.key_heads);
        let problem = format!("is {values}: the {keys} key heads do not divide it evenly");
        return Err(config.error("linear_num_value_heads", problem));
    }
    Ok(delta)
}
