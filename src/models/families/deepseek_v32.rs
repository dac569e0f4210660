//! DeepSeek-V3.2 and GLM-5: DeepSeek-V3 whose tokens attend to those alone that
//! an indexer finds best.

use super::deepseek_v3;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{IndexerSpec, MixerSpec},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    sparse(config, config.flag_or("indexer_rope_interleave", false)?)
}

pub fn glm(config: &Config) -> Result<ModelSpec, ModelError> {
    sparse(config, config.flag_or("indexer_rope_interleave", true)?)
}

fn sparse(config: &Config, traditional: bool) -> Result<ModelSpec, ModelError> {
    let mut spec = deepseek_v3::spec(config)?;
    let indexer = IndexerSpec {
        heads: config.size("index_n_heads")?,
        dim: config.size("index_head_dim")?,
        top: config.size("index_topk")?,
        traditional,
    };
    config.size("q_lora_rank")?;
    let rotated = config.size("qk_rope_head_dim")?;
    if indexer.dim < rotated {
        let problem = format!("is {}: {rotated} numbers of it are rotated", indexer.dim);
        return Err(config.error("index_head_dim", problem));
    }
    for layer in &mut spec.layers {
        if let Some(MixerSpec::Mla(mla)) = &mut layer.mixer {
            mla.indexer = Some(indexer);
        }
    }
    Ok(spec)
}
