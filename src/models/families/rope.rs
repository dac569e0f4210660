//! Positions, as config.json files of many families have them.

use serde_json::Value;

use crate::models::{
    Config, ModelError,
    spec::{RopeScaling, RopeSpec},
};

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

/// Positions of layers of one kind, where `rope_parameters` has them by kind.
pub fn rope_of_kind(config: &Config, kind: &str, context: usize) -> Result<RopeSpec, ModelError> {
    let all = config.object_or_none("rope_parameters")?;
    let own = all
        .map(|all| all.object_or_none(kind))
        .transpose()?
        .flatten();
    let (base, scaling) = match own {
        None => (None, RopeScaling::None),
        Some(own) => {
            let base = own.get("rope_theta").map(|_| own.positive("rope_theta"));
            (base.transpose()?, rope_scaling(&own, context)?)
        }
    };
    Ok(RopeSpec {
        base: base.unwrap_or(10_000.0),
        dims: None,
        traditional: false,
        scaling,
    })
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
