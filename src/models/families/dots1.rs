//! dots.llm1: Qwen3's attention, experts as DeepSeek-V3 chooses them.

use super::{common, deepseek_v2, deepseek_v3};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MlpSpec, MoeNames, QkNorm},
};

const EXPERTS: MoeNames = MoeNames {
    stacked: [
        "mlp.experts.gate_proj",
        "mlp.experts.up_proj",
        "mlp.experts.down_proj",
    ],
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 32_768, 10_000.0)?;
    let head_dim = common::head_dim(config, &spec)?;
    let bias = config.flag_or("attention_bias", false)?;
    for attention in spec.attentions_mut() {
        attention.head_dim = head_dim;
        (attention.qkv_bias, attention.output_bias) = (bias, bias);
        attention.qk_norm = QkNorm::Head;
    }
    deepseek_v2::mixtures(config, &mut spec, deepseek_v3::routing(config)?)?;
    let bias = config.flag_or("mlp_bias", false)?;
    for layer in &mut spec.layers {
        match &mut layer.mlp {
            Some(MlpSpec::Gated(mlp)) => mlp.bias = bias,
            Some(MlpSpec::Moe(moe)) => {
                moe.names = &EXPERTS;
                moe.shared.iter_mut().for_each(|shared| shared.bias = bias);
            }
            _ => {}
        }
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(spec)
}
