//! The cases of `tests/reference/*.json`.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value;

/// The tensors of a model and their shapes.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Table {
    /// Modules whose weight may be quantised.
    pub linear: BTreeMap<String, Vec<usize>>,
    /// All other tensors, by full name.
    pub plain: BTreeMap<String, Vec<usize>>,
}

#[derive(Debug, Deserialize)]
struct File {
    tensors: Vec<Table>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
pub struct Case {
    pub name: String,
    /// The type of weights, norms, scales and biases: "f32", "f16" or "bf16".
    pub dtype: String,
    pub config: Value,
    /// Place of its table of tensors in the file.
    tensors: usize,
    #[serde(skip)]
    pub table: Table,
    pub prefill_middle: Vec<f64>,
    pub prefill_last: Vec<f64>,
    /// Logits after the first greedy token.
    pub decode_first: Vec<f64>,
    pub greedy: Vec<u32>,
}

impl Case {
    /// Dynamic rope scaling rotates a chunk by the length so far, so chunks of
    /// other sizes are another computation.
    pub fn depends_on_chunks(&self) -> bool {
        let scaling = self.config.get("rope_scaling");
        scaling.and_then(|scaling| scaling.get("type")) == Some(&"dynamic".into())
    }

    /// Numbers in all tensors of the table.
    pub fn parameters(&self) -> u64 {
        let shapes = self.table.linear.values().chain(self.table.plain.values());
        shapes
            .map(|shape| shape.iter().product::<usize>() as u64)
            .sum()
    }

    /// Bits and group size of a module.
    pub fn quantisation(&self, module: &str) -> Option<Packing> {
        let settings = self.config.get("quantization")?;
        let own = settings.get(module).unwrap_or(settings);
        match own.get("mode").and_then(Value::as_str) {
            Some("mxfp4") => return Some(Packing::Mxfp4),
            Some("mxfp8") => return Some(Packing::Mxfp8),
            Some("nvfp4") => return Some(Packing::Nvfp4),
            _ => {}
        }
        let size = |key: &str| own.get(key)?.as_u64().map(|n| n as usize);
        Some(Packing::Affine(size("bits")?, size("group_size")?))
    }
}

/// How a module's weight is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Packing {
    /// Bits and group size.
    Affine(usize, usize),
    Mxfp4,
    Mxfp8,
    Nvfp4,
}

pub fn read(family: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let read = |name: &str| std::fs::read_to_string(folder.join(format!("{name}.json")));
    // A dash is no part of a test's name.
    let text = read(family).or_else(|_| read(&family.replace('_', "-")));
    let text = text.unwrap();
    let file: File = serde_json::from_str(&text).unwrap();
    let mut cases = file.cases;
    for case in &mut cases {
        case.table = file.tensors[case.tensors].clone();
    }
    cases
}
