//! Llama 4, the part that speaks: three layers that see their own chunk to one
//! without positions that sees all; experts of which one is chosen.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{
        Joined, MlpSpec, MoeNames, MoeSpec, Names, QkNorm, Routing, Score, SharedSpec, Sight,
        Temperature,
    },
};

const NAMES: Names = Names {
    gate_up: ["feed_forward.gate_proj", "feed_forward.up_proj"],
    down: "feed_forward.down_proj",
    ..Names::LLAMA
};
const EXPERTS: MoeNames = MoeNames {
    router: "feed_forward.router",
    stacked: [
        "feed_forward.experts.gate_proj",
        "feed_forward.experts.up_proj",
        "feed_forward.experts.down_proj",
    ],
    shared: [
        "feed_forward.shared_expert.gate_proj",
        "feed_forward.shared_expert.up_proj",
        "feed_forward.shared_expert.down_proj",
    ],
    joined: Joined {
        gate_up: "feed_forward.experts.gate_up_proj",
        down: "feed_forward.experts.down_proj",
        interleaved: false,
        transposed: true,
    },
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let family = config.text("model_type")?.to_owned();
    let config = &common::text_part(config)?;
    let keys = common::Keys {
        norm_eps: "rms_norm_eps",
        intermediate: Some(config.size("intermediate_size_mlp")?),
    };
    let mut spec = common::decoder_with(config, 131_072, 500_000.0, keys)?;
    let head_dim = common::head_dim(config, &spec)?;
    let chunk = config.size("attention_chunk_size")?;
    let bias = config.flag_or("attention_bias", false)?;
    let normed = config.flag_or("use_qk_norm", true)?;
    let temperature = temperature(config)?;
    let moe = moe(config)?;
    let every = config
        .size_or_none("interleave_moe_layer_step")?
        .unwrap_or(1);
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        if let Some(attention) = layer.attention_mut() {
            attention.head_dim = head_dim;
            (attention.qkv_bias, attention.output_bias) = (bias, bias);
            attention
                .rope
                .iter_mut()
                .for_each(|rope| rope.traditional = true);
            if (index + 1) % 4 == 0 {
                (attention.rope, attention.temperature) = (None, temperature);
            } else {
                attention.sight = Sight::Chunk(chunk);
                attention.qk_norm = if normed { QkNorm::Plain } else { QkNorm::None };
            }
        }
        if index % every == every - 1 {
            layer.mlp = Some(MlpSpec::Moe(moe));
        }
    }
    (spec.family, spec.names, spec.tied) = (family, NAMES, false);
    Ok(spec)
}

fn temperature(config: &Config) -> Result<Option<Temperature>, ModelError> {
    let key = "attn_temperature_tuning";
    let on = match config.get(key) {
        Some(value) if value.is_number() => config.number(key)? != 0.0,
        _ => config.flag_or(key, true)?,
    };
    Ok(on.then_some(Temperature {
        first: 1,
        floor: config.number_or_none("floor_scale")?.unwrap_or(8192.0),
        scale: config.number_or_none("attn_scale")?.unwrap_or(0.1),
    }))
}

fn moe(config: &Config) -> Result<MoeSpec, ModelError> {
    let moe = common::moe(config, "num_local_experts", "intermediate_size", &EXPERTS)?;
    Ok(MoeSpec {
        routing: Routing {
            score: Score::Sigmoid,
            weigh_input: true,
            ..Routing::SOFTMAX
        },
        shared: Some(SharedSpec::new(moe.intermediate)),
        ..moe
    })
}
