//! The model that comes with Maquette: within the executable, and on disk once
//! it is needed.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use sha2::{Digest, Sha256};

use super::LibraryError;
use crate::config::{Paths, write_atomically};

/// A file of the guide and its bytes.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/guide/", $name)))),*]
    };
}

/// What the guide needs at run time; how it was made stays in the repository.
const FILES: &[(&str, &[u8])] = files![
    "config.json",
    "generation_config.json",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
    "model.safetensors",
];

/// The guide's folder, written on the first call for these contents. Another
/// Maquette may write the same at the same time.
pub fn guide_folder(paths: &Paths) -> Result<PathBuf, LibraryError> {
    let folder = paths.cache.join(format!("guide-{}", hash()));
    for (name, bytes) in FILES {
        let path = folder.join(name);
        if !is_there(&path, bytes) {
            write_atomically(&path, bytes).map_err(|source| LibraryError::Guide {
                folder: folder.clone(),
                source,
            })?;
        }
    }
    Ok(folder)
}

/// Whole files appear by renaming, so a file of the right size is complete.
fn is_there(path: &Path, bytes: &[u8]) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == bytes.len() as u64)
}

/// Eight hexadecimal digits that change with the contents.
fn hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        let mut hash = Sha256::new();
        for (name, bytes) in FILES {
            hash.update(name);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        let digest = hash.finalize();
        digest[..4]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_is_written_once_and_repaired() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path());
        let folder = guide_folder(&paths).unwrap();
        let weights = folder.join("model.safetensors");
        let written = fs::metadata(&weights).unwrap().modified().unwrap();
        assert_eq!(guide_folder(&paths).unwrap(), folder);
        let again = fs::metadata(&weights).unwrap().modified().unwrap();
        assert_eq!(written, again);
        fs::write(folder.join("config.json"), "{").unwrap();
        guide_folder(&paths).unwrap();
        let config = fs::read_to_string(folder.join("config.json")).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&config).is_ok());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cache"), "in the way").unwrap();
        let error = guide_folder(&Paths::under(dir.path())).unwrap_err();
        assert!(error.to_string().contains("cache"), "{error}");
    }
}
