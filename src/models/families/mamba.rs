//! Mamba and Falcon Mamba: layers of nothing but the first selective state space.

use super::{common, mamba2};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MambaLayout, MambaSpec, MixerSpec, StepNorms},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut config = common::renamed(
        config,
        &[
            ("d_model", "hidden_size"),
            ("d_inner", "intermediate_size"),
            ("d_state", "state_size"),
            ("d_conv", "conv_kernel"),
            ("n_layer", "num_hidden_layers"),
        ],
    );
    config.default("layer_norm_epsilon", 1e-5.into());
    let bias = config.flag_or("use_bias", false)?;
    let is_normed = config.flag_or("use_bcdt_rms", false)?;
    let falcon = config.text("model_type")? == "falcon_mamba";
    let eps = config.number_or_none("mixer_rms_eps")?.unwrap_or(1e-6);
    let mixer = MixerSpec::Mamba(MambaSpec {
        module: "mixer",
        heads: config.size("intermediate_size")?,
        head_dim: 1,
        state: config.size("state_size")?,
        kernel: config.size("conv_kernel")?,
        step_rank: step_rank(&config, "time_step_rank")?,
        in_bias: bias,
        out_bias: bias,
        conv_bias: config.flag_or("use_conv_bias", true)?,
        norms: match is_normed || falcon {
            true => StepNorms::Plain(eps as f32),
            false => StepNorms::None,
        },
        layout: MambaLayout::Each,
        step_limit: (0.0, f32::INFINITY),
    });
    let tied = config.flag_or("tie_word_embeddings", true)?;
    let spec = mamba2::of_states(&config, mixer)?;
    Ok(ModelSpec { tied, ..spec })
}

/// How many numbers time steps are made of; "auto": a sixteenth of the width.
pub fn step_rank(config: &Config, key: &str) -> Result<usize, ModelError> {
    match config.get(key).and_then(|rank| rank.as_str()) {
        Some("auto") => Ok(config.size("hidden_size")?.div_ceil(16)),
        _ => config.size(key),
    }
}
