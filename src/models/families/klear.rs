//! Klear: norms of heads, experts chosen by sigmoid and a correction; a softmax
//! weighs them against those that every token goes through.

use super::{common, qwen3_moe};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MoeNames, MoeSpec, QkNorm, Routing, Score, SharedSpec, SharedWeight},
};

const EXPERTS: MoeNames = MoeNames {
    correction: "mlp.expert_bias",
    stacked: [
        "mlp.experts.gate_proj",
        "mlp.experts.up_proj",
        "mlp.experts.down_proj",
    ],
    shared_gate: "mlp.coefficient",
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 65_536, 500_000.0)?;
    let bias = config.flag_or("attention_bias", false)?;
    for attention in spec.attentions_mut() {
        (attention.qkv_bias, attention.output_bias) = (bias, bias);
        attention.qk_norm = QkNorm::Head;
    }
    spec.tied = false;
    if config.count_or_none("num_experts")? == Some(0) {
        return Ok(spec);
    }
    let moe = common::moe(config, "num_experts", "moe_intermediate_size", &EXPERTS)?;
    let shared = config.size_or_none("n_shared_experts")?.unwrap_or(1);
    let moe = MoeSpec {
        routing: Routing {
            score: Score::Sigmoid,
            correction: true,
            normalise: config.flag_or("norm_topk_prob", true)?,
            ..Routing::SOFTMAX
        },
        shared: Some(SharedSpec {
            weight: SharedWeight::Shares,
            ..SharedSpec::new(shared * moe.intermediate)
        }),
        ..moe
    };
    qwen3_moe::chosen_layers(config, &mut spec, moe)?;
    Ok(spec)
}
