//! Models that see, the part that speaks: a language model of another family
//! under `text_config`.

use super::{common, deepseek_v3, llama, ministral3, mistral4, qwen2, qwen3, qwen3_moe};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Joined, MlpSpec, MoeNames},
};

/// Qwen3-VL's experts are published transposed.
const QWEN3_EXPERTS: MoeNames = MoeNames {
    joined: Joined {
        transposed: true,
        ..MoeNames::COMMON.joined
    },
    ..qwen3_moe::NAMES
};

pub fn qwen2_vl(config: &Config) -> Result<ModelSpec, ModelError> {
    common::of_text(config, qwen2::spec)
}

pub fn qwen3_vl(config: &Config) -> Result<ModelSpec, ModelError> {
    common::of_text(config, qwen3::spec)
}

pub fn qwen3_vl_moe(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::of_text(config, qwen3_moe::spec)?;
    for layer in &mut spec.layers {
        if let Some(MlpSpec::Moe(moe)) = &mut layer.mlp {
            moe.names = &QWEN3_EXPERTS;
        }
    }
    Ok(spec)
}

/// Kimi-VL and Kimi K2.5.
pub fn kimi(config: &Config) -> Result<ModelSpec, ModelError> {
    common::of_text(config, deepseek_v3::spec)
}

/// Mistral 3 and the like: the text part says of which family it is.
pub fn mistral3(config: &Config) -> Result<ModelSpec, ModelError> {
    let text = common::text_part(config)?;
    let describe = match text.text("model_type")? {
        "ministral3" => ministral3::spec,
        "mistral4" => mistral4::spec,
        _ => untied_llama,
    };
    common::of_text(config, describe)
}

pub fn pixtral(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::of_text(config, untied_llama)?;
    spec.tied = false;
    Ok(spec)
}

/// Llama with a head of its own unless config.json ties it.
fn untied_llama(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut config = config.clone();
    config.default("tie_word_embeddings", false.into());
    config.default("num_attention_heads", 32.into());
    llama::spec(&config)
}
