//! DBRX: layer norms without biases, joined queries, keys and values within
//! bounds, experts chosen by softmax.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MlpSpec, MoeNames, MoeSpec, Names, NormSpec, QkvLayout, Routing},
};

const NAMES: Names = Names {
    embedding: "transformer.wte",
    norm: "transformer.norm_f",
    layer: "transformer.blocks.{}",
    before_mixer: "norm_attn_norm.norm_1",
    before_mlp: "norm_attn_norm.norm_2",
    fused_qkv: "norm_attn_norm.attn.Wqkv",
    output: "norm_attn_norm.attn.out_proj",
    ..Names::LLAMA
};
const EXPERTS: MoeNames = MoeNames {
    router: "ffn.router.layer",
    stacked: ["ffn.experts.w1", "ffn.experts.v1", "ffn.experts.w2"],
    each: [
        "ffn.experts.{}.w1",
        "ffn.experts.{}.v1",
        "ffn.experts.{}.w2",
    ],
    in_a_row: Some([
        "ffn.experts.mlp.w1",
        "ffn.experts.mlp.v1",
        "ffn.experts.mlp.w2",
    ]),
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let part = |key: &str| {
        let part = config.object_or_none(key)?;
        part.ok_or_else(|| config.error(key, "is missing"))
    };
    let (attn, ffn) = (part("attn_config")?, part("ffn_config")?);
    let mut common = common::renamed(
        config,
        &[
            ("d_model", "hidden_size"),
            ("n_heads", "num_attention_heads"),
            ("n_layers", "num_hidden_layers"),
            ("max_seq_len", "max_position_embeddings"),
        ],
    );
    common.default("layer_norm_eps", 1e-5.into());
    common.default("num_key_value_heads", attn.size("kv_n_heads")?.into());
    let keys = common::Keys {
        norm_eps: "layer_norm_eps",
        intermediate: Some(ffn.size("ffn_hidden_size")?),
    };
    let mut spec = common::decoder_with(&common, 32_768, attn.positive("rope_theta")?, keys)?;
    spec.norm = NormSpec::layer(spec.norm.eps, false);
    let clip = match attn.get("clip_qkv") {
        Some(_) => Some(attn.positive("clip_qkv")? as f32),
        None => None,
    };
    for attention in spec.attentions_mut() {
        (attention.qkv, attention.clip) = (QkvLayout::Joined, clip);
    }
    let ffn = common::renamed(&ffn, &[("moe_top_k", "num_experts_per_tok")]);
    let moe = MoeSpec {
        routing: Routing {
            normalise: true,
            ..Routing::SOFTMAX
        },
        ..common::moe(&ffn, "moe_num_experts", "ffn_hidden_size", &EXPERTS)?
    };
    for layer in &mut spec.layers {
        layer.mlp = Some(MlpSpec::Moe(moe));
    }
    (spec.tied, spec.names) = (false, NAMES);
    Ok(spec)
}
