//! Gemma 4, the part that speaks, where it is dense: Gemma 3 with heads of two
//! sizes, normed values, scores as they are and a number that multiplies what
//! leaves a layer. In the smaller models the last layers look at the keys and
//! values of earlier ones, and every layer has embeddings of its own.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{
        Activation, AttentionSpec, LayerInputs, MlpSpec, Names, NormPlaces, QkNorm, RopeScaling,
        RopeSpec, Sight,
    },
};

const NAMES: Names = Names {
    before_mlp: "pre_feedforward_layernorm",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let family = config.text("model_type")?.to_owned();
    let mut text = common::text_part(config)?;
    text.default("rms_norm_eps", 1e-6.into());
    text.default("num_attention_heads", 8.into());
    text.default("num_key_value_heads", 1.into());
    if let Some(rows) = config.get("vocab_size").cloned() {
        text.default("vocab_size", rows);
    }
    if text.flag_or("enable_moe_block", false)? {
        return Err(text.error(
            "enable_moe_block",
            "is true: of Gemma 4 only dense models are known",
        ));
    }
    let mut spec = common::decoder(&text, 131_072, 10_000.0)?;
    let window = text.size_or_none("sliding_window")?.unwrap_or(512);
    let every = text.size_or_none("sliding_window_pattern")?.unwrap_or(5);
    let count = spec.layers.len();
    let types = common::layer_types(&text, count, ["sliding_attention", "full_attention"])?;
    let types = types.unwrap_or_else(|| {
        let sees_all = |index| usize::from((index + 1) % every == 0);
        (0..count).map(sees_all).collect()
    });
    for (attention, kind) in spec.attentions_mut().zip(types.clone()) {
        attention.qk_norm = QkNorm::Head;
        (attention.scale, attention.value_norm) = (Some(1.0), true);
        attention.qk_norm_eps = Some(text.positive("rms_norm_eps")? as f32);
        match kind {
            0 => {
                attention.head_dim = text.size_or_none("head_dim")?.unwrap_or(256);
                attention.sight = Sight::Window(window);
            }
            _ => far(&text, attention)?,
        }
        attention.rope = Some(rope(&text, kind, attention.head_dim)?);
    }
    share(&text, &mut spec, &types)?;
    let width = text
        .count_or_none("hidden_size_per_layer_input")?
        .unwrap_or(256);
    if width > 0 {
        let vocab = text.size_or_none("vocab_size_per_layer_input")?;
        spec.layer_inputs = Some(LayerInputs {
            vocab: vocab.unwrap_or(262_144),
            width,
        });
    }
    for mlp in spec.gated_mut() {
        mlp.activation = Activation::Gelu;
    }
    let key = "final_logit_softcapping";
    let none = text
        .keys()
        .any(|(own, value)| own == key && value.is_null());
    let cap = text.number_or_none(key)?.unwrap_or(30.0);
    spec.logit_cap = (!none).then_some(cap as f32);
    spec.factors.embedding = (spec.hidden as f32).sqrt();
    spec.tied = text.flag_or("tie_word_embeddings", true)?;
    (spec.norms, spec.names) = (NormPlaces::Around, NAMES);
    (spec.layer_scalars, spec.family) = (true, family);
    Ok(spec)
}

/// How many layers at the end look at the keys and values of earlier ones.
fn sharing(config: &Config, layers: usize) -> Result<usize, ModelError> {
    let key = "num_kv_shared_layers";
    let count = config.count_or_none(key)?.unwrap_or(20);
    match count < layers {
        true => Ok(count),
        false => Err(config.error(key, format!("is {count}: there are only {layers} layers"))),
    }
}

/// Lets the last layers look at the last one of their kind before them.
fn share(config: &Config, spec: &mut ModelSpec, types: &[usize]) -> Result<(), ModelError> {
    let count = types.len();
    let first = count - sharing(config, count)?;
    let wide = config.flag_or("use_double_wide_mlp", true)?;
    for index in first..count {
        let source = (0..first)
            .rev()
            .find(|before| types[*before] == types[index]);
        let source = source.ok_or_else(|| {
            let problem = format!("leaves layer {index} without one of its kind to share with");
            config.error("num_kv_shared_layers", problem)
        })?;
        if let Some(attention) = spec.layers[index].attention_mut() {
            attention.shares = Some(source);
        }
        if let Some(attention) = spec.layers[source].attention_mut() {
            attention.lends = true;
        }
        if let (true, Some(MlpSpec::Gated(mlp))) = (wide, &mut spec.layers[index].mlp) {
            mlp.intermediate *= 2;
        }
    }
    Ok(())
}

/// Heads of a layer that sees all.
fn far(config: &Config, attention: &mut AttentionSpec) -> Result<(), ModelError> {
    attention.head_dim = config.size_or_none("global_head_dim")?.unwrap_or(512);
    attention.keys_as_values = config.flag_or("attention_k_eq_v", false)?;
    if let (true, Some(heads)) = (
        attention.keys_as_values,
        config.size_or_none("num_global_key_value_heads")?,
    ) {
        attention.kv_heads = heads;
    }
    Ok(())
}

/// Rotations of a kind of layer: within a window (0) or not.
fn rope(config: &Config, kind: usize, head_dim: usize) -> Result<RopeSpec, ModelError> {
    let key = ["sliding_attention", "full_attention"][kind];
    let nested = config.object_or_none("rope_parameters")?;
    let own = nested
        .map(|nested| nested.object_or_none(key))
        .transpose()?;
    let (base, share, is_proportional, factor) = match own.flatten() {
        None => (
            [10_000.0, 1_000_000.0][kind],
            [1.0, 0.25][kind],
            kind == 1,
            1.0,
        ),
        Some(own) => (
            own.number_or_none("rope_theta")?.unwrap_or(10_000.0),
            own.number_or_none("partial_rotary_factor")?.unwrap_or(1.0),
            own.text_or_none("rope_type")?.unwrap_or("default") == "proportional",
            own.number_or_none("factor")?.unwrap_or(1.0),
        ),
    };
    let rotated = (head_dim as f64 * share) as usize;
    Ok(RopeSpec {
        base,
        dims: None,
        traditional: config.flag_or("rope_traditional", false)?,
        scaling: match is_proportional {
            true => RopeScaling::Proportional { rotated, factor },
            false => RopeScaling::None,
        },
    })
}
