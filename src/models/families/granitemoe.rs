//! Granite 3 with experts: Granite whose MLPs are chosen.

use super::{granite, granitemoehybrid};
use crate::models::{Config, ModelError, ModelSpec, spec::MlpSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = granite::spec(config)?;
    let moe = granitemoehybrid::experts(config)?;
    for layer in &mut spec.layers {
        layer.mlp = Some(MlpSpec::Moe(moe));
    }
    Ok(spec)
}
