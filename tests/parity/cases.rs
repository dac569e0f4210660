//! The cases of `tests/reference/*.json`.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub struct Case {
    pub name: String,
    /// The type of weights, norms, scales and biases: "f32", "f16" or "bf16".
    pub dtype: String,
    pub config: Value,
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

    pub fn size(&self, key: &str) -> Option<usize> {
        self.config.get(key)?.as_u64().map(|n| n as usize)
    }

    pub fn flag(&self, key: &str) -> bool {
        self.config.get(key) == Some(&Value::Bool(true))
    }

    /// Bits and group size of a module.
    pub fn quantisation(&self, module: &str) -> Option<(usize, usize)> {
        let settings = self.config.get("quantization")?;
        let own = settings.get(module).unwrap_or(settings);
        let size = |key: &str| own.get(key)?.as_u64().map(|n| n as usize);
        Some((size("bits")?, size("group_size")?))
    }
}

pub fn read(family: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let text = std::fs::read_to_string(folder.join(format!("{family}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}
