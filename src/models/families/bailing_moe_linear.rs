//! Ring and Ling 2 Linear (Bailing): lightning attention in most layers, and the
//! experts of Bailing.

use super::{bailing_moe, common};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{LightningSpec, MixerSpec},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = bailing_moe::spec(config)?;
    let count = spec.layers.len();
    let group = config.size("layer_group_size")?;
    let heads = config.size("num_attention_heads")?;
    let head_dim = spec.hidden / heads;
    let rope = common::rope(config, 10_000.0, spec.context)?;
    let lightning = LightningSpec {
        module: "attention",
        head_dim,
        decays: Vec::new(),
        qkv_bias: config.flag_or("use_qkv_bias", false)?,
        output_bias: config.flag_or("use_bias", false)?,
        qk_norm: config.flag_or("use_qk_norm", false)?,
        rope: crate::models::spec::RopeSpec {
            dims: Some(common::rotated(config, head_dim, 1.0)?),
            ..rope
        },
        norm_groups: config.size("group_norm_size")?,
    };
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        let sees_all = (index + 1) % group == 0 || index >= count / group * group;
        if !sees_all {
            // Deeper layers forget less.
            let depth = index.saturating_sub(1) as f64 / (count - 1).max(1) as f64;
            let decay = |slope: f64| (-slope * (1.0 - depth + 1e-5)) as f32;
            layer.mixer = Some(MixerSpec::Lightning(LightningSpec {
                decays: slopes(heads).into_iter().map(decay).collect(),
                ..lightning.clone()
            }));
        }
    }
    Ok(spec)
}

/// Slopes of ALiBi (arXiv 2108.12409): a geometric sequence, for numbers of
/// heads that are no power of two filled up from the next one's.
fn slopes(heads: usize) -> Vec<f64> {
    let sequence = |count: usize| {
        let ratio = 2f64.powf(-8.0 / count as f64);
        (1..=count as i32).map(move |power| ratio.powi(power))
    };
    let most = match heads.is_power_of_two() {
        true => heads,
        false => heads.next_power_of_two() / 2,
    };
    let more = sequence(2 * most).step_by(2).take(heads - most);
    sequence(most).chain(more).collect()
}
