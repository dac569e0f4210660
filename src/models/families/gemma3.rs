//! Gemma 3, the part that speaks: Gemma 2 without caps, with norms of queries
//! and keys, and five layers within a window to one that sees all.

use half::bf16;

use super::{common, gemma2};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{QkNorm, RopeScaling, Sight},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let family = config.text("model_type")?.to_owned();
    let mut text = common::text_part(config)?;
    // What transformers leaves out of configurations with vision.
    let defaults = [
        ("vocab_size", 262_208),
        ("num_attention_heads", 8),
        ("num_key_value_heads", 4),
        ("head_dim", 256),
    ];
    if family == "gemma3" {
        for (key, value) in defaults {
            text.default(key, value.into());
        }
    }
    text.default("rms_norm_eps", 1e-6.into());
    let mut spec = gemma2::decoder(&text, 32_768, 1_000_000.0, 256.0)?;
    let window = text.size_or_none("sliding_window")?.unwrap_or(512);
    let every = text.size_or_none("sliding_window_pattern")?.unwrap_or(6);
    let local = text
        .number_or_none("rope_local_base_freq")?
        .unwrap_or(10_000.0);
    for (index, attention) in spec.attentions_mut().enumerate() {
        attention.qk_norm = QkNorm::Head;
        if (index + 1) % every != 0 {
            attention.sight = Sight::Window(window);
            if let Some(rope) = &mut attention.rope {
                (rope.base, rope.scaling) = (local, RopeScaling::None);
            }
        }
    }
    // mlx-lm rounds it as the models' makers do.
    spec.factors.embedding = bf16::from_f32((spec.hidden as f32).sqrt()).to_f32();
    spec.tied = text.flag_or("tie_word_embeddings", true)?;
    spec.family = family;
    Ok(spec)
}
