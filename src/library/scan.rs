//! Finds the models on this machine.
//!
//! A folder is a model when it has config.json and safetensors. One that lacks
//! something is listed with its problem rather than hidden: its owner looks
//! for it.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use super::{Fit, ModelEntry, Origin, TemplateFacts, guide_folder};
use crate::{
    config::{Paths, huggingface_cache},
    models,
};

/// The context that the fit is estimated for, in tokens.
const FIT_CONTEXT: usize = 8192;

/// Room to work besides weights and keys and values: at least this, and a
/// tenth of the weights.
const WORK_AT_LEAST: u64 = 256 << 20;

/// Folders inside a models folder are looked at this deep: `org/name`.
const DEPTH: usize = 2;

/// What an estimate needs to know of device and engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that models may take.
    pub available: u64,
    /// Bytes of one number in the cache of keys and values.
    pub kv_number: u64,
}

/// Every model, the ready ones first: the guide, then those that fit, then the
/// rest, each by id. Reads config files and headers, never weights; takes
/// milliseconds a model, so keep it off the screen's thread.
pub fn scan(paths: &Paths, folders: &[PathBuf], room: Room) -> Vec<ModelEntry> {
    let mut found = Vec::new();
    match guide_folder(paths) {
        Ok(folder) => found.push(Found::new(folder, Origin::Guide, "guide".into())),
        Err(error) => tracing::warn!(%error, "the guide is not there"),
    }
    models_below(&paths.models, Origin::Models, &mut found);
    huggingface_models(&huggingface_cache(), &mut found);
    for folder in folders {
        extra_folder(&expand(folder), &mut found);
    }
    let mut entries: Vec<_> = found.into_iter().map(|it| it.inspect(room)).collect();
    make_unique(&mut entries);
    entries.sort_by_cached_key(|entry| {
        let ready = entry.supported && entry.problem.is_none();
        let rank = (entry.origin != Origin::Guide, !ready, !entry.fit.fits());
        (rank, entry.id.to_lowercase())
    });
    entries
}

/// A folder outside the known places, described like those within. Its id is
/// its path.
pub fn describe_folder(folder: &Path, room: Room) -> ModelEntry {
    let id = folder.display().to_string();
    Found::new(folder.to_owned(), Origin::Folder, id).inspect(room)
}

struct Found {
    path: PathBuf,
    origin: Origin,
    id: String,
    /// Known before the folder is read.
    problem: Option<String>,
}

impl Found {
    fn new(path: PathBuf, origin: Origin, id: String) -> Self {
        Self {
            path,
            origin,
            id,
            problem: None,
        }
    }

    fn inspect(self, room: Room) -> ModelEntry {
        let mut entry = ModelEntry {
            template: template(&self.path),
            id: self.id,
            origin: self.origin,
            problem: self.problem,
            ..ModelEntry::default()
        };
        match models::inspect(&self.path) {
            Ok(facts) => {
                entry.fit = fit(&facts, room);
                entry.problem = entry.problem.or(facts.problem);
                entry.supported = facts.layers > 0;
                entry.family = facts.family;
                entry.parameters = facts.parameters;
                entry.quantisation = facts.quantisation;
                entry.weight_bytes = facts.weight_bytes;
                entry.context_length = facts.context_length;
            }
            Err(error) => entry.problem = entry.problem.or(Some(error.to_string())),
        }
        if entry.problem.is_none() && !self.path.join("tokenizer.json").is_file() {
            entry.problem = Some(format!(
                "{} has no tokenizer.json. Download the model again.",
                self.path.display()
            ));
        }
        entry.path = self.path;
        entry
    }
}

fn fit(facts: &models::ModelFacts, room: Room) -> Fit {
    let context = FIT_CONTEXT.min(facts.context_length);
    let kv = (facts.kv_numbers_per_token as u64)
        .saturating_mul(context as u64)
        .saturating_mul(room.kv_number);
    let work = WORK_AT_LEAST.max(facts.weight_bytes / 10);
    let work = if facts.weight_bytes == 0 { 0 } else { work };
    Fit {
        needed: facts.weight_bytes.saturating_add(kv).saturating_add(work),
        available: room.available,
        weights: facts.weight_bytes,
        kv,
        work,
        context,
    }
}

