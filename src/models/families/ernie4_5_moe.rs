//! ERNIE 4.5 with experts. The makers correct the scores for the choice; mlx-lm
//! drops the correction when it converts, so it is used where it is there.

use serde_json::Value;

use super::{bailing_moe, common, ernie4_5};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MlpSpec, MoeNames, MoeSpec, Routing, SharedSpec},
};

const EXPERTS: MoeNames = MoeNames {
    correction: "mlp.moe_statics.e_score_correction_bias",
    correction_is_optional: true,
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = ernie4_5::spec(config)?;
    let moe = experts(config)?;
    let every = config.size_or_none("moe_layer_interval")?.unwrap_or(1);
    let start = layer(config, "moe_layer_start_index", false)?.unwrap_or(0.0);
    let end = layer(config, "moe_layer_end_index", true)?.unwrap_or(f64::INFINITY);
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        if (index + 1) % every == 0 && (start..=end).contains(&(index as f64)) {
            layer.mlp = Some(MlpSpec::Moe(moe));
        }
    }
    Ok(spec)
}

/// The number of a layer: the least or greatest where there is one for text and
/// one for images.
fn layer(config: &Config, key: &str, greatest: bool) -> Result<Option<f64>, ModelError> {
    let numbers = match config.get(key) {
        Some(Value::Array(_)) => config.numbers(key)?,
        _ => config.number_or_none(key)?.into_iter().collect(),
    };
    let choose = if greatest { f64::max } else { f64::min };
    Ok(numbers.into_iter().reduce(choose))
}

fn experts(config: &Config) -> Result<MoeSpec, ModelError> {
    let mut config = common::renamed(config, &[("moe_k", "num_experts_per_tok")]);
    config.default("num_experts_per_tok", 1.into());
    let width = match config.count_or_none("moe_intermediate_size")? {
        None | Some(0) => "intermediate_size",
        Some(_) => "moe_intermediate_size",
    };
    let bias = config.flag_or("use_bias", false)?;
    let shared = config.count_or_none("moe_num_shared_experts")?.unwrap_or(0);
    let moe = common::moe(&config, "moe_num_experts", width, &EXPERTS)?;
    Ok(MoeSpec {
        expert_bias: bias,
        routing: Routing {
            score: bailing_moe::score(&config, "moe_gate_act", "softmax")?,
            correction: true,
            normalise: true,
            ..Routing::SOFTMAX
        },
        shared: (shared > 0).then(|| SharedSpec {
            bias,
            ..SharedSpec::new(shared * moe.intermediate)
        }),
        ..moe
    })
}
