//! Nemotron and Minitron: layer norms whose weights are distances from 1, a
//! plain MLP with squared ReLU, rotation of a part of each head.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Activation, Names, NormOffset, NormSpec},
};

const NAMES: Names = Names {
    plain: ["mlp.up_proj", "mlp.down_proj"],
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let keys = common::Keys {
        norm_eps: "norm_eps",
        intermediate: None,
    };
    let mut spec = common::decoder_with(config, 4096, 10_000.0, keys)?;
    spec.norm = NormSpec {
        offset: NormOffset::One,
        ..NormSpec::layer(spec.norm.eps, true)
    };
    let head_dim = common::head_dim(config, &spec)?;
    let rotated = common::rotated(config, head_dim, 0.5)?;
    let bias = config.flag_or("attention_bias", false)?;
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        (attention.qkv_bias, attention.output_bias) = (bias, bias);
        attention
            .rope
            .iter_mut()
            .for_each(|rope| rope.dims = Some(rotated));
    }
    let intermediate = config.size("intermediate_size")?;
    let mlp_bias = config.flag_or("mlp_bias", false)?;
    common::plain_mlps(&mut spec, intermediate, mlp_bias, Activation::SquaredRelu);
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    spec.names = NAMES;
    Ok(spec)
}
