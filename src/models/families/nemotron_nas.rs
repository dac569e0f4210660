//! Nemotron NAS (Llama Nemotron Super and Ultra): Llama whose layers were
//! searched for: any may lack attention or an MLP, or have a matrix instead.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{Activation, GateUpLayout, GatedSpec, MixerSpec, MlpSpec},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let keys = common::Keys {
        norm_eps: "rms_norm_eps",
        intermediate: Some(1),
    };
    let mut spec = common::decoder_with(config, 131_072, 500_000.0, keys)?;
    let blocks = config.objects("block_configs")?;
    if blocks.len() != spec.layers.len() {
        let (found, expected) = (blocks.len(), spec.layers.len());
        let problem =
            format!("has {found} entries: expected one for each of the {expected} layers");
        return Err(config.error("block_configs", problem));
    }
    let (bias, mlp_bias) = (
        config.flag_or("attention_bias", false)?,
        config.flag_or("mlp_bias", false)?,
    );
    let activation = activation(config)?;
    let hidden = spec.hidden;
    for (layer, block) in spec.layers.iter_mut().zip(&blocks) {
        let part = |key: &str| {
            let part = block.object_or_none(key)?;
            part.ok_or_else(|| block.error(key, "is missing"))
        };
        let (attention, mlp) = (part("attention")?, part("ffn")?);
        if attention.flag_or("no_op", false)? {
            layer.mixer = None;
        } else if attention.flag_or("replace_with_linear", false)? {
            layer.mixer = Some(MixerSpec::Linear { bias });
        } else if let Some(own) = layer.attention_mut() {
            own.kv_heads = (own.heads / attention.size("n_heads_in_group")?).max(1);
            (own.qkv_bias, own.output_bias) = (bias, bias);
        }
        layer.mlp = if mlp.flag_or("no_op", false)? {
            None
        } else if mlp.flag_or("replace_with_linear", false)? {
            Some(MlpSpec::Linear { bias: mlp_bias })
        } else {
            let factor = mlp.positive("ffn_mult")?.min(64.0);
            let width = (2.0 * factor * hidden as f64 / 3.0) as usize;
            Some(MlpSpec::Gated(GatedSpec {
                intermediate: width.next_multiple_of(256),
                bias: mlp_bias,
                activation,
                layout: GateUpLayout::Apart,
            }))
        };
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(spec)
}

fn activation(config: &Config) -> Result<Activation, ModelError> {
    let key = "hidden_act";
    match config.text_or_none(key)?.unwrap_or("silu") {
        "silu" => Ok(Activation::Silu),
        "gelu" => Ok(Activation::GeluExact),
        "gelu_new" | "gelu_fast" => Ok(Activation::Gelu),
        other => Err(config.error(
            key,
            format!("is \"{other}\": expected \"silu\" or \"gelu\""),
        )),
    }
}
