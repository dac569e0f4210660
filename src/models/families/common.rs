//! What config.json files of many families share.

use serde_json::Value;

pub use super::rope::{long_rope, rope, rope_of_kind, rotated};
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
    MlpSpec::Gated(dense(intermediate))
}

pub fn dense(intermediate: usize) -> GatedSpec {
    GatedSpec {
        intermediate,
        bias: false,
        activation: Activation::Silu,
        layout: GateUpLayout::Apart,
    }
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
        identities: 0,
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
    kinds(config, "layer_types", layers, known)
}

/// What a list calls each layer, as its place among the `known` names.
pub fn kinds(
    config: &Config,
    key: &str,
    layers: usize,
    known: [&str; 2],
) -> Result<Option<Vec<usize>>, ModelError> {
    let Some(types) = config.texts_or_none(key)? else {
        return Ok(None);
    };
    if types.len() != layers {
        let problem = format!(
            "has {} entries: expected one for each of the {layers} layers",
            types.len(),
        );
        return Err(config.error(key, problem));
    }
    let place = |kind: &String| {
        known.iter().position(|known| known == kind).ok_or_else(|| {
            let [first, second] = known;
            let problem = format!("has the entry \"{kind}\": expected \"{first}\" or \"{second}\"");
            config.error(key, problem)
        })
    };
    types.iter().map(place).collect::<Result<_, _>>().map(Some)
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
        latent_scales: [1.0; 2],
        temperature: None,
        indexer: None,
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

/// The part of a config.json that describes the language model. What the whole
/// says about its head holds where the part is silent.
pub fn text_part(config: &Config) -> Result<Config, ModelError> {
    let Some(mut part) = config.object_or_none("text_config")? else {
        return Ok(config.clone());
    };
    for key in ["model_type", "tie_word_embeddings"] {
        if let Some(value) = config.get(key) {
            part.default(key, value.clone());
        }
    }
    Ok(part)
}

/// The language model of one that sees: `describe` gets its part of config.json.
pub fn of_text(
    config: &Config,
    describe: fn(&Config) -> Result<ModelSpec, ModelError>,
) -> Result<ModelSpec, ModelError> {
    let mut spec = describe(&text_part(config)?)?;
    config.text("model_type")?.clone_into(&mut spec.family);
    Ok(spec)
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
