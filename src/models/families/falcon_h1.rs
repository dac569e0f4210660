//! Falcon-H1: attention and Mamba 2 side by side in every layer. Its factors are
//! part of the weights once a model is converted for MLX.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Mamba2Spec, MixerSpec, Names},
};

const NAMES: Names = Names {
    norm: "model.final_layernorm",
    before_mlp: "pre_ff_layernorm",
    gate_up: ["feed_forward.gate_proj", "feed_forward.up_proj"],
    down: "feed_forward.down_proj",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 131_072, 1e11)?;
    let bias = |key: &str| config.flag_or(key, false);
    let normed = bias("mamba_rms_norm")?;
    if normed && bias("mamba_norm_before_gate")? {
        return Err(config.error("mamba_norm_before_gate", "is true: expected false"));
    }
    let mamba = Mamba2Spec {
        out_bias: bias("projectors_bias")?,
        step_limit: (0.0, f32::INFINITY),
        norm_groups: normed.then_some(1),
        converted: true,
        ..common::mamba(config, "mamba")?
    };
    let (head_dim, mlp_bias) = (common::head_dim(config, &spec)?, bias("mlp_bias")?);
    let attention_bias = bias("attention_bias")?;
    for layer in &mut spec.layers {
        if let Some(MixerSpec::Attention(mut attention)) = layer.mixer.take() {
            attention.head_dim = head_dim;
            (attention.qkv_bias, attention.output_bias) = (attention_bias, attention_bias);
            layer.mixer = Some(MixerSpec::Both(attention, mamba));
        }
    }
    spec.gated_mut().for_each(|mlp| mlp.bias = mlp_bias);
    if spec.tied {
        // The embedding has a factor that the head does not want.
        let head = config
            .number_or_none("lm_head_multiplier")?
            .unwrap_or(0.039_062_5);
        let embedding = config.number_or_none("embedding_multiplier")?;
        let embedding = embedding.unwrap_or(5.656_854_249_492_381);
        spec.factors.head = (head / embedding) as f32;
    }
    spec.names = NAMES;
    Ok(spec)
}
