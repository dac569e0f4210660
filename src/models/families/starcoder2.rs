//! StarCoder 2: layer norms, biases everywhere and a plain MLP.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Activation, Names, NormSpec},
};

const NAMES: Names = Names {
    plain: ["mlp.c_fc", "mlp.c_proj"],
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut config = config.clone();
    config.default("norm_epsilon", 1e-5.into());
    let keys = common::Keys {
        norm_eps: "norm_epsilon",
        intermediate: None,
    };
    let mut spec = common::decoder_with(&config, 16_384, 100_000.0, keys)?;
    spec.norm = NormSpec::layer(spec.norm.eps, true);
    for attention in spec.attentions_mut() {
        (attention.qkv_bias, attention.output_bias) = (true, true);
    }
    let intermediate = config.size("intermediate_size")?;
    common::plain_mlps(&mut spec, intermediate, true, Activation::GeluExact);
    spec.names = NAMES;
    Ok(spec)
}
