//! Where what makers publish differs from what mlx-lm converts by names, or by
//! how the matrices of experts are put together.

use super::weights::{Tensor, Tensors};

/// Parts of names that mlx-lm gives, and the makers' own.
pub fn renames(family: &str) -> &'static [(&'static str, &'static str)] {
    match family {
        "bailing_moe" | "bailing_moe_linear" => &[(".mlp.gate.gate_proj.", ".mlp.gate.")],
        "exaone_moe" => &[(
            ".mlp.gate.e_score_correction_bias",
            ".mlp.e_score_correction_bias",
        )],
        "kimi_linear" => &[
            (
                ".mlp.e_score_correction_bias",
                ".block_sparse_moe.gate.e_score_correction_bias",
            ),
            (".mlp.gate.", ".block_sparse_moe.gate."),
            (".mlp.shared_experts.", ".block_sparse_moe.shared_experts."),
            ("_conv.conv.", "_conv1d."),
        ],
        "laguna" => &[
            (".mlp.gate.proj.", ".mlp.gate."),
            (".mlp.gate.e_score", ".mlp.experts.e_score"),
        ],
        "step3p5" => &[
            (".mlp.gate.gate.", ".moe.gate."),
            (".mlp.gate.router_bias", ".moe.router_bias"),
            (".mlp.share_expert.", ".share_expert."),
        ],
        _ => &[],
    }
}

/// All experts' matrices in two tensors, gate before up in one.
struct Joined {
    module: &'static str,
    gate_up: &'static str,
    down: &'static str,
    transposed: bool,
}

const QWEN: Joined = Joined {
    module: ".mlp.switch_mlp.",
    gate_up: ".mlp.experts.gate_up_proj",
    down: ".mlp.experts.down_proj",
    transposed: false,
};

fn joined(family: &str) -> Option<Joined> {
    Some(match family {
        "granitemoe" => Joined {
            module: ".block_sparse_moe.switch_mlp.",
            gate_up: ".block_sparse_moe.input_linear.weight",
            down: ".block_sparse_moe.output_linear.weight",
            transposed: false,
        },
        "mistral4" => QWEN,
        "qwen3_vl_moe" => Joined {
            transposed: true,
            ..QWEN
        },
        _ => return None,
    })
}

/// Puts dense experts together as the family's makers do, and names those that
/// they publish one by one as those of most families.
pub fn experts(tensors: Tensors, family: &str) -> Tensors {
    let renamed = |own: &str, other: &str| {
        let tensors = tensors.iter();
        tensors
            .map(|(n, t)| (n.replace(own, other), t.clone()))
            .collect()
    };
    match family {
        "afmoe" | "dots1" | "Klear" => return renamed(".mlp.experts.", ".mlp.switch_mlp."),
        "dbrx" => return in_a_row(tensors),
        "step3p5" => {
            let mut tensors: Tensors = renamed(".mlp.switch_mlp.", ".moe.");
            let norms = tensors.iter_mut().filter(|(name, _)| name.contains("norm"));
            norms.for_each(|(_, norm)| norm.less_one());
            return tensors;
        }
        _ => {}
    }
    let packed = tensors.keys().any(|name| name.ends_with(".scales"));
    let Some(joined) = joined(family).filter(|_| !packed) else {
        return tensors;
    };
    let mut result = Tensors::new();
    for (name, tensor) in &tensors {
        let Some((layer, part)) = name.split_once(joined.module) else {
            result.insert(name.clone(), tensor.clone());
            continue;
        };
        let (name, tensor) = match part {
            "gate_proj.weight" => {
                let up = &tensors[&format!("{layer}{}up_proj.weight", joined.module)];
                (joined.gate_up, one_after_the_other(tensor, up))
            }
            "down_proj.weight" => (joined.down, tensor.clone()),
            _ => continue,
        };
        let tensor = match joined.transposed {
            true => tensor.transposed(),
            false => tensor,
        };
        result.insert(format!("{layer}{name}"), tensor);
    }
    result
}

/// The rows of `a [experts, rows, columns]` before those of `b`, by expert.
fn one_after_the_other(a: &Tensor, b: &Tensor) -> Tensor {
    let size = a.bytes.len() / a.shape[0];
    let pairs = a.bytes.chunks_exact(size).zip(b.bytes.chunks_exact(size));
    let mut shape = a.shape.clone();
    shape[1] *= 2;
    Tensor {
        dtype: a.dtype,
        shape,
        bytes: pairs.flat_map(|(a, b)| [a, b].concat()).collect(),
    }
}

/// DBRX: what each expert has, one after the other; downs transposed.
fn in_a_row(tensors: Tensors) -> Tensors {
    if tensors.keys().any(|name| name.ends_with(".scales")) {
        return tensors;
    }
    let mut result = Tensors::new();
    let mut experts: std::collections::BTreeMap<(String, String, usize), Tensor> =
        Default::default();
    for (name, tensor) in tensors {
        let Some((layer, rest)) = name.split_once(".ffn.experts.") else {
            result.insert(name, tensor);
            continue;
        };
        let mut parts = rest.split('.');
        let expert: usize = parts.next().unwrap().parse().unwrap();
        let part = parts.next().unwrap().to_owned();
        experts.insert((layer.to_owned(), part, expert), tensor);
    }
    for ((layer, part, _), mut tensor) in experts {
        if part == "w2" {
            tensor.shape.insert(0, 1);
            tensor = tensor.transposed();
            tensor.shape.remove(0);
        }
        let name = format!("{layer}.ffn.experts.mlp.{part}");
        match result.get_mut(&name) {
            None => {
                result.insert(name, tensor);
            }
            Some(whole) => {
                whole.shape[0] += tensor.shape[0];
                whole.bytes.extend(tensor.bytes);
            }
        }
    }
    result
}
