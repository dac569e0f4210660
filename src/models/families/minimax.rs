//! MiniMax M2: norms of all heads' queries and keys together, rotation of a part
//! of each head, and experts chosen by sigmoid and a correction.

use super::{common, mixtral};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MlpSpec, MoeNames, MoeSpec, QkNorm, Routing, Score},
};

const EXPERTS: MoeNames = MoeNames {
    correction: "block_sparse_moe.e_score_correction_bias",
    ..mixtral::NAMES
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 196_608, 10_000.0)?;
    let head_dim = common::head_dim(config, &spec)?;
    let rotated = config.size("rotary_dim")?;
    let normed = config.flag_or("use_qk_norm", true)?;
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        attention.qk_norm = if normed { QkNorm::Whole } else { QkNorm::None };
        let rope = attention.rope.iter_mut();
        rope.for_each(|rope| rope.dims = Some(rotated));
    }
    let moe = MoeSpec {
        routing: Routing {
            score: Score::Sigmoid,
            correction: true,
            normalise: true,
            ..Routing::SOFTMAX
        },
        ..common::moe(config, "num_local_experts", "intermediate_size", &EXPERTS)?
    };
    for layer in &mut spec.layers {
        layer.mlp = Some(MlpSpec::Moe(moe));
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(spec)
}
