//! Jamba: Mamba with a layer of attention now and then, which knows no
//! positions, and experts in some layers. Experts are weighed by a softmax over
//! the chosen ones, as in mlx-lm.

use super::{common, mamba};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{
        MambaLayout, MambaSpec, MixerSpec, MlpSpec, MoeNames, MoeSpec, Names, Routing, Score,
        StepNorms,
    },
};

const NAMES: Names = Names {
    norm: "model.final_layernorm",
    before_mlp: "pre_ff_layernorm",
    gate_up: ["feed_forward.gate_proj", "feed_forward.up_proj"],
    down: "feed_forward.down_proj",
    ..Names::LLAMA
};
const EXPERTS: MoeNames = MoeNames {
    router: "feed_forward.router",
    stacked: [
        "feed_forward.switch_mlp.gate_proj",
        "feed_forward.switch_mlp.up_proj",
        "feed_forward.switch_mlp.down_proj",
    ],
    each: [
        "feed_forward.experts.{}.gate_proj",
        "feed_forward.experts.{}.up_proj",
        "feed_forward.experts.{}.down_proj",
    ],
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 262_144, 10_000.0)?;
    let mamba = MixerSpec::Mamba(mamba(config)?);
    let moe = MlpSpec::Moe(MoeSpec {
        routing: Routing {
            score: Score::SoftmaxOfChosen,
            ..Routing::SOFTMAX
        },
        ..common::moe(config, "num_experts", "intermediate_size", &EXPERTS)?
    });
    let kinds = kinds(config, spec.layers.len())?;
    let chooses = config.size("num_experts")? > 1;
    let (period, offset) = every(config, "expert_layer_period", "expert_layer_offset")?;
    for (index, (layer, attends)) in spec.layers.iter_mut().zip(kinds).enumerate() {
        match layer.attention_mut().filter(|_| attends) {
            Some(attention) => attention.rope = None,
            None => layer.mixer = Some(mamba.clone()),
        }
        if chooses && index % period == offset {
            layer.mlp = Some(moe.clone());
        }
    }
    spec.names = NAMES;
    Ok(spec)
}

/// Whether each layer is one of attention.
fn kinds(config: &Config, layers: usize) -> Result<Vec<bool>, ModelError> {
    let mut config = config.clone();
    if let Some(types) = config.get("layers_block_type").cloned() {
        config.default("layer_types", types);
    }
    if let Some(types) = common::layer_types(&config, layers, ["mamba", "attention"])? {
        return Ok(types.into_iter().map(|kind| kind == 1).collect());
    }
    let (period, offset) = every(&config, "attn_layer_period", "attn_layer_offset")?;
    Ok((0..layers).map(|index| index % period == offset).collect())
}

/// How many layers it is from one of a kind to the next, and the first.
fn every(config: &Config, period: &str, offset: &str) -> Result<(usize, usize), ModelError> {
    let period = config.size(period)?;
    let first = config.count_or_none(offset)?.unwrap_or(0);
    match first < period {
        true => Ok((period, first)),
        false => Err(config.error(offset, format!("is {first}: expected less than {period}"))),
    }
}

fn mamba(config: &Config) -> Result<MambaSpec, ModelError> {
    let mut config = config.clone();
    config.default("mamba_dt_rank", "auto".into());
    let bias = config.flag_or("mamba_proj_bias", false)?;
    Ok(MambaSpec {
        module: "mamba",
        heads: config.size("mamba_expand")? * config.size("hidden_size")?,
        head_dim: 1,
        state: config.size("mamba_d_state")?,
        kernel: config.size("mamba_d_conv")?,
        step_rank: mamba::step_rank(&config, "mamba_dt_rank")?,
        in_bias: bias,
        out_bias: bias,
        conv_bias: config.flag_or("mamba_conv_bias", true)?,
        norms: StepNorms::Weighted,
        layout: MambaLayout::Each,
        step_limit: (0.0, f32::INFINITY),
    })
}
