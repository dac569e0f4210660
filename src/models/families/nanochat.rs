//! nanochat: norms without weights everywhere, also of embeddings, a plain MLP
//! with squared ReLU, and rotations that turn the other way round.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Activation, Names, NormSpec, QkNorm, RopeScaling},
};

const NAMES: Names = Names {
    embedding: "transformer.wte",
    layer: "transformer.h.{}",
    qkv: ["attn.c_q", "attn.c_k", "attn.c_v"],
    output: "attn.c_proj",
    plain: ["mlp.c_fc", "mlp.c_proj"],
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    // Only transformers' configurations give it, whose tensors have other names.
    let is_ours = config.get("rms_norm_eps").is_none();
    let mut config = config.clone();
    config.default("rms_norm_eps", 1e-5.into());
    let mut spec = common::decoder(&config, 2048, 10_000.0)?;
    spec.norm = NormSpec {
        weight: false,
        ..spec.norm
    };
    let eps = spec.norm.eps;
    for attention in spec.attentions_mut() {
        attention.qk_norm = QkNorm::Plain;
        attention.qk_norm_eps = Some(eps);
        if let Some(rope) = &mut attention.rope {
            // Positions count downwards.
            rope.scaling = RopeScaling::Linear { factor: -1.0 };
        }
    }
    let intermediate = config.size("intermediate_size")?;
    common::plain_mlps(&mut spec, intermediate, false, Activation::SquaredRelu);
    let cap = config.number_or_none("final_logit_softcapping")?;
    spec.logit_cap = Some(cap.unwrap_or(15.0) as f32);
    spec.embedding_norm = true;
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    if is_ours {
        spec.names = NAMES;
    }
    Ok(spec)
}
