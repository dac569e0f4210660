//! Ling and Ring (Bailing): joined queries, keys and values under names of their
//! own, and experts chosen by softmax or sigmoid among the best groups.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{
        GroupScore, MlpSpec, MoeNames, MoeSpec, Names, QkNorm, QkvLayout, Routing, Score,
        SharedSpec,
    },
};

pub const NAMES: Names = Names {
    embedding: "model.word_embeddings",
    fused_qkv: "attention.query_key_value",
    output: "attention.dense",
    q_norm: "attention.query_layernorm",
    k_norm: "attention.key_layernorm",
    published: &[(".mlp.gate.gate_proj.", ".mlp.gate.")],
    ..Names::LLAMA
};
const EXPERTS: MoeNames = MoeNames {
    router: "mlp.gate.gate_proj",
    correction: "mlp.gate.expert_bias",
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 32_768, 10_000.0)?;
    let head_dim = common::head_dim(config, &spec)?;
    let bias = config.flag_or("use_bias", false)?;
    let qkv_bias = config.flag_or("use_qkv_bias", false)?;
    let normed = config.flag_or("use_qk_norm", false)?;
    let rotated = match config.size_or_none("rotary_dim")? {
        Some(rotated) => rotated,
        None => common::rotated(config, head_dim, 1.0)?,
    };
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        attention.qkv = QkvLayout::Joined;
        (attention.qkv_bias, attention.output_bias) = (qkv_bias, bias);
        attention.qk_norm = if normed { QkNorm::Head } else { QkNorm::None };
        let rope = attention.rope.iter_mut();
        rope.for_each(|rope| rope.dims = Some(rotated));
    }
    spec.gated_mut().for_each(|mlp| mlp.bias = bias);
    if config.get("num_experts").is_some() {
        let moe = experts(config, bias)?;
        let dense = config.count_or_none("first_k_dense_replace")?.unwrap_or(0);
        for layer in spec.layers.iter_mut().skip(dense) {
            layer.mlp = Some(MlpSpec::Moe(moe));
        }
    }
    spec.head_columns_normed = config.flag_or("norm_head", false)?;
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    spec.names = NAMES;
    Ok(spec)
}

/// What a layer chooses among.
pub fn experts(config: &Config, bias: bool) -> Result<MoeSpec, ModelError> {
    let moe = common::moe(config, "num_experts", "moe_intermediate_size", &EXPERTS)?;
    let (groups, groups_kept) = groups(config)?;
    let width = config.size_or_none("moe_shared_expert_intermediate_size")?;
    let mut shared = config.count_or_none("num_shared_experts")?.unwrap_or(0);
    if !config.flag_or("moe_router_enable_shared_expert", true)? {
        shared = 0;
    }
    let scale = config.number_or_none("routed_scaling_factor")?;
    Ok(MoeSpec {
        expert_bias: bias,
        routing: Routing {
            score: score(config, "score_function", "softmax")?,
            correction: config.flag_or("moe_router_enable_expert_bias", false)?,
            groups,
            groups_kept,
            group_score: GroupScore::TwoBest,
            normalise: moe.active > 1 && config.flag_or("norm_topk_prob", true)?,
            scale: scale.unwrap_or(1.0) as f32,
            ..Routing::SOFTMAX
        },
        shared: (shared > 0).then(|| SharedSpec {
            bias,
            ..SharedSpec::new(shared * width.unwrap_or(moe.intermediate))
        }),
        ..moe
    })
}

/// Groups of experts, and how many are kept.
pub fn groups(config: &Config) -> Result<(usize, usize), ModelError> {
    let groups = config.size_or_none("n_group")?.unwrap_or(1);
    let kept = config.size_or_none("topk_group")?.unwrap_or(groups);
    // Of a single group nothing is left out, whatever the other number says.
    Ok((groups, if groups == 1 { 1 } else { kept }))
}

/// What `key` calls the scores of experts.
pub fn score(config: &Config, key: &str, default: &str) -> Result<Score, ModelError> {
    match config.text_or_none(key)?.unwrap_or(default) {
        "softmax" => Ok(Score::Softmax),
        "sigmoid" => Ok(Score::Sigmoid),
        other => {
            let problem = format!("is \"{other}\": expected \"softmax\" or \"sigmoid\"");
            Err(config.error(key, problem))
        }
    }
}
