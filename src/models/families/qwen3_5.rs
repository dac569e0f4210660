//! Qwen3.5, dense or with experts: Qwen3-Next with projections stored apart.
//! Of models with vision, the part that speaks.

use super::{common, qwen3_moe, qwen3_next};
use crate::models::{Config, ModelError, ModelSpec, spec::DeltaLayout};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let family = config.text("model_type")?.to_owned();
    let text = common::text_part(config)?;
    let mut spec = qwen3_next::hybrid(&text, DeltaLayout::Joined)?;
    if text.count_or_none("num_experts")?.unwrap_or(0) > 0 {
        qwen3_moe::mixtures(&text, &mut spec)?;
    }
    spec.family = family;
    Ok(spec)
}
