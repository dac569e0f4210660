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
    let spec = families::describe(&config)?;
    let quantisation = Quantisation::read(&config)?;
    let files = WeightFiles::open(folder)?;
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
    let head = format!("{}.", spec.names.head);
    let tied = spec.tied;
    let model = build(spec, precision, label, &mut source)?;
    source.finish(|name| {
        name.ends_with("rotary_emb.inv_freq") || (tied && name.starts_with(&head))
    })?;
    Ok(model)
}

/// The type of the embedding, or of its scales.
fn stored_dtype(files: &WeightFiles, spec: &ModelSpec) -> Dtype {
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
        Some(affine) if quantisation.is_mixed() => format!("{affine}, mixed"),
        Some(affine) => affine.to_string(),
        None => match stored_dtype(files, spec) {
            Dtype::Float16 => "f16",
            Dtype::Bfloat16 => "bf16",
            _ => "f32",
        }
        .to_owned(),
    }
}
