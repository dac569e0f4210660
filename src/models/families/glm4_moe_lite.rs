//! GLM-4.7 Flash: DeepSeek-V3 whose latents are normed like everything else.

use super::{common, deepseek_v2, deepseek_v3};
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut config = config.clone();
    if config.object_or_none("rope_parameters")?.is_none() {
        config.default("rope_theta", 1_000_000.into());
    }
    for (key, value) in [
        ("max_position_embeddings", 202_752.into()),
        ("n_routed_experts", 64.into()),
        ("routed_scaling_factor", 1.8.into()),
    ] {
        config.default(key, value);
    }
    let routing = deepseek_v3::routing(&config)?;
    let mut spec = deepseek_v2::latent_mixture(&config, routing)?;
    common::like_other_norms(&mut spec);
    Ok(spec)
}
