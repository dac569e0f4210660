//! Kimi Linear: Kimi Delta Attention in most layers, latent attention that knows
//! no positions in the others, experts as DeepSeek-V3 chooses them.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{
        DeltaLayout, GatedDeltaSpec, GroupScore, MixerSpec, MlaSpec, MlpSpec, MoeNames, MoeSpec,
        Names, Routing, Score, SharedSpec,
    },
};

const NAMES: Names = Names {
    published: &[
        (
            ".mlp.e_score_correction_bias",
            ".block_sparse_moe.gate.e_score_correction_bias",
        ),
        (".mlp.", ".block_sparse_moe."),
        ("_conv.conv.", "_conv1d."),
    ],
    ..Names::LLAMA
};
const EXPERTS: MoeNames = MoeNames {
    correction: "mlp.e_score_correction_bias",
    each: [
        "block_sparse_moe.experts.{}.w1",
        "block_sparse_moe.experts.{}.w3",
        "block_sparse_moe.experts.{}.w2",
    ],
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let names = [
        ("model_max_length", "max_position_embeddings"),
        ("num_experts_per_token", "num_experts_per_tok"),
    ];
    let mut config = common::renamed(config, &names);
    if let Some(size) = config.get("head_dim").cloned() {
        config.default("qk_nope_head_dim", size.clone());
        config.default("v_head_dim", size);
    }
    let config = &config;
    if !config.flag_or("mla_use_nope", true)? {
        return Err(config.error("mla_use_nope", "is false: rotated keys are not known"));
    }
    let mut spec = common::decoder(config, 1 << 20, 10_000.0)?;
    let linear = config.object_or_none("linear_attn_config")?;
    let linear = linear.ok_or_else(|| config.error("linear_attn_config", "is missing"))?;
    let delta = MixerSpec::GatedDelta(delta(&linear, spec.norm.eps)?);
    let rope = common::rope(config, 10_000.0, spec.context)?;
    let value_dim = config.size("v_head_dim")?;
    let latent = MixerSpec::Mla(MlaSpec {
        query_rank: None,
        norm_eps: spec.norm.eps,
        rope: None,
        ..common::mla(config, rope, value_dim)?
    });
    let layers = linear.numbers("kda_layers")?;
    let moe = moe(config)?;
    let dense = config.count_or_none("first_k_dense_replace")?.unwrap_or(0);
    let every = config.size_or_none("moe_layer_freq")?.unwrap_or(1);
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        // They are counted from 1.
        layer.mixer = Some(match layers.contains(&(index as f64 + 1.0)) {
            true => delta.clone(),
            false => latent.clone(),
        });
        if let (Some(moe), true) = (&moe, index >= dense && index % every == 0) {
            layer.mlp = Some(moe.clone());
        }
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    spec.names = NAMES;
    Ok(spec)
}

fn delta(config: &Config, norm_eps: f32) -> Result<GatedDeltaSpec, ModelError> {
    let (heads, dim) = (config.size("num_heads")?, config.size("head_dim")?);
    Ok(GatedDeltaSpec {
        key_heads: heads,
        value_heads: heads,
        key_dim: dim,
        value_dim: dim,
        kernel: config.size_or_none("short_conv_kernel_size")?.unwrap_or(4),
        layout: DeltaLayout::LowRank,
        doubled: false,
        norm_eps,
    })
}

fn moe(config: &Config) -> Result<Option<MlpSpec>, ModelError> {
    if config.count_or_none("num_experts")?.unwrap_or(0) == 0 {
        return Ok(None);
    }
    let moe = common::moe(config, "num_experts", "moe_intermediate_size", &EXPERTS)?;
    let size_or_one = |key: &str| config.size_or_none(key).map(|size| size.unwrap_or(1));
    let key = "moe_router_activation_func";
    let score = match config.text_or_none(key)?.unwrap_or("sigmoid") {
        "sigmoid" => Score::Sigmoid,
        "softmax" => Score::Softmax,
        other => {
            let problem = format!("is \"{other}\": expected \"sigmoid\" or \"softmax\"");
            return Err(config.error(key, problem));
        }
    };
    let shared = config.count_or_none("num_shared_experts")?.unwrap_or(0);
    let scale = config.number_or_none("routed_scaling_factor")?;
    Ok(Some(MlpSpec::Moe(MoeSpec {
        routing: Routing {
            score,
            correction: true,
            groups: size_or_one("num_expert_group")?,
            groups_kept: size_or_one("topk_group")?,
            group_score: GroupScore::TwoBest,
            normalise: moe.active > 1 && config.flag_or("moe_renormalize", true)?,
            scale: scale.unwrap_or(1.0) as f32,
            ..Routing::SOFTMAX
        },
        shared: (shared > 0).then(|| SharedSpec::new(shared * moe.intermediate)),
        ..moe
    })))
}
