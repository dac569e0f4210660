//! Mamba 2: layers of nothing but the state space.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Factors, LayerSpec, Mamba2Spec, MixerSpec, Names, NormPlaces, NormSpec},
};

const NAMES: Names = Names {
    embedding: "backbone.embeddings",
    norm: "backbone.norm_f",
    layer: "backbone.layers.{}",
    before_mixer: "norm",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let bias = config.flag_or("use_bias", false)?;
    let mixer = MixerSpec::Mamba2(Mamba2Spec {
        module: "mixer",
        heads: config.size("num_heads")?,
        head_dim: config.size("head_dim")?,
        groups: config.size("n_groups")?,
        state: match config.size_or_none("ssm_state_size")? {
            Some(size) => size,
            None => config.size("state_size")?,
        },
        kernel: config.size("conv_kernel")?,
        in_bias: bias,
        out_bias: bias,
        conv_bias: config.flag_or("use_conv_bias", true)?,
        step_limit: common::step_limit(config)?,
        norm_groups: Some(1),
        converted: false,
    });
    of_states(config, mixer)
}

/// Layers of nothing but `mixer`.
pub fn of_states(config: &Config, mixer: MixerSpec) -> Result<ModelSpec, ModelError> {
    let layer = LayerSpec::mixing(mixer);
    let context = config.size_or_none("max_position_embeddings")?;
    Ok(ModelSpec {
        family: config.text("model_type")?.to_owned(),
        vocab: config.size("vocab_size")?,
        hidden: config.size("hidden_size")?,
        // A state has no end; this is a bound for plans of memory.
        context: context.unwrap_or(1 << 20),
        layers: vec![layer; common::layer_count(config)?],
        norm: NormSpec::rms(config.positive("layer_norm_epsilon")? as f32),
        norms: NormPlaces::Before,
        factors: Factors::NONE,
        embedding_norm: false,
        layer_inputs: None,
        layer_scalars: false,
        logit_cap: None,
        tied: config.flag_or("tie_word_embeddings", false)?,
        head_bias: false,
        head_columns_normed: false,
        positions: None,
        names: NAMES,
    })
}
