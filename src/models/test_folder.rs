//! A tiny model folder for tests, to be spoilt at will.

use std::{collections::BTreeMap, path::Path};

use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

use super::{LoadOptions, Model, ModelError, load};

pub struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// One layer of Llama with 64 columns everywhere, all weights 0.5.
pub struct TestFolder {
    folder: tempfile::TempDir,
    pub config: Value,
    pub tensors: BTreeMap<String, Tensor>,
}

impl TestFolder {
    pub fn new() -> Self {
        let config = json!({
            "model_type": "llama", "vocab_size": 32, "hidden_size": 64,
            "num_hidden_layers": 1, "intermediate_size": 64, "num_attention_heads": 2,
            "rms_norm_eps": 1e-5, "tie_word_embeddings": false,
        });
        let folder = tempfile::tempdir().unwrap();
        let mut new = Self {
            folder,
            config,
            tensors: BTreeMap::new(),
        };
        for (name, rows) in [
            ("model.embed_tokens", 32),
            ("model.layers.0.self_attn.q_proj", 64),
            ("model.layers.0.self_attn.k_proj", 64),
            ("model.layers.0.self_attn.v_proj", 64),
            ("model.layers.0.self_attn.o_proj", 64),
            ("model.layers.0.mlp.gate_proj", 64),
            ("model.layers.0.mlp.up_proj", 64),
            ("model.layers.0.mlp.down_proj", 64),
            ("lm_head", 32),
        ] {
            new.set(&format!("{name}.weight"), Dtype::F32, &[rows, 64]);
        }
        for name in [
            "layers.0.input_layernorm",
            "layers.0.post_attention_layernorm",
            "norm",
        ] {
            new.set(&format!("model.{name}.weight"), Dtype::F32, &[64]);
        }
        new
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A tensor of 0.5s, or of zeros where the type has none.
    pub fn set(&mut self, name: &str, dtype: Dtype, shape: &[usize]) {
        let one: &[u8] = match dtype {
            Dtype::F32 => &[0, 0, 0, 0x3f],
            Dtype::BF16 => &[0, 0x3f],
            Dtype::F16 => &[0, 0x38],
            _ => &[0],
        };
        let numbers = shape.iter().product::<usize>() * dtype.bitsize() / 8 / one.len();
        let tensor = Tensor {
            dtype,
            shape: shape.to_vec(),
            bytes: one.repeat(numbers),
        };
        self.tensors.insert(name.to_owned(), tensor);
    }

    /// Quantises a module's 64 columns.
    pub fn quantise(&mut self, module: &str, rows: usize, bits: usize, group: usize) {
        self.set(&format!("{module}.weight"), Dtype::U32, &[rows, 2 * bits]);
        self.set(&format!("{module}.scales"), Dtype::F32, &[rows, 64 / group]);
        self.set(&format!("{module}.biases"), Dtype::F32, &[rows, 64 / group]);
    }

    pub fn write(&self) {
        std::fs::write(self.path().join("config.json"), self.config.to_string()).unwrap();
        self.write_weights("model.safetensors", |_| true);
    }

    pub fn write_weights(&self, file: &str, wanted: impl Fn(&str) -> bool) {
        let tensors = self.tensors.iter().filter(|(name, _)| wanted(name));
        let views = tensors.map(|(name, t)| {
            (
                name,
                TensorView::new(t.dtype, t.shape.clone(), &t.bytes).unwrap(),
            )
        });
        safetensors::serialize_to_file(views, None, &self.path().join(file)).unwrap();
    }

    pub fn load(&self) -> Result<Model, ModelError> {
        load(self.path(), &LoadOptions::default(), &mut |_| {})
    }

    /// What loading complains about, the folder's path replaced by FOLDER.
    pub fn complaint(&self) -> String {
        self.anonymous(self.load().map(drop).expect_err("loading must fail"))
    }

    /// As [`Self::complaint`], after writing everything.
    pub fn written_complaint(&self) -> String {
        self.write();
        self.complaint()
    }

    pub fn anonymous(&self, error: impl ToString) -> String {
        error
            .to_string()
            .replace(&self.path().display().to_string(), "FOLDER")
    }
}
