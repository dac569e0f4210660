//! OLMoE: Llama with norms of all heads' queries and keys together, and experts
//! chosen by softmax.

use super::{common, llama};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MlpSpec, MoeNames, MoeSpec, QkNorm, Routing},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = llama::spec(config)?;
    let moe = MoeSpec {
        routing: Routing {
            normalise: config.flag_or("norm_topk_prob", false)?,
            ..Routing::SOFTMAX
        },
        ..common::moe(
            config,
            "num_experts",
            "intermediate_size",
            &MoeNames::COMMON,
        )?
    };
    for layer in &mut spec.layers {
        layer.mlp = Some(MlpSpec::Moe(moe));
    }
    for attention in spec.attentions_mut() {
        attention.qk_norm = QkNorm::Whole;
    }
    Ok(spec)
}
