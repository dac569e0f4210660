//! From a folder to a [`Model`].

use std::path::Path;

use mlx_rs::Dtype;
use safetensors::Dtype as FileDtype;

use super::{
    Config, Model, ModelError, ModelSpec,
    blocks::Precision,
    build::build,
    families,
    weights::{FileSource, Quantisation, WeightFiles},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// Look at every number for NaN and infinity; costs about one more pass
    /// over the dense weights.
    pub check_finite: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { check_finite: true }
    }
}

/// Loads the model in `folder`; `progress` is told the part done, up to 1. The
/// model belongs to the calling thread.
///
/// # Errors
/// When the folder, its config.json or a tensor is not what it should be.
pub fn load(
    folder: &Path,
    options: &LoadOptions,
    progress: &mut dyn FnMut(f32),
) -> Result<Model, ModelError> {
    let config = Config::read(&folder.join("config.json"))?;
    let (spec, files) = describe_stored(folder, &config)?;
    let quantisation = Quantisation::read(&config)?;
    let stored = stored_dtype(&files, &spec);
    let label = label(&files, &spec, &quantisation);
    let precision = Precision::new(stored);
    let mut source = FileSource::open(
        &files,
        &quantisation,
        precision,
        options.check_finite,
        progress,
    )?;
    let model = build(spec, precision, label, &mut source)?;
    let extra = extra_layers(&config)?;
    source.finish(|name| is_beside(name, model.spec(), extra))?;
    Ok(model)
}

/// Layers beyond the last, which guess several tokens at once.
pub(super) fn extra_layers(config: &Config) -> Result<usize, ModelError> {
    let key = "num_nextn_predict_layers";
    let text = config.object_or_none("text_config")?;
    let own = text
        .map(|text| text.count_or_none(key))
        .transpose()?
        .flatten();
    Ok(own.or(config.count_or_none(key)?).unwrap_or(0))
}

/// The model of a folder's config.json, and the files of its weights.
pub(super) fn describe_stored(
    folder: &Path,
    config: &Config,
) -> Result<(ModelSpec, WeightFiles), ModelError> {
    let mut spec = families::describe(config)?;
    let files = WeightFiles::open(folder)?.also(&spec.names);
    let head = format!("{}.weight", spec.names.head);
    // Whoever says nothing means that they are tied, as transformers has it.
    let may_be = config.flag_or("tie_word_embeddings", true)?;
    spec.tied |= may_be && files.resolve(&head).is_none();
    Ok((spec, files))
}

/// Tensors that a folder may have and a language model does not use: rotations
/// that are computed, a head that the embedding stands in for, vision, and
/// `extra` layers beyond the last that guess several tokens at once.
pub(super) fn is_beside(name: &str, spec: &ModelSpec, extra: usize) -> bool {
    const PARTS: [&str; 15] = [
        "vision_tower.",
        "vision_model.",
        "visual.",
        "multi_modal_projector.",
        "audio_tower.",
        "embed_audio.",
        "embed_vision.",
        "vision_embedder.",
        "mm_projector.",
        "mtp.",
        "mtp_layers.",
        "mtp_block.",
        "mtp_emb_norm.",
        "mtp_hidden_norm.",
        "mtp_linear_proj.",
    ];
    let head = format!("{}.", spec.names.head);
    let own = name.strip_prefix("model.").unwrap_or(name);
    let count = spec.layers.len();
    let is_extra = |layer: usize| name.starts_with(&spec.names.in_layer(layer, ""));
    const BUFFERS: [&str; 9] = [
        // Of activations and of keys and values, where those are quantised too.
        ".input_scale",
        ".activation_scale",
        ".k_scale",
        ".v_scale",
        "rotary_emb.inv_freq",
        ".attention.bias",
        ".attention.masked_bias",
        ".attn.bias",
        ".attn.masked_bias",
    ];
    // Layers that look at another's keys may come with such all the same.
    let sharing = spec.layers.iter().enumerate().filter(|(_, layer)| {
        let attention = layer.attention();
        attention.is_some_and(|attention| attention.shares.is_some())
    });
    let [_, key, value] = spec.names.qkv;
    let mut unused = sharing.flat_map(|(index, _)| {
        [key, value, spec.names.k_norm].map(|part| spec.names.in_layer(index, part) + ".")
    });
    let short = |part: String| part.strip_prefix("model.").unwrap_or(&part).to_owned();
    if unused.any(|part| name.contains(&short(part))) {
        return true;
    }
    BUFFERS.iter().any(|end| name.ends_with(end))
        || (spec.tied && (name.starts_with(&head) || name.contains(&format!(".{head}"))))
        || PARTS.iter().any(|part| own.starts_with(part))
        || (count..count + extra).any(is_extra)
}

/// The type of the embedding, or of its scales.
pub(super) fn stored_dtype(files: &WeightFiles, spec: &ModelSpec) -> Dtype {
    let dtype = |part: &str| {
        let name = format!("{}.{part}", spec.names.embedding);
        files.get(files.resolve(&name)?).map(|info| info.dtype)
    };
    match dtype("scales").or_else(|| dtype("weight")) {
        Some(FileDtype::F16) => Dtype::Float16,
        Some(FileDtype::BF16) => Dtype::Bfloat16,
        _ => Dtype::Float32,
    }
}

/// How most weights are stored: "bf16", "4-bit g64", "4-bit g64, mixed".
pub(super) fn label(files: &WeightFiles, spec: &ModelSpec, quantisation: &Quantisation) -> String {
    match quantisation.general {
        Some(packing) if quantisation.is_mixed() => format!("{packing}, mixed"),
        Some(packing) => packing.to_string(),
        None => match stored_dtype(files, spec) {
            Dtype::Float16 => "f16",
            Dtype::Bfloat16 => "bf16",
            _ => "f32",
        }
        .to_owned(),
    }
}
