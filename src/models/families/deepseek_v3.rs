//! DeepSeek-V3 and R1, Kimi K2: DeepSeek-V2 with experts chosen by sigmoid and a
//! correction that keeps them evenly used.

use super::deepseek_v2;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{GroupScore, Routing, Score},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    deepseek_v2::latent_mixture(config, routing(config)?)
}

/// By sigmoid, corrected, among the best groups.
pub fn routing(config: &Config) -> Result<Routing, ModelError> {
    let size_or = |key: &str, default: usize| {
        let size = config.size_or_none(key);
        size.map(|size| size.unwrap_or(default))
    };
    let several = size_or("num_experts_per_tok", 1)? > 1;
    let scale = config.number_or_none("routed_scaling_factor")?;
    Ok(Routing {
        score: Score::Sigmoid,
        correction: true,
        groups: size_or("n_group", 1)?,
        groups_kept: size_or("topk_group", 1)?,
        group_score: GroupScore::TwoBest,
        normalise: several && config.flag_or("norm_topk_prob", true)?,
        scale: scale.unwrap_or(1.0) as f32,
        ..Routing::SOFTMAX
    })
}
