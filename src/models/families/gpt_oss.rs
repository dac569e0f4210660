//! gpt-oss: attention with sinks, every other layer within a window, and a
//! mixture of experts with biases and a clamped activation.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Activation, Joined, MlpSpec, MoeNames, MoeSpec, Routing, Score, Sight},
};

const NAMES: MoeNames = MoeNames {
    router: "mlp.router",
    stacked: [
        "mlp.experts.gate_proj",
        "mlp.experts.up_proj",
        "mlp.experts.down_proj",
    ],
    joined: Joined {
        interleaved: true,
        transposed: true,
        ..MoeNames::COMMON.joined
    },
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 131_072, 150_000.0)?;
    let head_dim = config.size_or_none("head_dim")?.unwrap_or(64);
    let moe = MlpSpec::Moe(MoeSpec {
        activation: Activation::Clamped,
        expert_bias: true,
        router_bias: true,
        routing: Routing {
            score: Score::SoftmaxOfChosen,
            ..Routing::SOFTMAX
        },
        ..common::moe(config, "num_local_experts", "intermediate_size", &NAMES)?
    });
    let window = config.size_or_none("sliding_window")?.unwrap_or(128);
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        layer.mlp = Some(moe.clone());
        if let Some(attention) = layer.attention_mut() {
            attention.head_dim = head_dim;
            attention.sinks = true;
            (attention.qkv_bias, attention.output_bias) = (true, true);
            if config.get("layer_types").is_none() && index % 2 == 0 {
                attention.sight = Sight::Window(window);
            }
        }
    }
    common::sliding_layers(config, &mut spec)?;
    spec.tied = false;
    Ok(spec)
}
