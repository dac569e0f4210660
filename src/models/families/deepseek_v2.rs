//! DeepSeek-V2: latent attention, experts chosen by softmax from the best
//! groups, and experts that every token goes through.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MixerSpec, MlpSpec, MoeNames, MoeSpec, Routing, SharedSpec},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut routing = Routing {
        scale: config
            .number_or_none("routed_scaling_factor")?
            .unwrap_or(1.0) as f32,
        ..Routing::SOFTMAX
    };
    if config.text_or_none("topk_method")? == Some("group_limited_greedy") {
        routing.groups = config.size("n_group")?;
        routing.groups_kept = config.size("topk_group")?;
    }
    latent_mixture(config, routing)
}

/// Layers of latent attention; all but the first few choose among experts.
pub fn latent_mixture(config: &Config, routing: Routing) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 2048, 10_000.0)?;
    let mut rope = common::rope(config, 10_000.0, spec.context)?;
    rope.traditional = true;
    let mla = MixerSpec::Mla(common::mla(config, rope, config.size("v_head_dim")?)?);
    for layer in &mut spec.layers {
        layer.mixer = Some(mla.clone());
    }
    mixtures(config, &mut spec, routing)?;
    spec.tied = false;
    Ok(spec)
}

/// Gives layers the experts that they choose among: all but the first few, or
/// some of those.
pub fn mixtures(config: &Config, spec: &mut ModelSpec, routing: Routing) -> Result<(), ModelError> {
    let Some(moe) = experts(config, routing)? else {
        return Ok(());
    };
    let dense = config.count_or_none("first_k_dense_replace")?.unwrap_or(0);
    let every = config.size_or_none("moe_layer_freq")?.unwrap_or(1);
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        if index >= dense && index % every == 0 {
            layer.mlp = Some(moe.clone());
        }
    }
    Ok(())
}

/// The experts that a layer chooses among; `None` where there are none.
pub fn experts(config: &Config, routing: Routing) -> Result<Option<MlpSpec>, ModelError> {
    if config.get("n_routed_experts").is_none() {
        return Ok(None);
    }
    let (count, width) = ("n_routed_experts", "moe_intermediate_size");
    let moe = common::moe(config, count, width, &MoeNames::COMMON)?;
    let shared = config.size_or_none("n_shared_experts")?;
    Ok(Some(MlpSpec::Moe(MoeSpec {
        shared: shared.map(|count| SharedSpec::new(count * moe.intermediate)),
        routing,
        ..moe
    })))
}
