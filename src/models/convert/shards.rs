//! Safetensors files that are written tensor by tensor, so that no more than one
//! is in memory: what they will hold is known before.
//!
//! Invariant: tensors are written in the order of the plan, as long as it says.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use mlx_rs::Dtype;
use serde_json::{Map, Value, json};

use crate::models::ModelError;

/// Bytes of a file's tensors; one that is larger has a file of its own.
const SHARD: u64 = 5 << 30;
/// Headers are filled up with spaces to a multiple of this.
const ALIGN: usize = 8;

/// A tensor that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<i32>,
}

impl Entry {
    pub fn bytes(&self) -> u64 {
        let each = if matches!(self.dtype, Dtype::Float16 | Dtype::Bfloat16) {
            2
        } else {
            4
        };
        self.shape.iter().map(|dim| *dim as u64).product::<u64>() * each
    }

    fn kind(&self) -> &'static str {
        match self.dtype {
            Dtype::Float16 => "F16",
            Dtype::Bfloat16 => "BF16",
            Dtype::Uint32 => "U32",
            _ => "F32",
        }
    }
}

/// The files that a plan's tensors go to.
pub struct Shards {
    folder: PathBuf,
    /// Names of the files and their tensors, first to last.
    files: Vec<(String, Vec<Entry>)>,
    /// Which file and which of its tensors comes next.
    next: (usize, usize),
    open: Option<BufWriter<File>>,
}

impl Shards {
    pub fn new(folder: &Path, plan: Vec<Entry>) -> Self {
        Self::with_most(folder, plan, SHARD)
    }

    fn with_most(folder: &Path, plan: Vec<Entry>, most: u64) -> Self {
        let mut parts: Vec<Vec<Entry>> = vec![Vec::new()];
        let mut bytes = 0;
        for entry in plan {
            if bytes > 0 && bytes + entry.bytes() > most {
                parts.push(Vec::new());
                bytes = 0;
            }
            bytes += entry.bytes();
            if let Some(part) = parts.last_mut() {
                part.push(entry);
            }
        }
        let count = parts.len();
        let name = |index: usize| match count {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", index + 1),
        };
        let parts = parts.into_iter().enumerate();
        Self {
            folder: folder.to_owned(),
            files: parts.map(|(index, part)| (name(index), part)).collect(),
            next: (0, 0),
            open: None,
        }
    }

    pub fn bytes(&self) -> u64 {
        self.entries().map(Entry::bytes).sum()
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.files.iter().flat_map(|(_, entries)| entries)
    }

    /// Writes the plan's next tensor, which has to be `entry`.
    ///
    /// # Errors
    /// When the disk refuses, or it is another tensor.
    pub fn write(&mut self, entry: &Entry, bytes: &[u8]) -> Result<(), ModelError> {
        let (file, index) = self.next;
        let planned = self.files.get(file).and_then(|(_, part)| part.get(index));
        if planned != Some(entry) || bytes.len() as u64 != entry.bytes() {
            let path = self.folder.clone();
            let reason = format!("{} was not what was to be written next", entry.name);
            return Err(ModelError::BadFile { path, reason });
        }
        if self.open.is_none() {
            self.open = Some(self.begin(file)?);
        }
        if let Some(open) = &mut self.open {
            let result = open.write_all(bytes);
            result.map_err(|error| unwritten(&self.folder, &error))?;
        }
        self.next.1 += 1;
        if self.next.1 == self.files[file].1.len() {
            if let Some(mut open) = self.open.take() {
                let done = open.flush().and_then(|()| open.get_ref().sync_all());
                done.map_err(|error| unwritten(&self.folder, &error))?;
            }
            self.next = (file + 1, 0);
        }
        Ok(())
    }

    fn begin(&self, file: usize) -> Result<BufWriter<File>, ModelError> {
        let (name, entries) = &self.files[file];
        let path = self.folder.join(name);
        let failed = |error| unwritten(&path, &error);
        let mut open = BufWriter::new(File::create(&path).map_err(failed)?);
        let header = header(entries);
        let length = (header.len() as u64).to_le_bytes();
        open.write_all(&length).map_err(failed)?;
        open.write_all(&header).map_err(failed)?;
        Ok(open)
    }

    /// Ends the writing: the index of several files.
    ///
    /// # Errors
    /// When not all of the plan was written, or the disk refuses.
    pub fn finish(self) -> Result<(), ModelError> {
        if self.next.0 < self.files.len() && !self.files[self.next.0].1.is_empty() {
            return Err(ModelError::BadFile {
                path: self.folder,
                reason: "not all tensors were written".into(),
            });
        }
        if self.files.len() == 1 {
            return Ok(());
        }
        let mut map = BTreeMap::new();
        for (file, entries) in &self.files {
            map.extend(entries.iter().map(|entry| (&entry.name, file)));
        }
        let index = json!({"metadata": {"total_size": self.bytes()}, "weight_map": map});
        let path = self.folder.join("model.safetensors.index.json");
        std::fs::write(&path, format!("{index:#}")).map_err(|error| unwritten(&path, &error))
    }
}

/// The JSON header of a file, filled up.
fn header(entries: &[Entry]) -> Vec<u8> {
    let mut tensors = Map::new();
    tensors.insert("__metadata__".into(), json!({"format": "mlx"}));
    let mut start = 0;
    for entry in entries {
        let end = start + entry.bytes();
        let offsets = [start, end];
        let value = json!({"dtype": entry.kind(), "shape": entry.shape, "data_offsets": offsets});
        tensors.insert(entry.name.clone(), value);
        start = end;
    }
    let mut header = Value::Object(tensors).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(ALIGN), b' ');
    header
}

pub fn unwritten(path: &Path, error: &std::io::Error) -> ModelError {
    ModelError::Unwritten {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, count: i32) -> Entry {
        Entry {
            name: name.into(),
            dtype: Dtype::Float32,
            shape: vec![count],
        }
    }

    #[test]
    fn files_hold_what_was_planned() {
        let folder = tempfile::tempdir().unwrap();
        let plan = vec![entry("a", 3), entry("b", 5), entry("c", 1)];
        let mut shards = Shards::with_most(folder.path(), plan.clone(), 24);
        assert_eq!(shards.bytes(), 36);
        for (at, entry) in plan.iter().enumerate() {
            let bytes = vec![at as u8; entry.bytes() as usize];
            shards.write(entry, &bytes).unwrap();
        }
        shards.finish().unwrap();
        let index = std::fs::read(folder.path().join("model.safetensors.index.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        assert_eq!(index["metadata"]["total_size"], 36);
        for (at, entry) in plan.iter().enumerate() {
            let file = index["weight_map"][&entry.name].as_str().unwrap();
            let bytes = std::fs::read(folder.path().join(file)).unwrap();
            let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            let tensor = tensors.tensor(&entry.name).unwrap();
            assert_eq!(tensor.shape(), [entry.shape[0] as usize]);
            assert!(tensor.data().iter().all(|byte| *byte == at as u8));
        }
    }

    #[test]
    fn another_order_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let plan = vec![entry("a", 1), entry("b", 1)];
        let mut shards = Shards::new(folder.path(), plan.clone());
        assert!(shards.write(&plan[1], &[0; 4]).is_err());
        assert!(shards.write(&plan[0], &[0; 3]).is_err());
        shards.write(&plan[0], &[0; 4]).unwrap();
        assert!(shards.finish().is_err());
    }
}
