//! Phixtral: Phi-2 with a choice among plain experts.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{
        Activation, MlpSpec, MoeNames, MoeSpec, Names, NormPlaces, NormSpec, QkvLayout, Routing,
        Score,
    },
};

const NAMES: Names = Names {
    embedding: "transformer.embd.wte",
    norm: "lm_head.ln",
    head: "lm_head.linear",
    layer: "transformer.h.{}",
    before_mixer: "ln",
    fused_qkv: "mixer.Wqkv",
    output: "mixer.out_proj",
    ..Names::LLAMA
};
const EXPERTS: MoeNames = MoeNames {
    router: "moe.gate",
    stacked: ["", "moe.switch_mlp.fc1", "moe.switch_mlp.fc2"],
    each: ["", "moe.mlp.{}.fc1", "moe.mlp.{}.fc2"],
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut config = common::renamed(
        config,
        &[
            ("num_vocab", "vocab_size"),
            ("model_dim", "hidden_size"),
            ("num_heads", "num_attention_heads"),
            ("num_layers", "num_hidden_layers"),
            ("n_embd", "hidden_size"),
            ("n_head", "num_attention_heads"),
            ("n_layer", "num_hidden_layers"),
            ("n_positions", "max_position_embeddings"),
        ],
    );
    config.default("rms_norm_eps", 1e-5.into());
    let width = 4 * config.size("hidden_size")?;
    config.default("intermediate_size", width.into());
    let mut spec = common::decoder(&config, 2048, 10_000.0)?;
    spec.norm = NormSpec::layer(1e-5, true);
    let rotated = config.size_or_none("rotary_dim")?.unwrap_or(32);
    for attention in spec.attentions_mut() {
        attention.kv_heads = attention.heads;
        attention.qkv = QkvLayout::Joined;
        (attention.qkv_bias, attention.output_bias) = (true, true);
        let rope = attention.rope.iter_mut();
        rope.for_each(|rope| rope.dims = Some(rotated));
    }
    let moe = MlpSpec::Moe(MoeSpec {
        intermediate: width,
        activation: Activation::Gelu,
        gated: false,
        expert_bias: true,
        routing: Routing {
            score: Score::SoftmaxOfChosen,
            ..Routing::SOFTMAX
        },
        ..common::moe(&config, "num_local_experts", "intermediate_size", &EXPERTS)?
    });
    for layer in &mut spec.layers {
        layer.mlp = Some(moe.clone());
    }
    (spec.norms, spec.names) = (NormPlaces::Shared, NAMES);
    (spec.tied, spec.head_bias) = (false, true);
    Ok(spec)
}
