//! Granite 4: Mamba 2 with a few layers of attention, experts or a dense MLP,
//! and factors on embeddings, scores, branches and logits.

use super::{common, granite};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Joined, MixerSpec, MlpSpec, MoeNames, MoeSpec, Routing, Score, SharedSpec},
};

const NAMES: MoeNames = MoeNames {
    router: "block_sparse_moe.router.layer",
    stacked: [
        "block_sparse_moe.switch_mlp.gate_proj",
        "block_sparse_moe.switch_mlp.up_proj",
        "block_sparse_moe.switch_mlp.down_proj",
    ],
    shared: [
        "shared_mlp.input_linear",
        "shared_mlp.input_linear",
        "shared_mlp.output_linear",
    ],
    joined: Joined {
        gate_up: "block_sparse_moe.input_linear.weight",
        down: "block_sparse_moe.output_linear.weight",
        ..MoeNames::COMMON.joined
    },
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 131_072, 10_000.0)?;
    let count = spec.layers.len();
    let types = common::layer_types(config, count, ["mamba", "attention"])?;
    let types = types.ok_or_else(|| config.error("layer_types", "is missing"))?;
    let mamba = match types.contains(&0) {
        true => Some(MixerSpec::Mamba2(common::mamba(config, "mamba")?)),
        false => None,
    };
    let rotated = config
        .text_or_none("position_embedding_type")?
        .unwrap_or("rope")
        == "rope";
    let (scale, bias) = (
        config.positive("attention_multiplier")?,
        config.flag_or("attention_bias", false)?,
    );
    let moe = moe(config)?;
    for (layer, kind) in spec.layers.iter_mut().zip(types) {
        if let Some(attention) = layer.attention_mut() {
            attention.scale = Some(scale);
            (attention.qkv_bias, attention.output_bias) = (bias, bias);
            attention.rope.take_if(|_| !rotated);
        }
        if kind == 0 {
            layer.mixer = mamba.clone();
        }
        if let Some(moe) = moe {
            layer.mlp = Some(MlpSpec::Moe(moe));
        }
    }
    let mlp_bias = config.flag_or("mlp_bias", false)?;
    spec.gated_mut().for_each(|mlp| mlp.bias = mlp_bias);
    spec.factors = granite::factors(config)?;
    Ok(spec)
}

fn moe(config: &Config) -> Result<Option<MoeSpec>, ModelError> {
    if config.count_or_none("num_local_experts")?.unwrap_or(0) == 0 {
        return Ok(None);
    }
    Ok(Some(MoeSpec {
        shared: Some(SharedSpec::new(config.size("shared_intermediate_size")?)),
        ..experts(config)?
    }))
}

/// The experts that a layer chooses among, none of them shared.
pub fn experts(config: &Config) -> Result<MoeSpec, ModelError> {
    Ok(MoeSpec {
        routing: Routing {
            score: Score::SoftmaxOfChosen,
            ..Routing::SOFTMAX
        },
        ..common::moe(config, "num_local_experts", "intermediate_size", &NAMES)?
    })
}
