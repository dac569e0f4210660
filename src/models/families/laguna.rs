//! Laguna: heads, windows and rotation that differ by layer, a gate for each
//! head, and experts chosen by sigmoid and a correction.

use super::{common, qwen3_moe};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{
        AttentionSpec, MlpSpec, MoeNames, MoeSpec, Names, OutputGate, QkNorm, Routing, Score,
        SharedSpec,
    },
};

const NAMES: Names = Names {
    gate: "self_attn.g_proj",
    published: &[
        (".mlp.gate.proj.", ".mlp.gate."),
        (".mlp.gate.e_score", ".mlp.experts.e_score"),
    ],
    ..Names::LLAMA
};
const EXPERTS: MoeNames = MoeNames {
    router: "mlp.gate.proj",
    ..qwen3_moe::NAMES
};
const KINDS: [&str; 2] = ["full_attention", "sliding_attention"];

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut plain = config.clone();
    // By kind of layer.
    plain.remove("rope_parameters");
    let mut spec = common::decoder(&plain, 262_144, 10_000.0)?;
    common::sliding_layers(config, &mut spec)?;
    let count = spec.layers.len();
    let types = common::layer_types(config, count, KINDS)?.unwrap_or_else(|| vec![0; count]);
    let kinds = common::kinds(config, "mlp_layer_types", count, ["dense", "sparse"])?;
    let kinds = kinds.unwrap_or_else(|| (0..count).map(|index| index.min(1)).collect());
    let key = "num_attention_heads_per_layer";
    let heads = config.get(key).map(|_| config.sizes(key)).transpose()?;
    let moe = experts(config)?;
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        if let Some(attention) = layer.attention_mut() {
            attend(config, KINDS[types[index]], attention)?;
            if let Some(own) = heads.as_ref().and_then(|heads| heads.get(index)) {
                attention.heads = *own;
            }
        }
        if kinds[index] == 1 {
            layer.mlp = Some(MlpSpec::Moe(moe));
        }
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    spec.names = NAMES;
    Ok(spec)
}

fn attend(config: &Config, kind: &str, attention: &mut AttentionSpec) -> Result<(), ModelError> {
    attention.head_dim = config.size_or_none("head_dim")?.unwrap_or(128);
    attention.qkv_bias = config.flag_or("qkv_bias", false)?;
    attention.output_bias = config.flag_or("attention_bias", false)?;
    attention.qk_norm = QkNorm::Head;
    if config.flag_or("gating", true)? {
        attention.gate = OutputGate::ByHeadSoftplus;
    }
    let context = config.size_or_none("max_position_embeddings")?;
    let mut rope = common::rope_of_kind(config, kind, context.unwrap_or(262_144))?;
    let all = config.object_or_none("rope_parameters")?;
    let own = all
        .map(|all| all.object_or_none(kind))
        .transpose()?
        .flatten();
    let key = "partial_rotary_factor";
    let share = own
        .map(|own| own.number_or_none(key))
        .transpose()?
        .flatten();
    let share = share.or(config.number_or_none(key)?).unwrap_or(1.0);
    rope.dims = Some((attention.head_dim as f64 * share) as usize);
    attention.rope = Some(rope);
    Ok(())
}

fn experts(config: &Config) -> Result<MoeSpec, ModelError> {
    let key = "moe_router_score_func";
    let score = match config.text_or_none(key)?.unwrap_or("sigmoid") {
        "sigmoid" => Score::Sigmoid,
        "sqrtsoftplus" => Score::SqrtSoftplus,
        other => {
            let problem = format!("is \"{other}\": expected \"sigmoid\" or \"sqrtsoftplus\"");
            return Err(config.error(key, problem));
        }
    };
    let scale = config.number_or_none("moe_routed_scaling_factor")?;
    let cap = config.number_or_none("moe_router_logit_softcapping")?;
    let shared = config.size_or_none("shared_expert_intermediate_size")?;
    Ok(MoeSpec {
        routing: Routing {
            score,
            correction: true,
            normalise: true,
            scale: scale.unwrap_or(1.0) as f32,
            cap: cap.filter(|cap| *cap > 0.0).map(|cap| cap as f32),
            ..Routing::SOFTMAX
        },
        shared: Some(SharedSpec::new(shared.unwrap_or(512))),
        ..common::moe(config, "num_experts", "moe_intermediate_size", &EXPERTS)?
    })
}
