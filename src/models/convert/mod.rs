//! Makes a model folder that MLX programs load of one as its makers published
//! it: matrices quantised, tensors named and laid out as converted models have
//! them, a tensor at a time.
//!
//! Not responsible for models that are quantised already. Invariant: a folder
//! has its config.json only when all of it is written.

mod recipe;
mod shards;
mod source;

use std::{
    fs,
    path::{Path, PathBuf},
};

use mlx_rs::Dtype;
use serde_json::{Map, Value, json};

pub use recipe::{MIXED, Mixed, Recipe};
use shards::{Shards, unwritten};
use source::{Converter, Output};

use super::{
    Config, ModelError, ModelSpec,
    blocks::Precision,
    build::build,
    config::read_json,
    load::{describe_stored, extra_layers, is_beside, stored_dtype},
    weights::{Affine, FileSource, Quantisation, WeightFiles},
};

/// What to make of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ConvertOptions {
    /// `None`: matrices stay floats.
    pub recipe: Option<Recipe>,
    /// Of floats; `None`: as they are stored.
    pub dtype: Option<Dtype>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// Bytes of all tensors, and of those they were made of.
    pub bytes: u64,
    pub from_bytes: u64,
    pub parameters: u64,
}

impl Converted {
    /// Bits that a parameter takes, scales and all.
    pub fn bits(&self) -> f64 {
        self.bytes as f64 * 8.0 / (self.parameters as f64).max(1.0)
    }
}

/// Converts the model in `source` into the new folder `dest`; `progress` is told
/// the part done, up to 1.
///
/// # Errors
/// When there is something at `dest`, the model cannot be loaded or is
/// quantised already, or the disk refuses.
pub fn convert(
    source: &Path,
    dest: &Path,
    options: ConvertOptions,
    progress: &mut dyn FnMut(f32),
) -> Result<Converted, ModelError> {
    let config = Config::read(&source.join("config.json"))?;
    let quantisation = Quantisation::read(&config)?;
    if let Some(packing) = quantisation.general {
        let problem = format!(
            "says that the model is quantised already ({packing}). Convert the one that it was made from"
        );
        return Err(config.error("quantization", problem));
    }
    let (spec, files) = describe_stored(source, &config)?;
    let stored = stored_dtype(&files, &spec);
    make_folder(dest)?;
    let run = |output, progress: &mut dyn FnMut(f32)| {
        let precision = Precision::as_is(stored);
        let mut converter = Converter {
            spec: &spec,
            files: FileSource::open(&files, &quantisation, precision, true, progress)?,
            recipe: options.recipe,
            dtype: options.dtype.unwrap_or(stored),
            prefix: prefix(&files, &spec),
            output,
            others: Vec::new(),
        };
        // Only what it asks for is of use.
        build(spec.clone(), precision, String::new(), &mut converter)?;
        let extra = extra_layers(&config)?;
        let Converter {
            files,
            output,
            others,
            ..
        } = converter;
        files.finish(|name| is_beside(name, &spec, extra))?;
        Ok::<_, ModelError>((output, others))
    };
    let (Output::Plan(plan), _) = run(Output::Plan(Vec::new()), &mut |_| {})? else {
        return Err(unplanned(dest));
    };
    let shards = Shards::new(dest, plan);
    let bytes = shards.bytes();
    let (Output::Write(shards), others) = run(Output::Write(shards), progress)? else {
        return Err(unplanned(dest));
    };
    shards.finish()?;
    copy_others(source, dest)?;
    write_config(source, dest, options, &others)?;
    Ok(Converted {
        bytes,
        from_bytes: files.bytes(),
        parameters: spec.parameters(),
    })
}

fn unplanned(dest: &Path) -> ModelError {
    ModelError::Unwritten {
        path: dest.to_owned(),
        reason: "nothing was planned".into(),
    }
}

/// What converted models with vision have before every name.
fn prefix(files: &WeightFiles, spec: &ModelSpec) -> &'static str {
    let embedding = format!("{}.weight", spec.names.embedding);
    match files.resolve(&embedding) {
        Some(name) if name.contains("language_model.") => "language_model.",
        _ => "",
    }
}

fn make_folder(dest: &Path) -> Result<(), ModelError> {
    let failed = |error| unwritten(dest, &error);
    fs::create_dir_all(dest).map_err(failed)?;
    let mut entries = fs::read_dir(dest).map_err(failed)?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(ModelError::Unwritten {
            path: dest.to_owned(),
            reason: "the folder is not empty. Name a new one".into(),
        }),
    }
}

/// Tokenizer, templates and texts.
fn copy_others(source: &Path, dest: &Path) -> Result<(), ModelError> {
    const WEIGHTS: [&str; 7] = ["safetensors", "bin", "pt", "pth", "gguf", "h5", "msgpack"];
    let entries = fs::read_dir(source).map_err(|error| unwritten(source, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| unwritten(source, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let is_weight = WEIGHTS.contains(&&*extension) || name.ends_with(".index.json");
        if !path.is_file() || is_weight || name == "config.json" || name.starts_with('.') {
            continue;
        }
        let to: PathBuf = dest.join(&*name);
        fs::copy(&path, &to).map_err(|error| unwritten(&to, &error))?;
    }
    Ok(())
}

fn write_config(
    source: &Path,
    dest: &Path,
    options: ConvertOptions,
    others: &[(String, Affine)],
) -> Result<(), ModelError> {
    let mut config = read_json(&source.join("config.json"))?;
    let settings = |affine: Affine| {
        let mut settings = Map::new();
        settings.insert("group_size".into(), json!(affine.group));
        settings.insert("bits".into(), json!(affine.bits));
        settings.insert("mode".into(), json!("affine"));
        settings
    };
    if let (Some(recipe), Value::Object(config)) = (options.recipe, &mut config) {
        let mut all = settings(recipe.general());
        for (module, affine) in others {
            all.insert(module.clone(), Value::Object(settings(*affine)));
        }
        // Older programs look under the second name.
        config.insert("quantization".into(), Value::Object(all.clone()));
        config.insert("quantization_config".into(), Value::Object(all));
    }
    let path = dest.join("config.json");
    fs::write(&path, format!("{config:#}\n")).map_err(|error| unwritten(&path, &error))
}
