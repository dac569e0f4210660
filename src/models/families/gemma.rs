//! Gemma, the first: Gemma 2 without caps, with norms before the branches
//! alone and the exact GELU.

use super::{common, gemma2};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Activation, Names, NormPlaces},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = gemma2::decoder(config, 8192, 10_000.0, 256.0)?;
    let head_dim = common::head_dim(config, &spec)?;
    for attention in spec.attentions_mut() {
        attention.scale = None;
        attention.head_dim = head_dim;
    }
    for mlp in spec.gated_mut() {
        mlp.activation = Activation::GeluExact;
    }
    spec.norms = NormPlaces::Before;
    spec.names = Names::LLAMA;
    spec.factors.embedding = (spec.hidden as f32).sqrt();
    Ok(spec)
}
