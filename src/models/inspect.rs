//! What can be said of a model without loading it, for lists and estimates.

use std::path::Path;

use mlx_rs::Dtype;

use super::{
    Config, ModelError, ModelSpec, families, load,
    weights::{Quantisation, WeightFiles},
};
use crate::cache::KvLayer;

/// Facts from config.json and the headers of the weight files.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// `model_type` of config.json.
    pub family: String,
    /// 0 when unknown.
    pub parameters: u64,
    /// Such as "bf16" or "4-bit g64"; empty when unknown.
    pub quantisation: String,
    pub weight_bytes: u64,
    /// The rest is 0 for families that are not supported.
    pub context_length: usize,
    pub vocab_size: usize,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Numbers of keys and values that one token needs.
    pub kv_numbers_per_token: usize,
    /// Why the model cannot be loaded, as far as config.json and the headers
    /// tell.
    pub problem: Option<String>,
}

/// Reads config.json and the headers in `folder`. A model that could not be
/// loaded still has its facts, with the reason in `problem`.
///
/// # Errors
/// When there is no config.json, or it is not a model's.
pub fn inspect(folder: &Path) -> Result<ModelFacts, ModelError> {
    let config = Config::read(&folder.join("config.json"))?;
    let family = config.text("model_type")?.to_owned();
    let files = WeightFiles::open(folder);
    let spec = families::describe(&config);
    let quantisation = Quantisation::read(&config);
    let mut facts = match &spec {
        Ok(spec) => from_spec(spec),
        Err(_) => ModelFacts { family, ..empty() },
    };
    if let Ok(files) = &files {
        facts.weight_bytes = files.bytes();
        if let (Ok(spec), Ok(quantisation)) = (&spec, &quantisation) {
            facts.quantisation = load::label(files, spec, quantisation);
        }
    }
    let problems = [spec.err(), quantisation.err(), files.err()];
    facts.problem = problems.into_iter().flatten().next().map(|e| e.to_string());
    Ok(facts)
}

fn from_spec(spec: &ModelSpec) -> ModelFacts {
    let first = spec.layers.iter().find_map(|layer| layer.attention());
    let kept = spec.kv_layers(Dtype::Float32);
    ModelFacts {
        family: spec.family.clone(),
        parameters: spec.parameters(),
        context_length: spec.context,
        vocab_size: spec.vocab,
        hidden: spec.hidden,
        layers: spec.layers.len(),
        heads: first.map_or(0, |attention| attention.heads),
        kv_heads: first.map_or(0, |attention| attention.kv_heads),
        head_dim: first.map_or(0, |attention| attention.head_dim),
        kv_numbers_per_token: kept.iter().map(KvLayer::numbers).sum(),
        ..empty()
    }
}

fn empty() -> ModelFacts {
    ModelFacts {
        family: String::new(),
        parameters: 0,
        quantisation: String::new(),
        weight_bytes: 0,
        context_length: 0,
        vocab_size: 0,
        hidden: 0,
        layers: 0,
        heads: 0,
        kv_heads: 0,
        head_dim: 0,
        kv_numbers_per_token: 0,
        problem: None,
    }
}
