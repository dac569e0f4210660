//! MiniCPM 1 and 2: Llama with factors for the embeddings, the branches and the
//! head.

use super::common;
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 4096, 1_000_000.0)?;
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    let layers = spec.layers.len() as f64;
    spec.factors.embedding = config.positive("scale_emb")? as f32;
    spec.factors.branch = (config.positive("scale_depth")? / layers.sqrt()) as f32;
    let base = config.positive("dim_model_base")?;
    spec.factors.head = (base / spec.hidden as f64) as f32;
    Ok(spec)
}
