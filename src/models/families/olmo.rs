//! OLMo: Llama with layer norms that have no weights. Known by the keys of the
//! makers' first configurations (`d_model`) and by those of transformers.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{GateUpLayout, Names, NormSpec, QkvLayout},
};

const FIRST: Names = Names {
    embedding: "model.transformer.wte",
    head: "model.transformer.ff_out",
    layer: "model.transformer.blocks.{}",
    fused_qkv: "att_proj",
    output: "attn_out",
    fused_gate_up: "ff_proj",
    down: "ff_out",
    ..Names::LLAMA
};
const NORM: NormSpec = NormSpec {
    weight: false,
    ..NormSpec::layer(1e-5, false)
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    if config.get("d_model").is_some() {
        return first(config);
    }
    let mut config = config.clone();
    config.default("rms_norm_eps", 1e-5.into());
    let mut spec = common::decoder(&config, 2048, 10_000.0)?;
    let clip = config.number_or_none("clip_qkv")?;
    let bias = config.flag_or("attention_bias", false)?;
    for attention in spec.attentions_mut() {
        attention.clip = clip.map(|most| most as f32);
        (attention.qkv_bias, attention.output_bias) = (bias, bias);
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    spec.norm = NORM;
    Ok(spec)
}

/// As the makers first published it.
fn first(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut config = common::renamed(
        config,
        &[
            ("d_model", "hidden_size"),
            ("n_heads", "num_attention_heads"),
            ("n_layers", "num_hidden_layers"),
            ("max_sequence_length", "max_position_embeddings"),
        ],
    );
    // The table of embeddings is longer than the vocabulary.
    if let Some(rows) = config.get("embedding_size").cloned() {
        config.remove("vocab_size");
        config.default("vocab_size", rows);
    }
    let keys = common::Keys {
        norm_eps: "rms_norm_eps",
        intermediate: Some(match config.size_or_none("mlp_hidden_size")? {
            Some(both) => both / 2,
            None => {
                let ratio = config.size_or_none("mlp_ratio")?.unwrap_or(4);
                ratio * config.size("hidden_size")? / 2
            }
        }),
    };
    config.default("rms_norm_eps", 1e-5.into());
    let mut spec = common::decoder_with(&config, 2048, 10_000.0, keys)?;
    let clip = config.number_or_none("clip_qkv")?;
    for attention in spec.attentions_mut() {
        attention.qkv = QkvLayout::Joined;
        attention.clip = clip.map(|most| most as f32);
    }
    spec.gated_mut()
        .for_each(|mlp| mlp.layout = GateUpLayout::UpFirst);
    spec.tied = config.flag_or("weight_tying", false)?;
    (spec.norm, spec.names) = (NORM, FIRST);
    Ok(spec)
}
