//! RecurrentGemma (Griffin): real-gated linear recurrent units, and attention
//! within a window in every third layer.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Activation, MixerSpec, Names, NormOffset, RgLruSpec, RopeScaling, RopeSpec, Sight},
};

const NAMES: Names = Names {
    norm: "model.final_norm",
    before_mixer: "temporal_pre_norm",
    before_mlp: "channel_pre_norm",
    qkv: [
        "temporal_block.q_proj",
        "temporal_block.k_proj",
        "temporal_block.v_proj",
    ],
    output: "temporal_block.o_proj",
    gate_up: ["mlp_block.gate_proj", "mlp_block.up_proj"],
    down: "mlp_block.down_proj",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let keys = common::Keys {
        norm_eps: "rms_norm_eps",
        // That of gate and up together.
        intermediate: Some(config.size("intermediate_size")?.div_ceil(2)),
    };
    let mut spec = common::decoder_with(config, 8192, 10_000.0, keys)?;
    let hidden = spec.hidden;
    let unit = MixerSpec::RgLru(RgLruSpec {
        module: "temporal_block",
        width: config.size_or_none("lru_width")?.unwrap_or(hidden),
        heads: config.size("num_attention_heads")?,
        kernel: config.size_or_none("conv1d_width")?.unwrap_or(4),
    });
    let attends = attends(config)?;
    let window = config.size("attention_window_size")?;
    let bias = config.flag_or("attention_bias", false)?;
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        let Some(attention) = layer
            .attention_mut()
            .filter(|_| attends[index % attends.len()])
        else {
            layer.mixer = Some(unit.clone());
            continue;
        };
        attention.kv_heads = config.size_or_none("num_key_value_heads")?.unwrap_or(1);
        (attention.qkv_bias, attention.output_bias) = (bias, true);
        attention.sight = Sight::Window(window);
        let share = config.number_or_none("partial_rotary_factor")?;
        attention.rope = Some(RopeSpec {
            base: config.number_or_none("rope_theta")?.unwrap_or(10_000.0),
            dims: Some((attention.head_dim as f64 * share.unwrap_or(0.5)) as usize),
            traditional: false,
            scaling: RopeScaling::None,
        });
    }
    for mlp in spec.gated_mut() {
        (mlp.bias, mlp.activation) = (true, Activation::Gelu);
    }
    if config.flag_or("embeddings_scale_by_sqrt_dim", true)? {
        spec.factors.embedding = (hidden as f32).sqrt();
    }
    let cap = config.number_or_none("logits_soft_cap")?;
    spec.logit_cap = cap.filter(|cap| *cap > 0.0).map(|cap| cap as f32);
    spec.norm.offset = NormOffset::One;
    spec.names = NAMES;
    Ok(spec)
}

/// Whether layers are ones of attention, for the first few, after which it
/// begins again.
fn attends(config: &Config) -> Result<Vec<bool>, ModelError> {
    let key = match config.get("block_types") {
        Some(_) => "block_types",
        None => "_block_types",
    };
    let types = config.texts_or_none(key)?.unwrap_or_default();
    let attends = |kind: &String| match kind.as_str() {
        "attention" => Ok(true),
        "recurrent" => Ok(false),
        other => Err(config.error(key, format!("has the unknown entry \"{other}\""))),
    };
    match types.is_empty() {
        true => Err(config.error("block_types", "is missing")),
        false => types.iter().map(attends).collect(),
    }
}
