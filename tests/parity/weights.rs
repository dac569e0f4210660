//! The weights of a case, derived as `tests/reference/make.py` derives them,
//! and written as safetensors.

use std::{collections::BTreeMap, path::Path};

use half::{bf16, f16};
use safetensors::{Dtype, tensor::TensorView};

use super::{
    cases::{Case, Packing},
    published,
};

/// A tensor as a file keeps it.
#[derive(Clone)]
pub struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

pub type Tensors = BTreeMap<String, Tensor>;

impl Tensor {
    /// Weights as distances from 1.
    pub fn less_one(&mut self) {
        assert_eq!(self.dtype, Dtype::F32);
        let numbers = self.bytes.as_chunks::<4>().0.iter();
        let less = numbers.flat_map(|x| (f32::from_le_bytes(*x) - 1.0).to_le_bytes());
        self.bytes = less.collect();
    }

    /// `[experts, rows, columns]` as `[experts, columns, rows]`.
    pub fn transposed(&self) -> Self {
        let [experts, rows, columns] = self.shape[..] else {
            panic!("{:?}", self.shape);
        };
        let size = self.bytes.len() / (experts * rows * columns);
        let element = |expert: usize, row: usize, column: usize| {
            let at = ((expert * rows + row) * columns + column) * size;
            self.bytes[at..at + size].to_vec()
        };
        let mut bytes = Vec::new();
        for expert in 0..experts {
            for column in 0..columns {
                (0..rows).for_each(|row| bytes.extend(element(expert, row, column)));
            }
        }
        Self {
            dtype: self.dtype,
            shape: vec![experts, columns, rows],
            bytes,
        }
    }
}

/// Layouts of files that a loader has to understand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layout {
    OneFile,
    /// Two files and an index.
    Shards,
    /// Names without the leading `model.`, and tensors as the models' makers
    /// publish them instead of as mlx-lm converts them.
    Published,
}

impl Layout {
    pub fn for_case(index: usize) -> Self {
        [Self::OneFile, Self::Shards, Self::Published][index % 3]
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

    fn plain(&mut self, name: &str, shape: &[usize]) {
        let columns: usize = match name.contains("conv") {
            true => shape[1..].iter().product(),
            false => shape.last().copied().unwrap_or(1),
        };
        let numbers = uniform(name, shape.iter().product());
        let unit = ["embed_tokens", "embeddings", "A_log", "sinks"];
        // DBRX has its attention in a module that is named after norms.
        let is_norm = name.replace("norm_attn_norm.attn", "").contains("norm");
        let own = |x: f32| {
            if name.ends_with("bias") {
                x * 0.25
            } else if is_norm || name.ends_with(".D") {
                1.0 + x * 0.25
            } else if unit.iter().any(|part| name.contains(part)) {
                x
            } else {
                x * bound(columns)
            }
        };
        self.floats(name.to_owned(), shape.to_vec(), numbers.map(own));
    }

    fn bytes(&mut self, name: String, dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) {
        let tensor = Tensor {
            dtype,
            shape,
            bytes,
        };
        self.tensors.insert(name, tensor);
    }

    fn linear(&mut self, module: &str, shape: &[usize]) {
        let name = format!("{module}.weight");
        let (columns, lead) = shape.split_last().unwrap();
        let of = |last: usize| [lead, &[last]].concat();
        let Some(packing) = self.case.quantisation(module) else {
            return self.plain(&name, shape);
        };
        let (bits, group) = match packing {
            Packing::Affine(bits, group) => (bits, group),
            Packing::Mxfp4 => (4, 32),
            Packing::Mxfp8 => (8, 32),
            Packing::Nvfp4 => (4, 16),
        };
        let packed = of(columns * bits / 32);
        let numbers = words(&name, packed.iter().product());
        // All codes of eight-bit floats but NaN.
        let mask = if packing == Packing::Mxfp8 {
            0xbfbf_bfbf
        } else {
            u32::MAX
        };
        let bytes = numbers
            .flat_map(|word| (word & mask).to_le_bytes())
            .collect();
        self.bytes(name, Dtype::U32, packed, bytes);
        let groups = of(columns / group);
        let count = groups.iter().product();
        let name = format!("{module}.scales");
        let power = bound(*columns).log2() as i32;
        let code: Option<Box<dyn Fn(u32) -> i32>> = match packing {
            Packing::Mxfp4 => Some(Box::new(|word| 126 + power - (word % 2) as i32)),
            Packing::Mxfp8 => Some(Box::new(|word| 118 + power + (word % 2) as i32)),
            Packing::Nvfp4 => Some(Box::new(|word| 8 * (4 + power) + (word % 16) as i32)),
            Packing::Affine(..) => None,
        };
        if let Some(code) = code {
            let codes = words(&name, count).map(|word| code(word) as u8).collect();
            return self.bytes(name.clone(), Dtype::U8, groups, codes);
        }
        let step = bound(*columns) * 2f32.powi(1 - bits as i32);
        let numbers = uniform(&name, count).map(|x| step * (1.0 + x * 0.125));
        self.floats(name.clone(), groups.clone(), numbers);
        let name = format!("{module}.biases");
        let numbers = uniform(&name, count).map(|x| -bound(*columns) * (1.0 + x * 0.125));
        self.floats(name.clone(), groups, numbers);
    }
}

/// Every tensor of a case, by its full name.
pub fn tensors(case: &Case) -> BTreeMap<String, Tensor> {
    let mut all = Writer {
        case,
        tensors: BTreeMap::new(),
    };
    for (module, shape) in &case.table.linear {
        all.linear(module, shape);
    }
    for (name, shape) in &case.table.plain {
        all.plain(name, shape);
    }
    all.tensors
}

/// Writes config.json and weights.
pub fn write(folder: &Path, case: &Case, layout: Layout) {
    std::fs::write(folder.join("config.json"), case.config.to_string()).unwrap();
    let mut all = tensors(case);
    match layout {
        Layout::OneFile => write_file(&folder.join("model.safetensors"), &all),
        Layout::Published => {
            let family = case.config["model_type"].as_str().unwrap();
            all = published::tensors(all, family);
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

pub fn write_file(path: &Path, tensors: &BTreeMap<String, Tensor>) {
    let views = tensors.iter().map(|(name, t)| {
        (
            name,
            TensorView::new(t.dtype, t.shape.clone(), &t.bytes).unwrap(),
        )
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}
