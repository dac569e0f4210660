//! LFM2 with experts, chosen by sigmoid and a correction; the first layers are
//! dense.

use super::{common, lfm2};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MlpSpec, MoeNames, MoeSpec, Names, Routing, Score},
};

const EXPERTS: MoeNames = MoeNames {
    router: "feed_forward.gate",
    correction: "feed_forward.expert_bias",
    stacked: [
        "feed_forward.switch_mlp.gate_proj",
        "feed_forward.switch_mlp.up_proj",
        "feed_forward.switch_mlp.down_proj",
    ],
    each: [
        "feed_forward.experts.{}.w1",
        "feed_forward.experts.{}.w3",
        "feed_forward.experts.{}.w2",
    ],
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = lfm2::with_mlp(config, config.size("intermediate_size")?)?;
    let scale = config.number_or_none("routed_scaling_factor")?;
    let moe = MoeSpec {
        routing: Routing {
            score: Score::Sigmoid,
            correction: config.flag_or("use_expert_bias", true)?,
            normalise: config.flag_or("norm_topk_prob", true)?,
            scale: scale.unwrap_or(1.0) as f32,
            ..Routing::SOFTMAX
        },
        ..common::moe(config, "num_experts", "moe_intermediate_size", &EXPERTS)?
    };
    let dense = config.count_or_none("num_dense_layers")?.unwrap_or(0);
    for layer in spec.layers.iter_mut().skip(dense) {
        layer.mlp = Some(MlpSpec::Moe(moe));
    }
    spec.names = Names {
        gate_up: ["feed_forward.gate_proj", "feed_forward.up_proj"],
        down: "feed_forward.down_proj",
        ..spec.names
    };
    Ok(spec)
}
