//! Youtu-LLM: latent attention, a dense MLP.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MixerSpec, MlaSpec},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 131_072, 1_600_000.0)?;
    let mut rope = common::rope(config, 1_600_000.0, spec.context)?;
    rope.traditional = config.flag_or("rope_traditional", true)?;
    let mla = common::mla(config, rope, config.size("v_head_dim")?)?;
    // YaRN does not make scores grow here.
    let scale = 1.0 / (mla.query_dim() as f64).sqrt();
    let mla = MixerSpec::Mla(MlaSpec { scale, ..mla });
    for layer in &mut spec.layers {
        layer.mixer = Some(mla.clone());
    }
    let bias = config.flag_or("mlp_bias", false)?;
    spec.gated_mut().for_each(|mlp| mlp.bias = bias);
    common::like_other_norms(&mut spec);
    Ok(spec)
}
