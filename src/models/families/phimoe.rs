//! Phi-3.5 MoE: layer norms, biases, and experts that SparseMixer chooses.

use super::{common, mixtral};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{MlpSpec, MoeSpec, NormSpec, RopeScaling, Routing, Score},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 131_072, 10_000.0)?;
    spec.norm = NormSpec::layer(spec.norm.eps, true);
    let magnitude = match config.object_or_none("rope_scaling")? {
        Some(scaling) => scaling.number_or_none("long_mscale")?,
        None => None,
    };
    for attention in spec.attentions_mut() {
        (attention.qkv_bias, attention.output_bias) = (true, true);
        let scaling = attention.rope.as_mut().map(|rope| &mut rope.scaling);
        if let (Some(RopeScaling::Long { magnitude, .. }), Some(own)) = (scaling, magnitude) {
            *magnitude = own;
        }
    }
    let jitter = config.number_or_none("router_jitter_noise")?;
    let moe = MoeSpec {
        routing: Routing {
            score: Score::SparseMixer {
                jitter: jitter.unwrap_or(0.01) as f32,
            },
            ..Routing::SOFTMAX
        },
        ..common::moe(
            config,
            "num_local_experts",
            "intermediate_size",
            &mixtral::NAMES,
        )?
    };
    for layer in &mut spec.layers {
        layer.mlp = Some(MlpSpec::Moe(moe));
    }
    (spec.tied, spec.head_bias) = (false, true);
    Ok(spec)
}
