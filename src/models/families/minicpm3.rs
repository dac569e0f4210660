//! MiniCPM3: latent attention, a dense MLP, and factors on embeddings, branches
//! and the head's input.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Factors, MixerSpec, MlaSpec},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 32_768, 1_000_000.0)?;
    let mut rope = common::rope(config, 1_000_000.0, spec.context)?;
    if let Some(scaling) = config.object_or_none("rope_scaling")? {
        rope.scaling = common::long_rope(&scaling, spec.context)?;
    }
    rope.traditional = false;
    let mla = MixerSpec::Mla(MlaSpec {
        norm_eps: 1e-5,
        ..common::mla(
            config,
            rope,
            spec.hidden / config.size("num_attention_heads")?,
        )?
    });
    for layer in &mut spec.layers {
        layer.mixer = Some(mla.clone());
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    let narrow = config.positive("dim_model_base")? / spec.hidden as f64;
    let depth = (spec.layers.len() as f64).sqrt();
    spec.factors = Factors {
        embedding: config.positive("scale_emb")? as f32,
        branch: (config.positive("scale_depth")? / depth) as f32,
        head: if spec.tied { 1.0 } else { narrow as f32 },
    };
    Ok(spec)
}
