//! LFM2: most layers a short convolution, some attention.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MixerSpec, Names, QkNorm, ShortConvSpec},
};

const NAMES: Names = Names {
    norm: "model.embedding_norm",
    before_mixer: "operator_norm",
    before_mlp: "ffn_norm",
    output: "self_attn.out_proj",
    q_norm: "self_attn.q_layernorm",
    k_norm: "self_attn.k_layernorm",
    gate_up: ["feed_forward.w1", "feed_forward.w3"],
    down: "feed_forward.w2",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    with_mlp(config, intermediate(config)?)
}

/// With dense MLPs of a width.
pub fn with_mlp(config: &Config, inner: usize) -> Result<ModelSpec, ModelError> {
    let keys = common::Keys {
        norm_eps: "norm_eps",
        intermediate: Some(inner),
    };
    let mut spec = common::decoder_with(config, 128_000, 1_000_000.0, keys)?;
    let conv = MixerSpec::ShortConv(ShortConvSpec {
        width: spec.hidden,
        kernel: config.size("conv_L_cache")?,
        bias: config.flag_or("conv_bias", false)?,
    });
    let attends = attention_layers(config, spec.layers.len())?;
    for (layer, attends) in spec.layers.iter_mut().zip(attends) {
        if !attends {
            layer.mixer = Some(conv.clone());
        } else if let Some(attention) = layer.attention_mut() {
            attention.qk_norm = QkNorm::Head;
        }
    }
    (spec.tied, spec.names) = (true, NAMES);
    Ok(spec)
}

fn attention_layers(config: &Config, layers: usize) -> Result<Vec<bool>, ModelError> {
    if config.get("full_attn_idxs").is_some() {
        let places = config.numbers("full_attn_idxs")?;
        return Ok((0..layers)
            .map(|at| places.contains(&(at as f64)))
            .collect());
    }
    let types = common::layer_types(config, layers, ["conv", "full_attention"])?;
    let types = types.ok_or_else(|| config.error("layer_types", "is missing"))?;
    Ok(types.into_iter().map(|kind| kind == 1).collect())
}

/// Width of the MLP, which may be two thirds of what is given, rounded up.
fn intermediate(config: &Config) -> Result<usize, ModelError> {
    let given = match config.size_or_none("block_ff_dim")? {
        Some(width) => width,
        None => config.size("intermediate_size")?,
    };
    if !config.flag_or("block_auto_adjust_ff_dim", true)? {
        return Ok(given);
    }
    let factor = config.number_or_none("block_ffn_dim_multiplier")?;
    let width = (factor.unwrap_or(1.0) * (2 * given / 3) as f64) as usize;
    let multiple = config.size_or_none("block_multiple_of")?.unwrap_or(256);
    Ok(width.next_multiple_of(multiple))
}
