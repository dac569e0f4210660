//! TeleChat 3: Llama.

use super::llama;
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = llama::spec(config)?;
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(spec)
}
