//! Nemotron-H and Nemotron 3: every layer is Mamba 2, attention without
//! positions, a plain MLP, or a choice among plain experts, which may see a
//! narrower latent.

use serde_json::Value;

use super::{common, deepseek_v3};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{
        Activation, LayerSpec, Mamba2Spec, MixerSpec, MlpSpec, MoeNames, MoeSpec, Names, PlainSpec,
        SharedSpec,
    },
};

const NAMES: Names = Names {
    embedding: "backbone.embeddings",
    norm: "backbone.norm_f",
    layer: "backbone.layers.{}",
    before_mixer: "norm",
    before_mlp: "norm",
    qkv: ["mixer.q_proj", "mixer.k_proj", "mixer.v_proj"],
    output: "mixer.o_proj",
    plain: ["mixer.up_proj", "mixer.down_proj"],
    ..Names::LLAMA
};
const EXPERTS: MoeNames = MoeNames {
    router: "mixer.gate",
    correction: "mixer.gate.e_score_correction_bias",
    stacked: ["", "mixer.switch_mlp.fc1", "mixer.switch_mlp.fc2"],
    each: ["", "mixer.experts.{}.up_proj", "mixer.experts.{}.down_proj"],
    shared: [
        "",
        "mixer.shared_experts.up_proj",
        "mixer.shared_experts.down_proj",
    ],
    latent: ["mixer.fc1_latent_proj", "mixer.fc2_latent_proj"],
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let kinds = kinds(config)?;
    let mut config = config.clone();
    config.remove("num_hidden_layers");
    config.default("num_hidden_layers", kinds.len().into());
    let keys = common::Keys {
        norm_eps: "layer_norm_epsilon",
        intermediate: None,
    };
    let mut spec = common::decoder_with(&config, 131_072, 10_000.0, keys)?;
    let head_dim = common::head_dim(&config, &spec)?;
    let bias = config.flag_or("attention_bias", false)?;
    for attention in spec.attentions_mut() {
        (attention.head_dim, attention.rope) = (head_dim, None);
        (attention.qkv_bias, attention.output_bias) = (bias, bias);
    }
    for (layer, kind) in spec.layers.iter_mut().zip(kinds) {
        *layer = match kind {
            'M' => LayerSpec::mixing(MixerSpec::Mamba2(mamba(&config)?)),
            '*' => LayerSpec {
                mlp: None,
                ..layer.clone()
            },
            other => LayerSpec {
                mixer: None,
                mlp: Some(mlp(&config, other)?),
                norms: None,
            },
        };
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    spec.names = NAMES;
    Ok(spec)
}

/// What each layer is, as a letter: `M`, `*`, `-` or `E`.
fn kinds(config: &Config) -> Result<Vec<char>, ModelError> {
    let key = "hybrid_override_pattern";
    let letters: String = match config.get(key) {
        Some(Value::String(letters)) => letters.clone(),
        Some(_) => config.texts_or_none(key)?.unwrap_or_default().concat(),
        None => named_kinds(config)?,
    };
    match letters.chars().find(|kind| !"M*-E".contains(*kind)) {
        Some(other) => {
            let problem =
                format!("has the entry \"{other}\": expected \"M\", \"*\", \"-\" or \"E\"");
            Err(config.error(key, problem))
        }
        None if letters.is_empty() => Err(config.error(key, "is missing")),
        None => Ok(letters.chars().collect()),
    }
}

/// The same where config.json has names for them.
fn named_kinds(config: &Config) -> Result<String, ModelError> {
    let key = match config.get("layers_block_type") {
        Some(_) => "layers_block_type",
        None => "layer_types",
    };
    let names = config.texts_or_none(key)?.unwrap_or_default();
    let letter = |name: &String| match name.as_str() {
        "full_attention" | "attention" => Ok('*'),
        "linear_attention" | "mamba" | "conv" => Ok('M'),
        "moe" => Ok('E'),
        "mlp" => Ok('-'),
        other => Err(config.error(key, format!("has the unknown entry \"{other}\""))),
    };
    names.iter().map(letter).collect()
}

fn mamba(config: &Config) -> Result<Mamba2Spec, ModelError> {
    let bias = config.flag_or("mamba_proj_bias", false)?;
    let groups = config.size("n_groups")?;
    Ok(Mamba2Spec {
        module: "mixer",
        heads: config.size("mamba_num_heads")?,
        head_dim: config.size("mamba_head_dim")?,
        groups,
        state: config.size("ssm_state_size")?,
        kernel: config.size("conv_kernel")?,
        in_bias: bias,
        out_bias: bias,
        conv_bias: config.flag_or("use_conv_bias", true)?,
        step_limit: match config.get("time_step_limit") {
            Some(_) => common::step_limit(config)?,
            None => (0.0, f32::INFINITY),
        },
        norm_groups: Some(groups),
        converted: false,
    })
}

fn mlp(config: &Config, kind: char) -> Result<MlpSpec, ModelError> {
    let (activation, bias) = (Activation::SquaredRelu, config.flag_or("mlp_bias", false)?);
    if kind == '-' {
        return Ok(MlpSpec::Plain(PlainSpec {
            intermediate: config.size("intermediate_size")?,
            bias,
            activation,
        }));
    }
    if bias {
        return Err(config.error("mlp_bias", "is true: experts with biases are not known"));
    }
    let shared = match config.count_or_none("n_shared_experts")?.unwrap_or(0) {
        0 => None,
        _ => Some(SharedSpec {
            activation,
            ..SharedSpec::new(config.size("moe_shared_expert_intermediate_size")?)
        }),
    };
    let width = "moe_intermediate_size";
    Ok(MlpSpec::Moe(MoeSpec {
        activation,
        gated: false,
        latent: config.size_or_none("moe_latent_size")?,
        routing: deepseek_v3::routing(config)?,
        shared,
        ..common::moe(config, "n_routed_experts", width, &EXPERTS)?
    }))
}
