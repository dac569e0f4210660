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

fn joined(family: &str) -> Option<Joined> {
    Some(match family {
        "granitemoe" => Joined {
            module: ".block_sparse_moe.switch_mlp.",
            gate_up: ".block_sparse_moe.input_linear.weight",
            down: ".block_sparse_moe.output_linear.weight",
            transposed: false,
        },
        _ => return None,
    })
}

/// Puts dense experts together as the family's makers do, and names those that
/// they publish one by one as those of most families.
pub fn experts(tensors: Tensors, family: &str) -> Tensors {
    if ["dots1"].contains(&family) {
        let plain = |name: String| name.replace(".mlp.experts.", ".mlp.switch_mlp.");
        return tensors.into_iter().map(|(n, t)| (plain(n), t)).collect();
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
