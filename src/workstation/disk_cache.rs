//! The keys and values that are stored for later starts, as people see them.
//! Needs no engine: other programs may use the folder at the same time.

use super::{ModelUsage, Paths, Swept, WorkstationError};
use crate::cache::disk::Folder;

/// What is stored, by model, the largest first.
///
/// # Errors
/// When the folder is there and cannot be read.
pub fn stored_models(paths: &Paths) -> Result<Vec<ModelUsage>, WorkstationError> {
    let folder = Folder::new(paths.kv_pages.clone());
    folder.usage().map_err(|error| failed(paths, &error))
}

/// Removes what is stored of the models with this id, or of all. A model may
/// also be named by its folder.
///
/// # Errors
/// When there is nothing of that name, or it cannot be removed.
pub fn clear_cache(paths: &Paths, model: Option<&str>) -> Result<Swept, WorkstationError> {
    let wanted = |usage: &ModelUsage| model.is_none_or(|id| usage.id == id || usage.key == id);
    let stored = stored_models(paths)?;
    if let Some(id) = model.filter(|_| !stored.iter().any(wanted)) {
        return Err(WorkstationError::BadRequest(format!(
            "nothing is stored of a model `{id}`. `maquette cache stats` lists what there is."
        )));
    }
    let folder = Folder::new(paths.kv_pages.clone());
    folder.clear(wanted).map_err(|error| failed(paths, &error))
}

fn failed(paths: &Paths, error: &std::io::Error) -> WorkstationError {
    WorkstationError::Storage(format!(
        "{}: {error}. Change the folder's owner or rights, or remove it.",
        paths.kv_pages.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::PageHash;

    #[test]
    fn models_are_cleared_by_their_id() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path());
        assert!(stored_models(&paths).unwrap().is_empty());
        assert_eq!(clear_cache(&paths, None).unwrap().pages, 0);
        let folder = Folder::new(paths.kv_pages.clone());
        for (key, id) in [("aa", "one"), ("bb", "two")] {
            folder.name(key, id).unwrap();
            folder.write(key, PageHash([1; 16]), &[b"page"]).unwrap();
        }
        assert!(clear_cache(&paths, Some("three")).is_err());
        assert_eq!(clear_cache(&paths, Some("one")).unwrap().bytes, 4);
        assert_eq!(stored_models(&paths).unwrap()[0].id, "two");
        assert_eq!(clear_cache(&paths, None).unwrap().pages, 1);
    }
}
