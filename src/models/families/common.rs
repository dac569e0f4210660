//! What config.json files of many families share.

use serde_json::Value;

use crate::models::{
    Config, ModelError,
    blocks::yarn_magnitude,
    spec::{
        Activation, AttentionSpec, Factors, GateUpLayout, GatedSpec, LayerSpec, Mamba2Spec,
        MixerSpec, MlaSpec, MlpSpec, ModelSpec, MoeNames, MoeSpec, Names, NormPlaces, NormSpec,
        PlainSpec, RopeScaling, RopeSpec, Routing, Sight,
    },
};

/// A decoder with the names and defaults of Llama, every layer alike. Families
/// change what differs.
pub fn decoder(config: &Config, context: usize, rope_base: f64) -> Result<ModelSpec, ModelError> {
    let keys = Keys {
        norm_eps: "rms_norm_eps",
        intermediate: None,
    };
    decoder_with(config, context, rope_base, keys)
}

/// What some families call by other names.
pub struct Keys {
    pub norm_eps: &'static str,
    /// The MLP's width, where `intermediate_size` does not say it.
    pub intermediate: Option<usize>,
}

/// [`decoder`] of other names.
pub fn decoder_with(
    config: &Config,
    context: usize,
    rope_base: f64,
    keys: Keys,
) -> Result<ModelSpec, ModelError> {
    let hidden = config.size("hidden_size")?;
    let heads = config.size("num_attention_heads")?;
    let context = config
        .size_or_none("max_position_embeddings")?
        .unwrap_or(context);
    let rope = rope(config, rope_base, context)?;
    let context = rope.scaling.reach(context);
    let kv_heads = config.size_or_none("num_key_value_heads")?;
    let attention = AttentionSpec::new(heads, kv_heads.unwrap_or(heads), hidden / heads, rope);
    let mlp = gated(match keys.intermediate {
        Some(width) => width,
        None => config.size("intermediate_size")?,
    });
    let layer = LayerSpec::new(MixerSpec::Attention(attention), mlp);
    Ok(ModelSpec {
        family: config.text("model_type")?.to_owned(),
        vocab: config.size("vocab_size")?,
        hidden,
        context,
        layers: vec![layer; layer_count(config)?],
        norm: NormSpec::rms(config.positive(keys.norm_eps)? as f32),
        norms: NormPlaces::Before,
        factors: Factors::NONE,
        embedding_norm: false,
        layer_inputs: None,
        layer_scalars: false,
        logit_cap: None,
        tied: config.flag_or("tie_word_embeddings", true)?,
        head_bias: false,
        head_columns_normed: false,
        positions: None,
        names: Names::LLAMA,
    })
}

/// The MLP without a gate that some families have, in every layer.
pub fn plain_mlps(spec: &mut ModelSpec, intermediate: usize, bias: bool, activation: Activation) {
    let mlp = MlpSpec::Plain(PlainSpec {
        intermediate,
        bias,
        activation,
    });
    for layer in &mut spec.layers {
        layer.mlp = Some(mlp.clone());
    }
}

/// The config with what it calls by one of the first names under the second.
pub fn renamed(config: &Config, names: &[(&str, &str)]) -> Config {
    let mut config = config.clone();
    for (own, common) in names {
        if let Some(value) = config.get(own).cloned() {
            config.default(common, value);
        }
    }
    config
}

/// The MLP that most families have.
pub fn gated(intermediate: usize) -> MlpSpec {
    MlpSpec::Gated(GatedSpec {
        intermediate,
        bias: false,
        activation: Activation::Silu,
        layout: GateUpLayout::Apart,
    })
}

pub fn layer_count(config: &Config) -> Result<usize, ModelError> {
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
    let attention = spec.layers[0].attention();
    let derived = attention.map_or(0, |attention| attention.head_dim);
    Ok(config.size_or_none("head_dim")?.unwrap_or(derived))
}

/// A mixture of experts with plain routing by softmax; `experts` and
/// `intermediate` are the keys of their number and width.
pub fn moe(
    config: &Config,
    experts: &str,
    intermediate: &str,
    names: &'static MoeNames,
) -> Result<MoeSpec, ModelError> {
    Ok(MoeSpec {
        experts: config.size(experts)?,
        active: config.size("num_experts_per_tok")?,
        intermediate: config.size(intermediate)?,
        activation: Activation::Silu,
        gated: true,
        latent: None,
        expert_bias: false,
        router_bias: false,
        routing: Routing::SOFTMAX,
        shared: None,
        names,
    })
}

