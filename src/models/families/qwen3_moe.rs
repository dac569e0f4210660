//! Qwen3 with experts: Qwen3 whose MLPs are chosen by softmax.

use super::{common, qwen3};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MlpSpec, MoeNames, MoeSpec, Routing, SharedSpec, SharedWeight},
};

pub const NAMES: MoeNames = MoeNames {
    shared: [
        "mlp.shared_expert.gate_proj",
        "mlp.shared_expert.up_proj",
        "mlp.shared_expert.down_proj",
    ],
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = qwen3::spec(config)?;
    mixtures(config, &mut spec)?;
    Ok(spec)
}

/// Gives layers their experts, with a shared one where its width is known.
pub fn mixtures(config: &Config, spec: &mut ModelSpec) -> Result<(), ModelError> {
    let normalise = config.flag_or("norm_topk_prob", true)?;
    let shared = config.count_or_none("shared_expert_intermediate_size")?;
    let moe = MoeSpec {
        routing: Routing {
            normalise,
            ..Routing::SOFTMAX
        },
        shared: shared
            .filter(|width| *width > 0)
            .map(|intermediate| SharedSpec {
                weight: SharedWeight::Sigmoid,
                ..SharedSpec::new(intermediate)
            }),
        ..common::moe(config, "num_experts", "moe_intermediate_size", &NAMES)?
    };
    chosen_layers(config, spec, moe)
}

/// Gives every layer, or every n-th, its experts, but those that config.json
/// exempts.
pub fn chosen_layers(
    config: &Config,
    spec: &mut ModelSpec,
    moe: MoeSpec,
) -> Result<(), ModelError> {
    let every = config.size_or_none("decoder_sparse_step")?.unwrap_or(1);
    let dense = match config.get("mlp_only_layers") {
        Some(_) => config.numbers("mlp_only_layers")?,
        None => Vec::new(),
    };
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        if (index + 1) % every == 0 && !dense.contains(&(index as f64)) {
            layer.mlp = Some(MlpSpec::Moe(moe));
        }
    }
    Ok(())
}
