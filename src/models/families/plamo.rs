//! PLaMo: attention and MLP side by side behind one norm, key heads shared by
//! turns.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Names, NormPlaces},
};

const NAMES: Names = Names {
    layer: "model.layers.layers.{}",
    before_mixer: "norm",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 4096, 10_000.0)?;
    let key = "n_shared_head";
    let sharing = config.size_or_none(key)?.unwrap_or(8);
    for attention in spec.attentions_mut() {
        if attention.heads % sharing != 0 {
            let problem = format!("is {sharing}: it does not divide {} heads", attention.heads);
            return Err(config.error(key, problem));
        }
        attention.kv_heads = attention.heads / sharing;
        attention.by_turns = true;
    }
    (spec.norms, spec.names) = (NormPlaces::Shared, NAMES);
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(spec)
}
