//! Qwen2 with experts: weights of the chosen ones as the softmax left them.

use super::{qwen2, qwen3_moe};
use crate::models::{Config, ModelError, ModelSpec, spec::MlpSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = qwen2::spec(config)?;
    qwen3_moe::mixtures(config, &mut spec)?;
    for layer in &mut spec.layers {
        if let Some(MlpSpec::Moe(moe)) = &mut layer.mlp {
            moe.routing.normalise = false;
        }
    }
    spec.tied = false;
    Ok(spec)
}
