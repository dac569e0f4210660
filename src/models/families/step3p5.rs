//! Step 3.5: heads of their own for layers within a window, rotation that
//! differs by layer, a gate for each head, and activations within limits.

use serde_json::Value;

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{
        Activation, AttentionSpec, MlpSpec, MoeNames, MoeSpec, Names, NormOffset, OutputGate,
        QkNorm, RopeScaling, Routing, Score, SharedSpec, Sight,
    },
};

const NAMES: Names = Names {
    gate: "self_attn.g_proj",
    published: &[
        (".mlp.switch_mlp.", ".moe."),
        (".mlp.gate.gate.", ".moe.gate."),
        (".mlp.gate.router_bias", ".moe.router_bias"),
        (".mlp.share_expert.", ".share_expert."),
    ],
    ..Names::LLAMA
};
const EXPERTS: MoeNames = MoeNames {
    router: "mlp.gate.gate",
    correction: "mlp.gate.router_bias",
    shared: [
        "mlp.share_expert.gate_proj",
        "mlp.share_expert.up_proj",
        "mlp.share_expert.down_proj",
    ],
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut common = common::renamed(config, &[("num_attention_groups", "num_key_value_heads")]);
    common.default("rms_norm_eps", 1e-5.into());
    if matches!(config.get("rope_theta"), Some(Value::Array(_))) {
        common.remove("rope_theta");
    }
    let mut spec = common::decoder(&common, 262_144, 10_000.0)?;
    let chosen = chosen_layers(config, spec.layers.len())?;
    let types = config.texts_or_none("layer_types")?;
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        if let Some(attention) = layer.attention_mut() {
            let kind = types.as_ref().and_then(|types| types.get(index));
            attend(config, index, kind.map(String::as_str), attention)?;
        }
        let shared = activation(config, "swiglu_limits_shared", index)?;
        if chosen.contains(&index) {
            layer.mlp = Some(MlpSpec::Moe(experts(config, index, shared)?));
        } else if let Some(MlpSpec::Gated(mlp)) = &mut layer.mlp {
            mlp.activation = shared;
        }
    }
    spec.norm.offset = NormOffset::OneIfStored("moe.gate.weight");
    (spec.tied, spec.names) = (false, NAMES);
    Ok(spec)
}

/// Makes the attention of layer `index` what it is.
fn attend(
    config: &Config,
    index: usize,
    kind: Option<&str>,
    attention: &mut AttentionSpec,
) -> Result<(), ModelError> {
    let is_local = kind.map_or(index.is_multiple_of(2), |kind| kind == "sliding_attention");
    if is_local {
        let window = config.size_or_none("sliding_window")?.unwrap_or(512);
        attention.sight = Sight::Window(window);
        if let Some(other) = config.object_or_none("attention_other_setting")? {
            attention.heads = other.size("num_attention_heads")?;
            attention.kv_heads = other.size("num_attention_groups")?;
        }
    }
    attention.head_dim = config.size("head_dim")?;
    attention.qk_norm = QkNorm::Head;
    if config.flag_or("use_head_wise_attn_gate", true)? {
        attention.gate = OutputGate::ByHead;
    }
    let scaled = config.texts_or_none("yarn_only_types")?.unwrap_or_default();
    let kind = kind.unwrap_or("full_attention");
    let width = attention.head_dim as f64;
    let share = at(config, "partial_rotary_factors", index)?.unwrap_or(1.0);
    let base = at(config, "rope_theta", index)?;
    if base == Some(0.0) {
        return Err(config.error("rope_theta", "has the entry 0: expected a number above 0"));
    }
    if let Some(rope) = &mut attention.rope {
        rope.dims = Some((width * share) as usize);
        rope.base = base.unwrap_or(rope.base);
        if !scaled.is_empty() && !scaled.iter().any(|it| it == kind) {
            rope.scaling = RopeScaling::None;
        }
    }
    Ok(())
}

/// The number at `index` of a list, where there is such a list.
fn at(config: &Config, key: &str, index: usize) -> Result<Option<f64>, ModelError> {
    let number = match config.get(key) {
        Some(Value::Array(list)) => list.get(index).filter(|value| !value.is_null()),
        _ => None,
    };
    let Some(number) = number else {
        return Ok(None);
    };
    let found = number.as_f64().filter(|number| *number >= 0.0);
    let problem = || config.error(key, format!("has the entry {number}: expected a number"));
    found.ok_or_else(problem).map(Some)
}

/// SwiGLU, within a limit where the layer has one.
fn activation(config: &Config, key: &str, index: usize) -> Result<Activation, ModelError> {
    let limit = at(config, key, index)?.filter(|limit| *limit > 0.0);
    Ok(limit.map_or(Activation::Silu, |limit| {
        Activation::SiluWithin(limit as f32)
    }))
}

/// The layers that choose among experts: a list in a text, or all but the first.
fn chosen_layers(config: &Config, layers: usize) -> Result<Vec<usize>, ModelError> {
    let key = "moe_layers_enum";
    match config.text_or_none(key)?.map(str::trim) {
        None | Some("") => Ok((1..layers).collect()),
        Some(list) => {
            let numbers = list.split(',').map(|number| number.trim().parse());
            let numbers: Result<Vec<usize>, _> = numbers.collect();
            let problem = format!("is \"{list}\": expected numbers of layers with commas between");
            numbers.map_err(|_| config.error(key, problem))
        }
    }
}

fn experts(config: &Config, index: usize, shared: Activation) -> Result<MoeSpec, ModelError> {
    let mut config = common::renamed(config, &[("moe_top_k", "num_experts_per_tok")]);
    for (key, value) in [
        ("moe_num_experts", 288),
        ("num_experts_per_tok", 8),
        ("moe_intermediate_size", 1280),
        ("share_expert_dim", 1280),
    ] {
        config.default(key, value.into());
    }
    let scale = config.number_or_none("moe_router_scaling_factor")?;
    Ok(MoeSpec {
        activation: activation(&config, "swiglu_limits", index)?,
        routing: Routing {
            score: Score::Sigmoid,
            correction: true,
            normalise: config.flag_or("norm_expert_weight", true)?,
            scale: scale.unwrap_or(3.0) as f32,
            ..Routing::SOFTMAX
        },
        shared: Some(SharedSpec {
            activation: shared,
            ..SharedSpec::new(config.size("share_expert_dim")?)
        }),
        ..common::moe(
            &config,
            "moe_num_experts",
            "moe_intermediate_size",
            &EXPERTS,
        )?
    })
}
