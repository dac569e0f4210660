//! MiMo V2 Flash: most layers within a window, with sinks and heads of their own;
//! heads of values are smaller than those of keys.

use super::{common, deepseek_v2, deepseek_v3};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{AttentionSpec, Names, Sight},
};

const NAMES: Names = Names {
    sinks: "self_attn.attention_sink_bias",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let keys = common::Keys {
        norm_eps: "layernorm_epsilon",
        intermediate: None,
    };
    let mut spec = common::decoder_with(config, 262_144, 5_000_000.0, keys)?;
    let count = spec.layers.len();
    let local = common::layer_flags(config, "hybrid_layer_pattern", count)?;
    let chosen = common::layer_flags(config, "moe_layer_freq", count)?;
    let experts = deepseek_v2::experts(config, deepseek_v3::routing(config)?)?;
    for ((layer, local), chosen) in spec.layers.iter_mut().zip(local).zip(chosen) {
        if let Some(attention) = layer.attention_mut() {
            attend(config, local, attention)?;
        }
        if chosen {
            layer.mlp = experts.clone().or(layer.mlp.take());
        }
    }
    (spec.tied, spec.names) = (false, NAMES);
    Ok(spec)
}

fn attend(config: &Config, local: bool, attention: &mut AttentionSpec) -> Result<(), ModelError> {
    let key = |own: &str| match local {
        true => format!("swa_{own}"),
        false => own.to_owned(),
    };
    attention.heads = config.size(&key("num_attention_heads"))?;
    attention.kv_heads = config.size(&key("num_key_value_heads"))?;
    attention.head_dim = config.size(&key("head_dim"))?;
    attention.value_dim = Some(config.size(&key("v_head_dim"))?);
    attention.value_scale = config
        .number_or_none("attention_value_scale")?
        .map(|scale| scale as f32);
    let (base, rotated) = (
        config.positive(&key("rope_theta"))?,
        common::rotated(config, attention.head_dim, 1.0)?,
    );
    if let Some(rope) = &mut attention.rope {
        (rope.base, rope.dims) = (base, Some(rotated));
    }
    let sinks = match local {
        true => "add_swa_attention_sink_bias",
        false => "add_full_attention_sink_bias",
    };
    attention.sinks = config.flag_or(sinks, false)?;
    if local {
        attention.sight = Sight::Window(config.size("sliding_window_size")?);
    }
    Ok(())
}
