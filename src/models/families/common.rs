//! What config.json files of many families share.

use crate::models::{
    Config, ModelError,
    spec::{AttentionSpec, LayerSpec, MlpSpec, ModelSpec, Names, RopeScaling, RopeSpec},
};

/// A decoder with the names and defaults of Llama, every layer alike. Families
/// change what differs.
pub fn decoder(config: &Config, context: usize, rope_base: f64) -> Result<ModelSpec, ModelError> {
    let hidden = config.size("hidden_size")?;
    let heads = config.size("num_attention_heads")?;
    let context = config
        .size_or_none("max_position_embeddings")?
        .unwrap_or(context);
    let rope = rope(config, rope_base, context)?;
    let context = rope.scaling.reach(context);
    let attention = AttentionSpec {
        heads,
        kv_heads: config.size_or_none("num_key_value_heads")?.unwrap_or(heads),
        head_dim: hidden / heads,
        qkv_bias: false,
        output_bias: false,
        qk_norm: false,
        window: None,
        rope,
    };
    let mlp = MlpSpec {
        intermediate: config.size("intermediate_size")?,
        bias: false,
    };
    Ok(ModelSpec {
        family: config.text("model_type")?.to_owned(),
        vocab: config.size("vocab_size")?,
        hidden,
        context,
        layers: vec![LayerSpec { attention, mlp }; layer_count(config)?],
        norm_eps: config.positive("rms_norm_eps")? as f32,
        tied: config.flag_or("tie_word_embeddings", true)?,
        names: Names::LLAMA,
    })
}

fn layer_count(config: &Config) -> Result<usize, ModelError> {
    const MOST: usize = 4096;
    let count = config.size("num_hidden_layers")?;
    if count > MOST {
        let problem = format!("is {count}: expected at most {MOST}");
        return Err(config.error("num_hidden_layers", problem));
    }
    Ok(count)
}

/// The size of a head, where config.json may give it apart from the width.
pub fn head_dim(config: &Config, spec: &ModelSpec) -> Result<usize, ModelError> {
    let derived = spec.layers[0].attention.head_dim;
    Ok(config.size_or_none("head_dim")?.unwrap_or(derived))
}

/// Gives the layers that `layer_types` calls "sliding_attention" their window.
pub fn sliding_layers(config: &Config, spec: &mut ModelSpec) -> Result<(), ModelError> {
    let Some(types) = config.texts_or_none("layer_types")? else {
        return Ok(());
    };
    if types.len() != spec.layers.len() {
        let problem = format!(
            "has {} entries: expected one for each of the {} layers",
            types.len(),
            spec.layers.len()
        );
        return Err(config.error("layer_types", problem));
    }
    for (layer, kind) in spec.layers.iter_mut().zip(&types) {
        layer.attention.window = match kind.as_str() {
            "full_attention" => None,
            "sliding_attention" => Some(config.size("sliding_window")?),
            other => {
                let problem = format!(
                    "has the entry \"{other}\": expected \"full_attention\" or \"sliding_attention\""
                );
                return Err(config.error("layer_types", problem));
            }
        };
    }
    Ok(())
}

/// Positions from `rope_theta` and `rope_scaling`, or from `rope_parameters`,
/// where transformers 5 keeps both.
fn rope(config: &Config, default_base: f64, context: usize) -> Result<RopeSpec, ModelError> {
    let nested = config.object_or_none("rope_parameters")?;
    let base = match (config.get("rope_theta"), &nested) {
        (None, Some(nested)) if nested.get("rope_theta").is_some() => {
            nested.positive("rope_theta")?
        }
        (None, _) => default_base,
        (Some(_), _) => config.positive("rope_theta")?,
    };
    let scaling = match config.object_or_none("rope_scaling")?.or(nested) {
        Some(scaling) => rope_scaling(&scaling, context)?,
        None => RopeScaling::None,
    };
    Ok(RopeSpec {
        base,
        traditional: config.flag_or("rope_traditional", false)?,
        scaling,
    })
}

fn rope_scaling(config: &Config, context: usize) -> Result<RopeScaling, ModelError> {
    let number_or =
        |key: &str, default: f64| config.number_or_none(key).map(|n| n.unwrap_or(default));
    let key = if config.get("type").is_some() {
        "type"
    } else {
        "rope_type"
    };
    Ok(match config.text_or_none(key)?.unwrap_or("default") {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear {
            factor: config.positive("factor")?,
        },
        "dynamic" => RopeScaling::Dynamic {
            factor: config.positive("factor")?,
            context,
        },
        "llama3" => RopeScaling::Llama3 {
            factor: config.positive("factor")?,
            low_freq_factor: number_or("low_freq_factor", 1.0)?,
            high_freq_factor: number_or("high_freq_factor", 4.0)?,
            original_context: number_or("original_max_position_embeddings", 8192.0)?,
        },
        "yarn" => RopeScaling::Yarn {
            factor: config.positive("factor")?,
            original_context: number_or("original_max_position_embeddings", 4096.0)?,
            beta_fast: number_or("beta_fast", 32.0)?,
            beta_slow: number_or("beta_slow", 1.0)?,
            mscale: number_or("mscale", 1.0)?,
            mscale_all_dim: number_or("mscale_all_dim", 0.0)?,
        },
        other => {
            let problem = format!(
                "is \"{other}\": expected \"default\", \"linear\", \"dynamic\", \"llama3\" or \"yarn\""
            );
            return Err(config.error(key, problem));
        }
    })
}

impl RopeScaling {
    /// Tokens within reach of a model whose config.json says `context`.
    fn reach(&self, context: usize) -> usize {
        match self {
            Self::Yarn {
                factor,
                original_context,
                ..
            } => context.max((factor * original_context) as usize),
            _ => context,
        }
    }
}
