//! Tensors as models' makers publish them, made from what mlx-lm converts them
//! to.

use safetensors::Dtype;

use super::{
    makers,
    weights::{Tensor, Tensors},
};

/// One tensor an expert, or gpt-oss's two tensors of all experts; convolutions
/// as PyTorch keeps them, and Qwen's norms as distances from 1 beside such.
pub fn tensors(tensors: Tensors, family: &str) -> Tensors {
    let published = unconverted(makers::experts(tensors, family), family);
    let rename = |name: String| {
        let other = |name: String, (own, other): &(&str, &str)| name.replace(own, other);
        makers::renames(family).iter().fold(name, other)
    };
    let published = published.into_iter();
    published.map(|(name, t)| (rename(name), t)).collect()
}

fn unconverted(mut tensors: Tensors, family: &str) -> Tensors {
    let mut result = Tensors::new();
    convolutions(&mut tensors);
    // GPT-2's are one-dimensional convolutions.
    let kept = tensors.keys().any(|name| name.ends_with(".scales"));
    if tensors.contains_key("model.wpe.weight") && !kept {
        let inner = tensors.iter_mut().filter(|(name, _)| name.contains(".c_"));
        inner.for_each(|(_, tensor)| transpose(tensor));
    }
    let mut together = Vec::new();
    for (name, tensor) in tensors {
        if name.contains(".switch_mlp.") {
            unstack(&name, &tensor, family, &mut result);
        } else if name.contains(".mlp.experts.") && name.contains("_proj.") {
            together.push((name, tensor));
        } else {
            result.insert(name, tensor);
        }
    }
    // What is packed as integers has no published form.
    let is_affine = |(name, _): &(String, _)| name.ends_with(".biases");
    if together.iter().any(is_affine) {
        result.extend(together);
        return result;
    }
    join(together.into_iter().collect(), &mut result);
    result
}

fn transpose(tensor: &mut Tensor) {
    let [rows, columns] = tensor.shape[..] else {
        return;
    };
    let size = tensor.bytes.len() / (rows * columns);
    let at = |row: usize, column: usize| {
        let start = (row * columns + column) * size;
        tensor.bytes[start..start + size].iter().copied()
    };
    let across = (0..columns).flat_map(|column| (0..rows).map(move |row| (row, column)));
    tensor.bytes = across.flat_map(|(row, column)| at(row, column)).collect();
    tensor.shape = vec![columns, rows];
}

fn convolutions(tensors: &mut Tensors) {
    let is_delta = tensors
        .keys()
        .any(|name| name.contains(".linear_attn.conv1d."));
    // Of Falcon-H1 only converted models can be loaded.
    let is_falcon = tensors.keys().any(|name| name.contains("pre_ff_layernorm"));
    for (name, tensor) in tensors {
        if let (true, [channels, kernel, 1]) = (name.contains("conv"), &tensor.shape[..]) {
            if !is_falcon {
                tensor.shape = vec![*channels, 1, *kernel];
            }
        } else if is_delta && name.contains("norm.weight") && !name.contains("linear_attn") {
            tensor.less_one();
        }
    }
}

fn unstack(name: &str, tensor: &Tensor, family: &str, result: &mut Tensors) {
    let size = tensor.bytes.len() / tensor.shape[0];
    for (expert, bytes) in tensor.bytes.chunks_exact(size).enumerate() {
        let each = Tensor {
            dtype: tensor.dtype,
            shape: tensor.shape[1..].to_vec(),
            bytes: bytes.to_vec(),
        };
        let mut name = name.replace(".switch_mlp.", &format!(".experts.{expert}."));
        if family == "kimi_linear" {
            name = name.replace(".mlp.experts.", ".block_sparse_moe.experts.");
        }
        if family == "phixtral" {
            name = name.replace(".moe.experts.", ".moe.mlp.");
        }
        let numbered = name.contains(".block_sparse_moe.") || name.contains(".feed_forward.");
        let parts = match family {
            "nemotron_h" => [("fc1", "up_proj"), ("fc2", "down_proj"), ("", "")],
            _ => [("gate_proj", "w1"), ("up_proj", "w3"), ("down_proj", "w2")],
        };
        if family == "nemotron_h" || (numbered && family != "jamba") {
            for (converted, published) in parts {
                name = name.replace(converted, published);
            }
        }
        result.insert(name, each);
    }
}

/// gpt-oss: gate and up by turns in one tensor; floats transposed, MXFP4 in
/// blocks.
fn join(mut experts: Tensors, result: &mut Tensors) {
    let gates: Vec<String> = experts
        .keys()
        .filter(|name| name.contains(".gate_proj."))
        .cloned()
        .collect();
    for gate in gates {
        let (module, kind) = gate.rsplit_once(".gate_proj.").unwrap();
        let packed = experts.contains_key(&format!("{module}.gate_proj.scales"));
        let names = ["gate", "up", "down"].map(|part| format!("{module}.{part}_proj.{kind}"));
        let [gate, up, down] = names.map(|name| experts.get(&name).unwrap());
        for (part, tensor) in [("gate_up", interleaved(gate, up)), ("down", down.clone())] {
            let (suffix, tensor) = match (kind, packed) {
                ("weight", true) => ("_blocks", blocks(tensor)),
                ("weight", false) => ("", tensor.transposed()),
                ("scales", _) => ("_scales", tensor),
                _ => ("_bias", tensor),
            };
            result.insert(format!("{module}.{part}_proj{suffix}"), tensor);
        }
    }
    experts.clear();
}

/// Rows of two tensors `[experts, rows, ..]` by turns.
fn interleaved(a: &Tensor, b: &Tensor) -> Tensor {
    let row = a.bytes.len() / (a.shape[0] * a.shape[1]);
    let pairs = a.bytes.chunks_exact(row).zip(b.bytes.chunks_exact(row));
    let mut shape = a.shape.clone();
    shape[1] *= 2;
    Tensor {
        dtype: a.dtype,
        shape,
        bytes: pairs.flat_map(|(a, b)| [a, b].concat()).collect(),
    }
}

/// Words of eight codes as blocks of 16 bytes.
fn blocks(tensor: Tensor) -> Tensor {
    let [experts, rows, words] = tensor.shape[..] else {
        panic!("{:?}", tensor.shape);
    };
    Tensor {
        dtype: Dtype::U8,
        shape: vec![experts, rows, words / 4, 16],
        bytes: tensor.bytes,
    }
}
