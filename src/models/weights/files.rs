//! Finds the safetensors files of a folder and reads their headers.
//!
//! Invariant: a `WeightFiles` exists only when every file is there and as long
//! as its header promises. Nothing here reads weight data.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, tensor::Metadata};

use crate::models::{ModelError, config::read_json, spec::Names};

const INDEX: &str = "model.safetensors.index.json";
/// The longest header the safetensors format allows.
const LONGEST_HEADER: u64 = 100_000_000;

/// What a header says of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    /// Position in [`WeightFiles::files`].
    pub file: usize,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: u64,
}

/// The headers of a folder's weights.
#[derive(Debug)]
pub struct WeightFiles {
    pub folder: PathBuf,
    pub files: Vec<PathBuf>,
    tensors: BTreeMap<String, TensorInfo>,
    published: &'static [(&'static str, &'static str)],
    transposed: Option<&'static str>,
}

impl WeightFiles {
    /// Reads the headers of `model*.safetensors` in `folder`, or of the files
    /// that the index names.
    ///
    /// # Errors
    /// When there are none, one is missing or one is damaged or truncated.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let mut weights = Self {
            folder: folder.to_owned(),
            files: find(folder)?,
            tensors: BTreeMap::new(),
            published: &[],
            transposed: None,
        };
        for index in 0..weights.files.len() {
            weights.read_header(index)?;
        }
        Ok(weights)
    }

    fn read_header(&mut self, index: usize) -> Result<(), ModelError> {
        let path = &self.files[index];
        let header = read_header(path)?;
        // Checks that tensors follow one another and fit their types and shapes.
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| bad(path, e))?;
        let expected = 8 + header.len() as u64 + metadata.data_len() as u64;
        let found = path.metadata().map_err(|e| bad(path, e))?.len();
        if found < expected {
            return Err(ModelError::Truncated {
                path: path.clone(),
                found,
                expected,
            });
        }
        if found > expected {
            let reason = format!("it has {found} bytes and its header accounts for {expected}");
            return Err(bad(path, reason));
        }
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let info = TensorInfo {
                file: index,
                dtype: info.dtype,
                shape: info.shape.clone(),
                bytes: (end - start) as u64,
            };
            self.tensors.insert(name, info);
        }
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// The name under which the files keep `name`: as it is, without the
    /// leading `model.`, or as part of a model with vision.
    pub fn resolve(&self, name: &str) -> Option<&str> {
        self.find(name).or_else(|| {
            let mut others = self.published.iter();
            others.find_map(|(own, other)| {
                let is_part = name.contains(own);
                is_part.then(|| self.find(&name.replacen(own, other, 1)))?
            })
        })
    }

    /// [`WeightFiles::resolve`] without names that makers made up.
    fn find(&self, name: &str) -> Option<&str> {
        let short = name.strip_prefix("model.").unwrap_or(name);
        let known = |name: &str| self.tensors.get_key_value(name).map(|(name, _)| &name[..]);
        known(name)
            .or_else(|| known(short))
            .or_else(|| known(&format!("language_model.{name}")))
            .or_else(|| known(&format!("model.language_model.{short}")))
    }

    /// Also finds what makers name or store in another way.
    pub fn also(mut self, names: &Names) -> Self {
        (self.published, self.transposed) = (names.published, names.transposed);
        self
    }

    /// Whether the matrix that the files keep as `name` is stored `[columns,
    /// rows]`.
    pub fn is_transposed(&self, name: &str) -> bool {
        self.transposed.is_some_and(|start| name.starts_with(start))
    }

    pub fn path(&self, info: &TensorInfo) -> &Path {
        &self.files[info.file]
    }

    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.tensors
            .iter()
            .map(|(name, info)| (name.as_str(), info))
    }

    pub fn bytes(&self) -> u64 {
        self.tensors.values().map(|info| info.bytes).sum()
    }
}

fn bad(path: &Path, reason: impl ToString) -> ModelError {
    ModelError::BadFile {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// The JSON text between the length field and the data.
fn read_header(path: &Path) -> Result<Vec<u8>, ModelError> {
    let mut file = File::open(path).map_err(|e| bad(path, e))?;
    let found = file.metadata().map_err(|e| bad(path, e))?.len();
    let truncated = |expected| ModelError::Truncated {
        path: path.to_owned(),
        found,
        expected,
    };
    let mut length = [0; 8];
    if found < 8 {
        return Err(truncated(8));
    }
    file.read_exact(&mut length).map_err(|e| bad(path, e))?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER {
        return Err(bad(path, format!("its header would have {length} bytes")));
    }
    if found < 8 + length {
        return Err(truncated(8 + length));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(|e| bad(path, e))?;
    Ok(header)
}

fn find(folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let index = folder.join(INDEX);
    if index.is_file() {
        return named_by_index(folder, &index);
    }
    let entries = std::fs::read_dir(folder).map_err(|e| ModelError::Unreadable {
        path: folder.to_owned(),
        reason: e.to_string(),
    })?;
    let names: BTreeSet<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("model") && name.ends_with(".safetensors"))
        .collect();
    if names.is_empty() {
        return Err(ModelError::NoWeights {
            folder: folder.to_owned(),
        });
    }
    if let Some((missing, sibling)) = missing_shard(&names) {
        return Err(ModelError::MissingFile {
            path: folder.join(missing),
            named_by: sibling,
        });
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

fn named_by_index(folder: &Path, index: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let json = read_json(index)?;
    let map = json.get("weight_map").and_then(|map| map.as_object());
    let names: Option<BTreeSet<&str>> =
        map.and_then(|map| map.values().map(|file| file.as_str()).collect());
    let names = names
        .filter(|names| !names.is_empty())
        .ok_or_else(|| ModelError::Config {
            path: index.to_owned(),
            key: "weight_map".into(),
            problem: "is missing or does not name the file of each tensor".into(),
        })?;
    for name in &names {
        // A name with a folder in it could point anywhere on the disk.
        if Path::new(name).file_name().is_none_or(|file| file != *name) {
            return Err(ModelError::Config {
                path: index.to_owned(),
                key: "weight_map".into(),
                problem: format!("names \"{name}\": expected a file in the same folder"),
            });
        }
        if !folder.join(name).is_file() {
            return Err(ModelError::MissingFile {
                path: folder.join(name),
                named_by: INDEX.into(),
            });
        }
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// A file of a `model-00001-of-00003` row that is not there, and one that says
/// it should be.
fn missing_shard(names: &BTreeSet<String>) -> Option<(String, String)> {
    names.iter().find_map(|name| {
        let stem = name.strip_suffix(".safetensors")?;
        let (first, total) = stem.rsplit_once("-of-")?;
        let (prefix, number) = first.rsplit_once('-')?;
        let count: usize = total.parse().ok().filter(|count| *count < 100_000)?;
        let width = number.len();
        (1..=count)
            .map(|n| format!("{prefix}-{n:0width$}-of-{total}.safetensors"))
            .find(|wanted| !names.contains(wanted))
            .map(|wanted| (wanted, name.clone()))
    })
}
