//! OLMo 2: Llama with norms after every branch instead of before, and of all
//! heads' queries and keys together.

use super::llama;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Names, NormPlaces, QkNorm},
};

pub const NAMES: Names = Names {
    after_mixer: "post_attention_layernorm",
    after_mlp: "post_feedforward_layernorm",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = llama::spec(config)?;
    for attention in spec.attentions_mut() {
        attention.qk_norm = QkNorm::Whole;
    }
    (spec.norms, spec.names) = (NormPlaces::After, NAMES);
    Ok(spec)
}
