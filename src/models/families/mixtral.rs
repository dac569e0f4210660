//! Mixtral: Mistral with experts.

use super::{common, llama};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MlpSpec, MoeNames, MoeSpec, Routing, Score},
};

pub const NAMES: MoeNames = MoeNames {
    router: "block_sparse_moe.gate",
    stacked: [
        "block_sparse_moe.switch_mlp.gate_proj",
        "block_sparse_moe.switch_mlp.up_proj",
        "block_sparse_moe.switch_mlp.down_proj",
    ],
    each: [
        "block_sparse_moe.experts.{}.w1",
        "block_sparse_moe.experts.{}.w3",
        "block_sparse_moe.experts.{}.w2",
    ],
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = llama::spec(config)?;
    let moe = MoeSpec {
        routing: Routing {
            score: Score::SoftmaxOfChosen,
            ..Routing::SOFTMAX
        },
        ..common::moe(config, "num_local_experts", "intermediate_size", &NAMES)?
    };
    for layer in &mut spec.layers {
        layer.mlp = Some(MlpSpec::Moe(moe));
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(spec)
}
