//! Apertus: norms of heads' queries and keys, a plain MLP with the learned
//! activation xIELU.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Activation, Names, QkNorm},
};

const NAMES: Names = Names {
    before_mixer: "attention_layernorm",
    before_mlp: "feedforward_layernorm",
    plain: ["mlp.up_proj", "mlp.down_proj"],
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 65_536, 12_000_000.0)?;
    for attention in spec.attentions_mut() {
        attention.qk_norm = QkNorm::Head;
    }
    let intermediate = config.size("intermediate_size")?;
    let bias = config.flag_or("mlp_bias", false)?;
    common::plain_mlps(&mut spec, intermediate, bias, Activation::XieLu);
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    spec.names = NAMES;
    Ok(spec)
}
