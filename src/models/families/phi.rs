//! Phi-1 to Phi-2: attention and a plain MLP side by side behind one layer norm,
//! rotation of a part of each head, biases everywhere.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Activation, Names, NormPlaces, NormSpec},
};

const NAMES: Names = Names {
    norm: "model.final_layernorm",
    output: "self_attn.dense",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut config = config.clone();
    config.default("layer_norm_eps", 1e-5.into());
    let keys = common::Keys {
        norm_eps: "layer_norm_eps",
        intermediate: None,
    };
    let mut spec = common::decoder_with(&config, 2048, 10_000.0, keys)?;
    spec.norm = NormSpec::layer(spec.norm.eps, true);
    let head_dim = common::head_dim(&config, &spec)?;
    let rotated = common::rotated(&config, head_dim, 0.4)?;
    for attention in spec.attentions_mut() {
        (attention.qkv_bias, attention.output_bias) = (true, true);
        attention
            .rope
            .iter_mut()
            .for_each(|rope| rope.dims = Some(rotated));
    }
    let intermediate = config.size("intermediate_size")?;
    common::plain_mlps(&mut spec, intermediate, true, Activation::Gelu);
    (spec.norms, spec.names) = (NormPlaces::Shared, NAMES);
    (spec.tied, spec.head_bias) = (false, true);
    Ok(spec)
}
