//! Mistral 4: DeepSeek's latent attention with queries that grow with their
//! position, experts chosen by softmax.

use super::{bailing_moe, deepseek_v2, ministral3};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{GroupScore, MixerSpec, Routing},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let (groups, groups_kept) = bailing_moe::groups(config)?;
    let scale = config.number_or_none("routed_scaling_factor")?;
    let routing = Routing {
        groups,
        groups_kept,
        group_score: GroupScore::TwoBest,
        normalise: config.flag_or("norm_topk_prob", true)?,
        scale: scale.unwrap_or(1.0) as f32,
        ..Routing::SOFTMAX
    };
    let mut spec = deepseek_v2::latent_mixture(config, routing)?;
    let temperature = ministral3::temperature(config)?;
    let neighbours = config.flag_or("rope_interleave", true)?;
    for layer in &mut spec.layers {
        if let Some(MixerSpec::Mla(mla)) = &mut layer.mixer {
            mla.temperature = temperature;
            let rope = mla.rope.iter_mut();
            rope.for_each(|rope| rope.traditional = neighbours);
        }
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(spec)
}
