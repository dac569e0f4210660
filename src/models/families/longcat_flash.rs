//! LongCat Flash: a layer of the file is two of latent attention and a dense MLP;
//! experts see what the first MLP sees and are added after the second. Some
//! experts give back what they get.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{LayerSpec, MixerSpec, MlaSpec, MlpSpec, MoeNames, MoeSpec, Names, Routing},
};

const NAMES: Names = Names {
    per_layer: 2,
    before_mixer: "input_layernorm.#",
    before_mlp: "post_attention_layernorm.#",
    latent: "self_attn.#",
    gate_up: ["mlps.#.gate_proj", "mlps.#.up_proj"],
    down: "mlps.#.down_proj",
    ..Names::LLAMA
};
const EXPERTS: MoeNames = MoeNames {
    router: "mlp.router.classifier",
    correction: "mlp.router.e_score_correction_bias",
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let config = &common::renamed(
        config,
        &[
            ("num_layers", "num_hidden_layers"),
            ("ffn_hidden_size", "intermediate_size"),
            ("moe_topk", "num_experts_per_tok"),
        ],
    );
    let mut spec = common::decoder(config, 131_072, 10_000_000.0)?;
    let mut rope = common::rope(config, 10_000_000.0, spec.context)?;
    rope.traditional = true;
    let mla = common::mla(config, rope, config.size("v_head_dim")?)?;
    let scale = |key: &str, rank: Option<usize>| -> Result<f32, ModelError> {
        let rank = rank.filter(|_| matches!(config.flag_or(key, false), Ok(true)));
        Ok(rank.map_or(1.0, |rank| (spec.hidden as f32 / rank as f32).sqrt()))
    };
    let latent_scales = [
        scale("mla_scale_q_lora", mla.query_rank)?,
        scale("mla_scale_kv_lora", Some(mla.kv_rank))?,
    ];
    let mixer = MixerSpec::Mla(MlaSpec {
        latent_scales,
        ..mla
    });
    let dense = common::dense(config.size("intermediate_size")?);
    let first = MlpSpec::WithShortcut(dense, experts(config)?);
    let pair = [
        LayerSpec::new(mixer.clone(), first),
        LayerSpec::new(mixer, MlpSpec::Gated(dense)),
    ];
    let count = spec.layers.len();
    spec.layers = pair.iter().cycle().take(2 * count).cloned().collect();
    (spec.tied, spec.names) = (false, NAMES);
    Ok(spec)
}

fn experts(config: &Config) -> Result<MoeSpec, ModelError> {
    let key = "zero_expert_type";
    if let Some(other) = config.text_or_none(key)?.filter(|kind| *kind != "identity") {
        return Err(config.error(key, format!("is \"{other}\": expected \"identity\"")));
    }
    let scale = config.number_or_none("routed_scaling_factor")?;
    Ok(MoeSpec {
        identities: config.count_or_none("zero_expert_num")?.unwrap_or(0),
        router_bias: config.flag_or("router_bias", false)?,
        routing: Routing {
            correction: true,
            normalise: config.flag_or("norm_topk_prob", false)?,
            scale: scale.unwrap_or(1.0) as f32,
            ..Routing::SOFTMAX
        },
        ..common::moe(
            config,
            "n_routed_experts",
            "expert_ffn_hidden_size",
            &EXPERTS,
        )?
    })
}