/// Gives the layers that `layer_types` calls "sliding_attention" their window.
pub fn sliding_layers(config: &Config, spec: &mut ModelSpec) -> Result<(), ModelError> {
    let known = ["full_attention", "sliding_attention"];
    let Some(types) = layer_types(config, spec.layers.len(), known)? else {
        return Ok(());
    };
    for (layer, kind) in spec.layers.iter_mut().zip(types) {
        if let (Some(attention), 1) = (layer.attention_mut(), kind) {
            attention.sight = Sight::Window(config.size("sliding_window")?);
        }
    }
    Ok(())
}

/// What `layer_types` calls each layer, as its place among the `known` names.
pub fn layer_types(
    config: &Config,
    layers: usize,
    known: [&str; 2],
) -> Result<Option<Vec<usize>>, ModelError> {
    let Some(types) = config.texts_or_none("layer_types")? else {
        return Ok(None);
    };
    if types.len() != layers {
        let problem = format!(
            "has {} entries: expected one for each of the {layers} layers",
            types.len(),
        );
        return Err(config.error("layer_types", problem));
    }
    let place = |kind: &String| {
        known.iter().position(|known| known == kind).ok_or_else(|| {
            let [first, second] = known;
            let problem = format!("has the entry \"{kind}\": expected \"{first}\" or \"{second}\"");
            config.error("layer_types", problem)
        })
    };
    types.iter().map(place).collect::<Result<_, _>>().map(Some)
}

/// Positions from `rope_theta` and `rope_scaling`, or from `rope_parameters`,
/// where transformers 5 keeps both.
pub fn rope(config: &Config, default_base: f64, context: usize) -> Result<RopeSpec, ModelError> {
    let nested = config.object_or_none("rope_parameters")?;
    let base = match &nested {
        Some(nested) if nested.get("rope_theta").is_some() => nested.positive("rope_theta")?,
        _ if config.get("rope_theta").is_some() => config.positive("rope_theta")?,
        _ => default_base,
    };
    let scaling = match config.object_or_none("rope_scaling")?.or(nested) {
        Some(mut scaling) => {
            // Phi keeps it outside.
            let original = "original_max_position_embeddings";
            if let Some(length) = config.get(original) {
                scaling.default(original, length.clone());
            }
            rope_scaling(&scaling, context)?
        }
        None => RopeScaling::None,
    };
    Ok(RopeSpec {
        base,
        dims: None,
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
        // Of several axes text has but one.
        "default" | "mrope" => RopeScaling::None,
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
        "longrope" | "su" => long_rope(config, context)?,
        "yarn" | "deepseek_yarn" => RopeScaling::Yarn {
            factor: config.positive("factor")?,
            original_context: number_or("original_max_position_embeddings", 4096.0)?,
            beta_fast: number_or("beta_fast", 32.0)?,
            beta_slow: number_or("beta_slow", 1.0)?,
            mscale: number_or("mscale", 1.0)?,
            mscale_all_dim: number_or("mscale_all_dim", 0.0)?,
        },
        other => {
            let problem = format!(
                "is \"{other}\": expected \"default\", \"linear\", \"dynamic\", \"llama3\", \"longrope\" or \"yarn\""
            );
            return Err(config.error(key, problem));
        }
    })
}

/// LongRoPE for models that reach `context`: only its factors for long chats
/// are used, as in mlx-lm.
pub fn long_rope(config: &Config, context: usize) -> Result<RopeScaling, ModelError> {
    let original = config.size_or_none("original_max_position_embeddings")?;
    let original = original.unwrap_or(4096) as f64;
    let stretch = context as f64 / original;
    let magnitude = match stretch > 1.0 {
        true => (1.0 + stretch.ln() / original.ln()).sqrt(),
        false => 1.0,
    };
    let factors = match config.get("long_factor") {
        Some(Value::Array(_)) => config.numbers("long_factor")?,
        Some(_) => vec![config.positive("long_factor")?],
        None => vec![1.0],
    };
    Ok(RopeScaling::Long { factors, magnitude })
}

