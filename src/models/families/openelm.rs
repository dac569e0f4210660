//! OpenELM: every layer has a number of heads and a width of its own.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{GateUpLayout, GatedSpec, MlpSpec, Names, QkNorm, QkvLayout},
};

const NAMES: Names = Names {
    embedding: "transformer.token_embeddings",
    norm: "transformer.norm",
    layer: "transformer.layers.{}",
    before_mixer: "attn_norm",
    before_mlp: "ffn_norm",
    fused_qkv: "attn.qkv_proj",
    output: "attn.out_proj",
    q_norm: "attn.q_norm",
    k_norm: "attn.k_norm",
    fused_gate_up: "ffn.proj_1",
    down: "ffn.proj_2",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut config = common::renamed(
        config,
        &[
            ("model_dim", "hidden_size"),
            ("num_transformer_layers", "num_hidden_layers"),
            ("max_context_length", "max_position_embeddings"),
            ("rope_freq_constant", "rope_theta"),
        ],
    );
    config.default("rms_norm_eps", 1e-6.into());
    config.default("num_attention_heads", 1.into());
    let keys = common::Keys {
        norm_eps: "rms_norm_eps",
        intermediate: Some(1),
    };
    let mut spec = common::decoder_with(&config, 2048, 10_000.0, keys)?;
    let head_dim = config.size("head_dim")?;
    let is_normed = config.flag_or("normalize_qk_projections", true)?;
    let count = spec.layers.len();
    let heads = sizes(&config, "num_query_heads", count)?;
    let kv_heads = sizes(&config, "num_kv_heads", count)?;
    let widths = config.numbers("ffn_multipliers")?;
    let divisor = config.size_or_none("ffn_dim_divisor")?.unwrap_or(256);
    let hidden = spec.hidden;
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        if let Some(attention) = layer.attention_mut() {
            (attention.heads, attention.kv_heads) = (heads[index], kv_heads[index]);
            (attention.head_dim, attention.qkv) = (head_dim, QkvLayout::Joined);
            attention.qk_norm = if is_normed {
                QkNorm::Head
            } else {
                QkNorm::None
            };
        }
        let factor = widths
            .get(index)
            .filter(|factor| (0.0..=64.0).contains(*factor));
        let factor = factor.ok_or_else(|| {
            config.error(
                "ffn_multipliers",
                format!("has no sound entry for layer {index}"),
            )
        })?;
        if let Some(MlpSpec::Gated(mlp)) = &mut layer.mlp {
            *mlp = GatedSpec {
                intermediate: divisible(factor * hidden as f64, divisor),
                layout: GateUpLayout::Joined,
                ..*mlp
            };
        }
    }
    spec.tied = config.flag_or("share_input_output_layers", true)?;
    spec.names = NAMES;
    Ok(spec)
}

/// A size for each layer.
fn sizes(config: &Config, key: &str, layers: usize) -> Result<Vec<usize>, ModelError> {
    let sizes = config.numbers(key)?;
    let sound = |size: &f64| (1.0..=4096.0).contains(size) && size.fract() == 0.0;
    match sizes.len() == layers && sizes.iter().all(sound) {
        true => Ok(sizes.into_iter().map(|size| size as usize).collect()),
        false => {
            let problem = format!("is not a list of {layers} sizes, one for each layer");
            Err(config.error(key, problem))
        }
    }
}

/// The multiple of `divisor` nearest to a width, and not under it by more than
/// a tenth.
fn divisible(width: f64, divisor: usize) -> usize {
    let nearest = (width + divisor as f64 / 2.0) as usize / divisor * divisor;
    let nearest = nearest.max(divisor);
    match (nearest as f64) < 0.9 * width {
        true => nearest + divisor,
        false => nearest,
    }
}
