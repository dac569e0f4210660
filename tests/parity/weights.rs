//! The weights of a case, derived as `tests/reference/make.py` derives them,
//! and written as safetensors.

use std::{collections::BTreeMap, path::Path};

use half::{bf16, f16};
use safetensors::{Dtype, tensor::TensorView};

use super::cases::Case;

/// A tensor as a file keeps it.
pub struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Layouts of files that a loader has to understand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layout {
    OneFile,
    /// Two files and an index.
    Shards,
    /// Names without the leading `model.`.
    ShortNames,
}

impl Layout {
    pub fn for_case(index: usize) -> Self {
        [Self::OneFile, Self::Shards, Self::ShortNames][index % 3]
    }
}

/// `count` random words for a name: FNV-1a of the name, then a bit mixer over
/// seed + golden ratio · index.
pub fn words(name: &str, count: usize) -> impl Iterator<Item = u32> {
    let seed = name.bytes().fold(0x811c_9dc5u32, |seed, byte| {
        (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (0..count as u32).map(move |index| {
        let mut x = index.wrapping_mul(0x9e37_79b9).wrapping_add(seed);
        x ^= x >> 16;
        x = x.wrapping_mul(0x85eb_ca6b);
        x ^= x >> 13;
        x = x.wrapping_mul(0xc2b2_ae35);
        x ^ (x >> 16)
    })
}

/// Numbers in [-1, 1), multiples of 2⁻²³: exact in f32.
fn uniform(name: &str, count: usize) -> impl Iterator<Item = f32> {
    words(name, count).map(|word| (word >> 8) as f32 * 2f32.powi(-23) - 1.0)
}

/// A power of two near 2 / √columns, so that products are exact.
fn bound(columns: usize) -> f32 {
    2f32.powi(1 - ((columns as f64).log2() / 2.0).round_ties_even() as i32)
}

struct Writer<'a> {
    case: &'a Case,
    tensors: BTreeMap<String, Tensor>,
}

impl Writer<'_> {
    fn floats(&mut self, name: String, shape: Vec<usize>, numbers: impl Iterator<Item = f32>) {
        let (dtype, bytes): (Dtype, Vec<u8>) = match self.case.dtype.as_str() {
            "f32" => (Dtype::F32, numbers.flat_map(f32::to_le_bytes).collect()),
            "f16" => (
                Dtype::F16,
                numbers
                    .flat_map(|x| f16::from_f32(x).to_le_bytes())
                    .collect(),
            ),
            "bf16" => (
                Dtype::BF16,
                numbers
                    .flat_map(|x| bf16::from_f32(x).to_le_bytes())
                    .collect(),
            ),
            other => panic!("unknown type {other}"),
        };
        self.tensors.insert(
            name,
            Tensor {
                dtype,
                shape,
                bytes,
            },
        );
    }

    fn norm(&mut self, module: String, length: usize) {
        let name = format!("{module}.weight");
        let numbers = uniform(&name, length).map(|x| 1.0 + x * 0.25);
        self.floats(name.clone(), vec![length], numbers);
    }

    fn linear(&mut self, module: String, rows: usize, columns: usize, bias: bool) {
        if bias {
            let name = format!("{module}.bias");
            let numbers = uniform(&name, rows).map(|x| x * 0.25);
            self.floats(name.clone(), vec![rows], numbers);
        }
        let name = format!("{module}.weight");
        let Some((bits, group)) = self.case.quantisation(&module) else {
            let scale = if module.contains("embed_tokens") {
                1.0
            } else {
                bound(columns)
            };
            let numbers = uniform(&name, rows * columns).map(|x| x * scale);
            return self.floats(name.clone(), vec![rows, columns], numbers);
        };
        let shape = vec![rows, columns * bits / 32];
        let bytes = words(&name, shape[0] * shape[1])
            .flat_map(u32::to_le_bytes)
            .collect();
        self.tensors.insert(
            name,
            Tensor {
                dtype: Dtype::U32,
                shape,
                bytes,
            },
        );
        let shape = vec![rows, columns / group];
        let count = rows * columns / group;
        let step = bound(columns) * 2f32.powi(1 - bits as i32);
        let name = format!("{module}.scales");
        let numbers = uniform(&name, count).map(|x| step * (1.0 + x * 0.125));
        self.floats(name.clone(), shape.clone(), numbers);
        let name = format!("{module}.biases");
        let numbers = uniform(&name, count).map(|x| -bound(columns) * (1.0 + x * 0.125));
        self.floats(name.clone(), shape, numbers);
    }
}

/// Every tensor of a case, by its full name.
pub fn tensors(case: &Case) -> BTreeMap<String, Tensor> {
    let size = |key: &str| case.size(key).unwrap();
    let (hidden, heads) = (size("hidden_size"), size("num_attention_heads"));
    let head_dim = case.size("head_dim").unwrap_or(hidden / heads);
    let kv = case.size("num_key_value_heads").unwrap_or(heads) * head_dim;
    let family = case.config["model_type"].as_str().unwrap();
    let qkv_bias = family == "qwen2" || case.flag("attention_bias");
    let mut all = Writer {
        case,
        tensors: BTreeMap::new(),
    };
    all.linear(
        "model.embed_tokens".into(),
        size("vocab_size"),
        hidden,
        false,
    );
    for layer in 0..size("num_hidden_layers") {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        all.norm(name("input_layernorm"), hidden);
        all.norm(name("post_attention_layernorm"), hidden);
        all.linear(name("self_attn.q_proj"), heads * head_dim, hidden, qkv_bias);
        all.linear(name("self_attn.k_proj"), kv, hidden, qkv_bias);
        all.linear(name("self_attn.v_proj"), kv, hidden, qkv_bias);
        all.linear(
            name("self_attn.o_proj"),
            hidden,
            heads * head_dim,
            case.flag("attention_bias"),
        );
        if family == "qwen3" {
            all.norm(name("self_attn.q_norm"), head_dim);
            all.norm(name("self_attn.k_norm"), head_dim);
        }
        let (intermediate, bias) = (size("intermediate_size"), case.flag("mlp_bias"));
        all.linear(name("mlp.gate_proj"), intermediate, hidden, bias);
        all.linear(name("mlp.up_proj"), intermediate, hidden, bias);
        all.linear(name("mlp.down_proj"), hidden, intermediate, bias);
    }
    all.norm("model.norm".into(), hidden);
    if !case.flag("tie_word_embeddings") {
        all.linear("lm_head".into(), size("vocab_size"), hidden, false);
    }
    all.tensors
}

/// Writes config.json and weights.
pub fn write(folder: &Path, case: &Case, layout: Layout) {
    std::fs::write(folder.join("config.json"), case.config.to_string()).unwrap();
    let mut all = tensors(case);
    match layout {
        Layout::OneFile => write_file(&folder.join("model.safetensors"), &all),
        Layout::ShortNames => {
            let short = |name: &str| name.strip_prefix("model.").unwrap_or(name).to_owned();
            let all = all.into_iter().map(|(name, t)| (short(&name), t)).collect();
            write_file(&folder.join("model.safetensors"), &all);
        }
        Layout::Shards => {
            let middle = all.keys().nth(all.len() / 2).unwrap().clone();
            let second = all.split_off(&middle);
            let mut map = serde_json::Map::new();
            for (number, part) in [(1, &all), (2, &second)] {
                let file = format!("model-{number:05}-of-00002.safetensors");
                write_file(&folder.join(&file), part);
                map.extend(part.keys().map(|name| (name.clone(), file.clone().into())));
            }
            let index = serde_json::json!({ "metadata": {}, "weight_map": map });
            let path = folder.join("model.safetensors.index.json");
            std::fs::write(path, index.to_string()).unwrap();
        }
    }
}

fn write_file(path: &Path, tensors: &BTreeMap<String, Tensor>) {
    let views = tensors.iter().map(|(name, t)| {
        (
            name,
            TensorView::new(t.dtype, t.shape.clone(), &t.bytes).unwrap(),
        )
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}