/// Latent attention as DeepSeek describes it, heads giving `value_dim` numbers.
pub fn mla(config: &Config, rope: RopeSpec, value_dim: usize) -> Result<MlaSpec, ModelError> {
    let plain_dim = config.size("qk_nope_head_dim")?;
    let rope_dim = config.size("qk_rope_head_dim")?;
    if rope_dim % 2 != 0 {
        let problem = format!("is {rope_dim}: rotary positions need an even size");
        return Err(config.error("qk_rope_head_dim", problem));
    }
    let growth = match rope.scaling {
        RopeScaling::Yarn {
            factor,
            mscale_all_dim,
            ..
        } if mscale_all_dim != 0.0 => yarn_magnitude(factor, mscale_all_dim),
        _ => 1.0,
    };
    Ok(MlaSpec {
        heads: config.size("num_attention_heads")?,
        query_rank: config.size_or_none("q_lora_rank")?,
        kv_rank: config.size("kv_lora_rank")?,
        plain_dim,
        rope_dim,
        value_dim,
        bias: config.flag_or("attention_bias", false)?,
        norm_eps: 1e-6,
        rope: Some(rope),
        scale: growth * growth / ((plain_dim + rope_dim) as f64).sqrt(),
    })
}

/// Gives the norms of latents the epsilon of all others.
pub fn like_other_norms(spec: &mut ModelSpec) {
    let eps = spec.norm.eps;
    for layer in &mut spec.layers {
        if let Some(MixerSpec::Mla(mla)) = &mut layer.mixer {
            mla.norm_eps = eps;
        }
    }
}

/// A truth value, or 0 or 1, for each layer.
pub fn layer_flags(config: &Config, key: &str, layers: usize) -> Result<Vec<bool>, ModelError> {
    let flag = |value: &Value| value.as_bool().or(value.as_f64().map(|n| n == 1.0));
    let list = config.get(key).and_then(Value::as_array);
    let flags = list.and_then(|list| list.iter().map(flag).collect::<Option<Vec<bool>>>());
    flags.filter(|flags| flags.len() == layers).ok_or_else(|| {
        let problem = format!("is not a list of {layers} truth values, one for each layer");
        config.error(key, problem)
    })
}

/// The part of a config.json that describes the language model.
pub fn text_part(config: &Config) -> Result<Config, ModelError> {
    let part = config.object_or_none("text_config")?;
    Ok(part.unwrap_or_else(|| config.clone()))
}

/// Numbers of a head that are rotated, `partial_rotary_factor` of them or else
/// the share `default`.
pub fn rotated(config: &Config, head_dim: usize, default: f64) -> Result<usize, ModelError> {
    let key = "partial_rotary_factor";
    let nested = config.object_or_none("rope_parameters")?;
    let nested = nested
        .map(|nested| nested.number_or_none(key))
        .transpose()?;
    let factor = nested.flatten().or(config.number_or_none(key)?);
    Ok((head_dim as f64 * factor.unwrap_or(default)) as usize)
}

/// Mamba 2 as hybrids describe it, its tensors in `module`.
pub fn mamba(config: &Config, module: &'static str) -> Result<Mamba2Spec, ModelError> {
    let bias = config.flag_or("mamba_proj_bias", false)?;
    Ok(Mamba2Spec {
        module,
        heads: config.size("mamba_n_heads")?,
        head_dim: config.size("mamba_d_head")?,
        groups: config.size("mamba_n_groups")?,
        state: config.size("mamba_d_state")?,
        kernel: config.size("mamba_d_conv")?,
        in_bias: bias,
        out_bias: bias,
        conv_bias: config.flag_or("mamba_conv_bias", true)?,
        step_limit: step_limit(config)?,
        norm_groups: Some(1),
        converted: false,
    })
}

/// Least and most of a time step.
pub fn step_limit(config: &Config) -> Result<(f32, f32), ModelError> {
    let key = "time_step_limit";
    match config.get(key) {
        None => Ok((0.001, 100.0)),
        Some(_) => match config.numbers(key)?[..] {
            [least, most] => Ok((least as f32, most as f32)),
            _ => Err(config.error(key, "has not two entries")),
        },
    }
}
