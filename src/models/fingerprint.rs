//! Names for what a model computes, the same at every start.
//!
//! Two folders with the same name compute the same keys and values for the
//! same tokens. Weights are sampled, not read whole: whoever edits single
//! numbers of a file in place gets a new name only if a sample meets them or
//! the header changes, as with all tools that write safetensors anew.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use mlx_rs::Dtype;
use sha2::{Digest, Sha256};

use super::{ModelError, weights::WeightFiles};

/// To be raised whenever models compute something else from the same files.
const REVISION: u32 = 1;
/// Samples of a file besides its header, and their length in bytes.
const SAMPLES: u64 = 64;
const SAMPLE: u64 = 4096;

/// A name for the model in `folder` with activations of a type.
///
/// # Errors
/// When config.json or the weights cannot be read.
pub fn fingerprint(folder: &Path, activations: Dtype) -> Result<String, ModelError> {
    let mut hasher = begin("weights", activations);
    add_file(&mut hasher, &folder.join("config.json"))?;
    for path in WeightFiles::open(folder)?.files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        add(&mut hasher, name.as_bytes());
        sample(&mut hasher, &path).map_err(|error| unreadable(&path, error))?;
    }
    Ok(text(hasher))
}

/// A name for random weights in the shape of `config`: never that of a folder.
///
/// # Errors
/// When the file cannot be read.
pub fn random_fingerprint(
    config: &Path,
    bits: Option<u32>,
    activations: Dtype,
) -> Result<String, ModelError> {
    let mut hasher = begin("random", activations);
    add_file(&mut hasher, config)?;
    add(&mut hasher, format!("{bits:?}").as_bytes());
    Ok(text(hasher))
}

fn begin(kind: &str, activations: Dtype) -> Sha256 {
    let mut hasher = Sha256::new();
    let version = env!("CARGO_PKG_VERSION");
    let head = format!("{version} {REVISION} {kind} {activations:?}");
    add(&mut hasher, head.as_bytes());
    hasher
}

/// With its length, so that parts cannot run into one another.
fn add(hasher: &mut Sha256, part: &[u8]) {
    hasher.update((part.len() as u64).to_le_bytes());
    hasher.update(part);
}

fn add_file(hasher: &mut Sha256, path: &Path) -> Result<(), ModelError> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, error))?;
    add(hasher, &bytes);
    Ok(())
}

/// Length, header, and pieces from the first byte to the last.
fn sample(hasher: &mut Sha256, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    hasher.update(length.to_le_bytes());
    let mut header = [0; 8];
    file.read_exact(&mut header)?;
    let header = u64::from_le_bytes(header).min(length);
    let mut take = |from: u64, count: u64| -> io::Result<()> {
        let mut piece = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        (&mut file).take(count).read_to_end(&mut piece)?;
        add(hasher, &piece);
        Ok(())
    };
    take(8, header)?;
    let last = length.saturating_sub(SAMPLE);
    (0..=SAMPLES).try_for_each(|at| {
        take(
            (u128::from(last) * u128::from(at) / u128::from(SAMPLES)) as u64,
            SAMPLE,
        )
    })
}

fn unreadable(path: &Path, error: io::Error) -> ModelError {
    ModelError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn text(hasher: Sha256) -> String {
    let digest = hasher.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guide() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/guide")
    }

    #[test]
    fn the_same_files_have_the_same_name_wherever_they_are() {
        let name = fingerprint(&guide(), Dtype::Float32).unwrap();
        let home = tempfile::tempdir().unwrap();
        for file in ["config.json", "model.safetensors"] {
            std::fs::copy(guide().join(file), home.path().join(file)).unwrap();
        }
        assert_eq!(fingerprint(home.path(), Dtype::Float32).unwrap(), name);
        assert_ne!(fingerprint(home.path(), Dtype::Bfloat16).unwrap(), name);
        let weights = home.path().join("model.safetensors");
        let mut bytes = std::fs::read(&weights).unwrap();
        for at in [bytes.len() - 1, bytes.len() / 2] {
            bytes[at] ^= 1;
            std::fs::write(&weights, &bytes).unwrap();
            assert_ne!(fingerprint(home.path(), Dtype::Float32).unwrap(), name);
            bytes[at] ^= 1;
        }
        std::fs::write(&weights, &bytes).unwrap();
        assert_eq!(fingerprint(home.path(), Dtype::Float32).unwrap(), name);
        let config = home.path().join("config.json");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text + " ").unwrap();
        assert_ne!(fingerprint(home.path(), Dtype::Float32).unwrap(), name);
    }

    #[test]
    fn random_weights_are_nobody_elses() {
        let config = guide().join("config.json");
        let name = |bits| random_fingerprint(&config, bits, Dtype::Float32).unwrap();
        assert_eq!(name(Some(4)), name(Some(4)));
        assert_ne!(name(Some(4)), name(Some(8)));
        assert_ne!(name(Some(4)), name(None));
        assert_ne!(name(None), fingerprint(&guide(), Dtype::Float32).unwrap());
        assert!(random_fingerprint(Path::new("/nowhere"), None, Dtype::Float32).is_err());
    }
}
