//! `maquette convert`: a model as its makers published it, made into one that
//! MLX programs load.
//!
//! A folder that was begun and not finished has no config.json, so that nothing
//! takes it for a model.

use std::{
    io::{IsTerminal, stderr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    args::ConvertArgs,
    output::{self, CliError, note},
    start::{headless, with_workstation},
    table,
};
use crate::{
    mlx::Dtype,
    models::{self, ConvertOptions, Converted, Recipe, weights::Affine},
    workstation::Workstation,
};

/// Weights that share a scale, unless it is said otherwise.
const GROUP: usize = 64;
/// How often the progress is shown.
const FRAME: Duration = Duration::from_millis(200);

/// Converts and says what came of it.
pub async fn run(args: ConvertArgs) -> Result<(), CliError> {
    let options = options(&args)?;
    let started = headless(None)?;
    with_workstation(started, async |workstation| {
        let source = source(workstation, &args.source).await?;
        let (from, dest) = (source.clone(), args.dest.clone());
        let shows = stderr().is_terminal();
        let work = move || models::convert(&from, &dest, options, &mut bar(shows));
        let done = tokio::task::spawn_blocking(work).await;
        if shows {
            note("\r\x1b[K");
        }
        let failed = |error: String| CliError::Failed(error);
        let converted = done
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))?;
        tell(&args, &source, &converted)
    })
    .await
}

fn options(args: &ConvertArgs) -> Result<ConvertOptions, CliError> {
    let usage = |problem: String| CliError::Failed(problem);
    let recipe = match (&args.recipe, args.bits) {
        (Some(name), _) => Some(Recipe::Mixed(name.parse().map_err(usage)?)),
        (None, Some(bits)) => {
            let affine = Affine::new(bits, args.group.unwrap_or(GROUP));
            Some(Recipe::Uniform(affine.map_err(usage)?))
        }
        (None, None) => None,
    };
    let dtype = args.dtype.as_deref().map(|name| match name {
        "float16" => Dtype::Float16,
        "bfloat16" => Dtype::Bfloat16,
        _ => Dtype::Float32,
    });
    Ok(ConvertOptions { recipe, dtype })
}

/// The folder that was named, or that of the model in the library.
async fn source(workstation: &Workstation, wanted: &str) -> Result<PathBuf, CliError> {
    let path = Path::new(wanted);
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    let models = workstation.scanned_models().await;
    let known = models.iter().find(|entry| entry.id == wanted);
    known.map(|entry| entry.path.clone()).ok_or_else(|| {
        CliError::Failed(format!(
            "{wanted} is neither a folder nor a model of the library. `maquette models` lists those"
        ))
    })
}

fn bar(shows: bool) -> impl FnMut(f32) {
    let mut told = Instant::now();
    move |part| {
        if shows && told.elapsed() >= FRAME {
            told = Instant::now();
            note(format_args!("\r\x1b[K{:3.0} %", part * 100.0));
        }
    }
}

fn tell(args: &ConvertArgs, source: &Path, converted: &Converted) -> Result<(), CliError> {
    let dest = args.dest.display();
    if args.json {
        return output::json(&json!({
            "source": source, "path": args.dest, "bytes": converted.bytes,
            "source_bytes": converted.from_bytes, "bits_per_weight": converted.bits(),
        }));
    }
    output::line(format_args!(
        "{dest}: {} of {}, {:.2} bits a weight",
        table::bytes(converted.bytes),
        table::bytes(converted.from_bytes),
        converted.bits()
    ))
}
