//! OLMo Hybrid: three layers of the gated delta rule, normed before, to one of
//! OLMo 2's attention, normed after.

use super::{common, qwen3_next};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{DeltaLayout, GatedDeltaSpec, MixerSpec, Names, NormPlaces, QkNorm},
};

const NAMES: Names = Names {
    after_mixer: "post_attention_layernorm",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 65_536, 10_000.0)?;
    let eps = config.number_or_none("layer_norm_epsilon")?.unwrap_or(1e-5);
    let delta = GatedDeltaSpec {
        doubled: config.flag_or("linear_allow_neg_eigval", false)?,
        ..qwen3_next::delta(config, DeltaLayout::Apart, eps as f32)?
    };
    let head_dim = common::head_dim(config, &spec)?;
    let bias = config.flag_or("attention_bias", false)?;
    let is_rotated = !knows_no_positions(config)?;
    let count = spec.layers.len();
    let types = common::layer_types(config, count, ["linear_attention", "full_attention"])?;
    let types = types.unwrap_or_else(|| (0..count).map(|i| usize::from(i % 4 == 3)).collect());
    for (layer, kind) in spec.layers.iter_mut().zip(types) {
        if kind == 0 {
            layer.mixer = Some(MixerSpec::GatedDelta(delta));
            continue;
        }
        layer.norms = Some(NormPlaces::After);
        if let Some(attention) = layer.attention_mut() {
            (attention.head_dim, attention.qk_norm) = (head_dim, QkNorm::Whole);
            (attention.qkv_bias, attention.output_bias) = (bias, bias);
            attention.rope.take_if(|_| !is_rotated);
        }
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    spec.names = NAMES;
    Ok(spec)
}

/// Whether the base of rotations is said to be none.
fn knows_no_positions(config: &Config) -> Result<bool, ModelError> {
    let nested = config.object_or_none("rope_parameters")?;
    let config = nested.as_ref().unwrap_or(config);
    let mut keys = config.keys();
    Ok(keys.any(|(key, value)| key == "rope_theta" && value.is_null()))
}
