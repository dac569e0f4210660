//! Which model is in use, and how another takes its place.
//!
//! Invariant: between finding the model that a request names and handing the
//! request to the engine no other model can take its place. Requests hold the
//! gate shared for that moment; a change of models holds it alone.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::{ModelEntry, WorkstationError};
use crate::engine::{EngineError, EngineHandle, LoadedModel, ModelSource};

/// The id of the model that comes with Maquette.
pub const GUIDE: &str = "guide";

/// The model in use and the gate before it.
pub(super) struct Resident {
    engine: EngineHandle,
    gate: Arc<RwLock<()>>,
}

/// A model that stays in use while this lives.
pub(super) struct Held {
    pub model: Arc<LoadedModel>,
    _gate: OwnedRwLockReadGuard<()>,
}

impl Resident {
    pub fn new(engine: EngineHandle) -> Self {
        Self {
            engine,
            gate: Arc::default(),
        }
    }

    /// The model in use if `wanted` is its id or nothing.
    pub async fn held(&self, wanted: Option<&str>) -> Option<Held> {
        let gate = Arc::clone(&self.gate).read_owned().await;
        let model = self.fitting(wanted)?;
        Some(Held { model, _gate: gate })
    }

    /// Takes `source` into use, unless somebody else has done so meanwhile
    /// (`again` loads it even then). `draft` proposes tokens to it.
    pub async fn take(
        &self,
        source: ModelSource,
        draft: Option<ModelSource>,
        again: bool,
    ) -> Result<Held, WorkstationError> {
        let gate = Arc::clone(&self.gate).write_owned().await;
        if !again && let Some(model) = self.fitting(Some(source.id())) {
            let gate = OwnedRwLockWriteGuard::downgrade(gate);
            return Ok(Held { model, _gate: gate });
        }
        // On its own, so that a client that leaves does not open the gate
        // while the engine still loads.
        let engine = self.engine.clone();
        let loading = tokio::spawn(async move {
            let loaded = engine.load_with_draft(source, draft).await;
            (loaded, gate)
        });
        let (loaded, gate) = loading.await.map_err(|_| EngineError::Stopped)?;
        let model = loaded?;
        let gate = OwnedRwLockWriteGuard::downgrade(gate);
        Ok(Held { model, _gate: gate })
    }

    /// Frees the model in use.
    pub async fn release(&self) {
        let _gate = self.gate.write().await;
        self.engine.unload().await;
    }

    fn fitting(&self, wanted: Option<&str>) -> Option<Arc<LoadedModel>> {
        let model = self.engine.model().borrow().clone()?;
        wanted.is_none_or(|id| id == model.id).then_some(model)
    }
}

/// The entry's folder as a source, or why it cannot be one.
pub(super) fn source_of(entry: &ModelEntry) -> Result<ModelSource, WorkstationError> {
    match &entry.problem {
        Some(problem) => Err(EngineError::Load {
            id: entry.id.clone(),
            reason: problem.clone(),
        }
        .into()),
        None => Ok(ModelSource::Folder {
            id: entry.id.clone(),
            path: entry.path.clone(),
        }),
    }
}

/// A folder that somebody named; its own name becomes the model's id.
/// One that is on the list already keeps its id.
pub(super) fn source_at(
    path: &Path,
    models: &[ModelEntry],
) -> Result<ModelSource, WorkstationError> {
    let problem = |reason: &str| {
        Err(WorkstationError::BadRequest(format!(
            "{}: {reason}. A model is a folder with config.json, *.safetensors and tokenizer.json.",
            path.display()
        )))
    };
    let folder = match path.canonicalize() {
        Ok(folder) => folder,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return problem("there is no such folder");
        }
        Err(error) => return problem(&error.to_string()),
    };
    if !folder.is_dir() {
        return problem("this is not a folder");
    }
    if let Some(entry) = models.iter().find(|entry| entry.path == folder) {
        return source_of(entry);
    }
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    Ok(ModelSource::Folder {
        id: name.to_string_lossy().into_owned(),
        path: folder,
    })
}

/// Whether a name given for a model can only mean a path.
pub(super) fn is_path(name: &str) -> bool {
    let path = PathBuf::from(name);
    path.is_absolute() || name.starts_with("./") || name.starts_with("../") || path.is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_name_to_the_model() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("tiny");
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(source_at(&folder, &[]).unwrap().id(), "tiny");
        let missing = source_at(&home.path().join("none"), &[]).unwrap_err();
        assert!(missing.to_string().contains("no such folder"), "{missing}");
    }

    #[test]
    fn entries_with_problems_are_not_loaded() {
        let entry = ModelEntry {
            id: "x".into(),
            problem: Some("the weight file is truncated".into()),
            ..ModelEntry::default()
        };
        let error = source_of(&entry).unwrap_err();
        assert!(error.to_string().contains("truncated"), "{error}");
    }

    #[test]
    fn ids_are_told_from_paths() {
        assert!(is_path("/models/x"));
        assert!(is_path("./x"));
        assert!(!is_path("mlx-community/no-such-model-4bit"));
    }
}
