//! Trinity (AFMoE): norms around both halves of a layer, gated attention; layers
//! with a window are told positions, those that see all are not.

use super::{bailing_moe, common};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{
        GroupScore, MlpSpec, MoeNames, MoeSpec, Names, NormPlaces, OutputGate, QkNorm, Routing,
        SharedSpec, Sight,
    },
};

const NAMES: Names = Names {
    before_mlp: "pre_mlp_layernorm",
    after_mlp: "post_mlp_layernorm",
    ..Names::LLAMA
};
const EXPERTS: MoeNames = MoeNames {
    router: "mlp.router.gate",
    correction: "mlp.expert_bias",
    stacked: [
        "mlp.experts.gate_proj",
        "mlp.experts.up_proj",
        "mlp.experts.down_proj",
    ],
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 131_072, 10_000.0)?;
    let head_dim = config.size_or_none("head_dim")?.unwrap_or(64);
    common::sliding_layers(config, &mut spec)?;
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        (attention.qk_norm, attention.gate) = (QkNorm::Head, OutputGate::Whole);
        let sees_all = attention.sight == Sight::All;
        attention.rope.take_if(|_| sees_all);
    }
    let moe = experts(config)?;
    let dense = config.count_or_none("num_dense_layers")?.unwrap_or(2);
    for layer in spec.layers.iter_mut().skip(dense) {
        layer.mlp = Some(MlpSpec::Moe(moe));
    }
    if config.flag_or("mup_enabled", true)? {
        spec.factors.embedding = (spec.hidden as f32).sqrt();
    }
    spec.norms = NormPlaces::Around;
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    spec.names = NAMES;
    Ok(spec)
}

fn experts(config: &Config) -> Result<MoeSpec, ModelError> {
    let moe = common::moe(config, "num_experts", "moe_intermediate_size", &EXPERTS)?;
    let (groups, groups_kept) = bailing_moe::groups(config)?;
    let shared = config.count_or_none("num_shared_experts")?.unwrap_or(1);
    let scale = config.number_or_none("route_scale")?;
    Ok(MoeSpec {
        routing: Routing {
            score: bailing_moe::score(config, "score_func", "sigmoid")?,
            correction: true,
            groups,
            groups_kept,
            group_score: GroupScore::TwoBest,
            normalise: moe.active > 1 && config.flag_or("route_norm", true)?,
            scale: scale.unwrap_or(2.826) as f32,
            ..Routing::SOFTMAX
        },
        shared: (shared > 0).then(|| SharedSpec::new(shared * moe.intermediate)),
        ..moe
    })
}