/// The models in a folder of the settings: itself one, a Hugging Face cache,
/// or a folder of models.
fn extra_folder(folder: &Path, found: &mut Vec<Found>) {
    if is_model(folder) {
        found.push(Found::new(folder.to_owned(), Origin::Folder, name(folder)));
    } else if folder.is_dir() {
        models_below(folder, Origin::Folder, found);
        huggingface_models(folder, found);
    } else {
        tracing::warn!(folder = %folder.display(), "a folder of library.folders does not exist");
    }
}

/// `name` and `org/name` below a folder of models.
fn models_below(folder: &Path, origin: Origin, found: &mut Vec<Found>) {
    walk(folder, &mut Vec::new(), origin, found);
}

fn walk(folder: &Path, names: &mut Vec<String>, origin: Origin, found: &mut Vec<Found>) {
    for path in subfolders(folder) {
        let last = name(&path);
        if last.starts_with("models--") {
            continue;
        }
        names.push(last);
        if is_model(&path) {
            found.push(Found::new(path, origin, names.join("/")));
        } else if names.len() < DEPTH {
            walk(&path, names, origin, found);
        }
        names.pop();
    }
}

/// `models--org--name/snapshots/<revision>`, the revision that `refs/main`
/// names, or else the newest.
fn huggingface_models(cache: &Path, found: &mut Vec<Found>) {
    for folder in subfolders(cache) {
        let folder_name = name(&folder);
        let Some(id) = folder_name.strip_prefix("models--") else {
            continue;
        };
        let id = id.replacen("--", "/", 1);
        if let Some(snapshot) = snapshot(&folder) {
            // Repositories of other kinds of models have no such files.
            if is_model(&snapshot) || snapshot.join("config.json").exists() {
                let mut entry = Found::new(snapshot, Origin::HuggingFace, id);
                if has_unfinished(&folder) && !is_model(&entry.path) {
                    entry.problem = Some(format!(
                        "its download is not complete. Go on with `maquette pull {}`.",
                        entry.id
                    ));
                }
                found.push(entry);
            }
        }
    }
}

fn snapshot(repository: &Path) -> Option<PathBuf> {
    let snapshots = repository.join("snapshots");
    let named = fs::read_to_string(repository.join("refs/main"))
        .ok()
        .map(|revision| snapshots.join(revision.trim()))
        .filter(|path| path.is_dir() && *path != snapshots);
    let changed = |path: &PathBuf| fs::metadata(path).and_then(|it| it.modified()).ok();
    named.or_else(|| subfolders(&snapshots).into_iter().max_by_key(changed))
}

fn has_unfinished(repository: &Path) -> bool {
    let blobs = fs::read_dir(repository.join("blobs"));
    let mut blobs = blobs.into_iter().flatten().filter_map(Result::ok);
    blobs.any(|blob| blob.file_name().to_string_lossy().ends_with(".incomplete"))
}

/// Whether a folder is meant to be a model: it has config.json and weights.
fn is_model(folder: &Path) -> bool {
    if fs::symlink_metadata(folder.join("config.json")).is_err() {
        return false;
    }
    let files = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    files
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .any(|name| name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json"))
}

/// The folders inside a folder, links followed, by name.
fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut folders: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// `~` at the start is the home folder.
fn expand(folder: &Path) -> PathBuf {
    let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
    match (folder.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => folder.to_owned(),
    }
}

/// Gives a second model of the same name a name of its own. The same folder
/// found twice is listed once.
fn make_unique(entries: &mut Vec<ModelEntry>) {
    let mut seen = std::collections::HashSet::new();
    entries.retain(|entry| {
        let path = fs::canonicalize(&entry.path).unwrap_or_else(|_| entry.path.clone());
        seen.insert(path)
    });
    let mut taken: HashMap<String, usize> = HashMap::new();
    for entry in entries {
        let count = taken.entry(entry.id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            entry.id = format!("{}#{count}", entry.id);
        }
    }
}

/// What the chat template can carry, from its text.
fn template(folder: &Path) -> TemplateFacts {
    let own = fs::read_to_string(folder.join("chat_template.jinja")).ok();
    let text = own.or_else(|| {
        let config = fs::read(folder.join("tokenizer_config.json")).ok()?;
        let config: serde_json::Value = serde_json::from_slice(&config).ok()?;
        // A text, or a list of named templates.
        Some(config.get("chat_template")?.to_string())
    });
    let text = text.unwrap_or_default();
    TemplateFacts {
        present: !text.is_empty() && text != "null",
        tools: text.contains("tools"),
        thinking: text.contains("<think>") || text.contains("enable_thinking"),
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
