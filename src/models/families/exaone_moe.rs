//! EXAONE with experts: norms of queries and keys, experts as DeepSeek-V3 chooses
//! them; where some layers have windows, those that see all are not told
//! positions.

use super::{common, deepseek_v3};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MlpSpec, MoeNames, MoeSpec, Names, QkNorm, Routing, SharedSpec, Sight},
};

const NAMES: Names = Names {
    published: &[(
        ".mlp.gate.e_score_correction_bias",
        ".mlp.e_score_correction_bias",
    )],
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 131_072, 1_000_000.0)?;
    let head_dim = common::head_dim(config, &spec)?;
    common::sliding_layers(config, &mut spec)?;
    let sees_all = |sight: Sight| sight == Sight::All;
    let local = spec.attentions_mut().any(|it| !sees_all(it.sight));
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        attention.qk_norm = QkNorm::Head;
        attention
            .rope
            .take_if(|_| local && sees_all(attention.sight));
    }
    let moe = common::moe(
        config,
        "num_experts",
        "moe_intermediate_size",
        &MoeNames::COMMON,
    )?;
    let scale = config.number_or_none("routed_scaling_factor")?;
    let shared = config.count_or_none("num_shared_experts")?.unwrap_or(0);
    let moe = MoeSpec {
        routing: Routing {
            scale: scale.unwrap_or(2.5) as f32,
            ..deepseek_v3::routing(config)?
        },
        shared: (shared > 0).then(|| SharedSpec::new(shared * moe.intermediate)),
        ..moe
    };
    let chosen = common::layer_flags(config, "is_moe_layer", spec.layers.len())?;
    for (layer, _) in spec.layers.iter_mut().zip(chosen).filter(|(_, is)| *is) {
        layer.mlp = Some(MlpSpec::Moe(moe));
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    spec.names = NAMES;
    Ok(spec)
}
