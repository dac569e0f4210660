//! Weights that other programs packed: FP8 with scales of blocks, rows or
//! tensors, AWQ, GPTQ. A model of them computes what one of the same numbers as
//! floats computes.

use std::collections::BTreeMap;

use half::{bf16, f16};
use maquette::models::{LoadOptions, Rows, Step, load};
use safetensors::Dtype;
use serde_json::{Value, json};

use super::{
    cases::{self, Case},
    kv::GrowingKv,
    rows,
    weights::{Tensor, tensors, words, write_file},
};

type Tensors = BTreeMap<String, Tensor>;

/// A packed matrix `[rows, columns]` beside the numbers that it stands for.
struct Packed {
    parts: Vec<(&'static str, Tensor)>,
    numbers: Vec<f32>,
}

fn tensor(dtype: Dtype, shape: &[usize], bytes: impl Iterator<Item = u8>) -> Tensor {
    Tensor {
        dtype,
        shape: shape.to_vec(),
        bytes: bytes.collect(),
    }
}

fn floats(numbers: &[f32], shape: &[usize]) -> Tensor {
    tensor(
        Dtype::F32,
        shape,
        numbers.iter().flat_map(|x| x.to_le_bytes()),
    )
}

/// A float of four bits of exponent and three of mantissa, by its definition.
fn e4m3(code: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(code >> 3 & 15), f32::from(code & 7));
    let size = match exponent {
        0 => mantissa / 512.0,
        _ => (1.0 + mantissa / 8.0) * 2f32.powi(exponent - 7),
    };
    if code < 128 { size } else { -size }
}

fn fp8(name: &str, [rows, columns]: [usize; 2], block: [usize; 2], shape: &[usize]) -> Packed {
    // Sizes around 1, of both signs.
    let codes: Vec<u8> = words(name, rows * columns)
        .map(|word| (word % 32 + 32) as u8 | (word >> 24 & 128) as u8)
        .collect();
    let across = columns.div_ceil(block[1]);
    let count = rows.div_ceil(block[0]) * across;
    let scales: Vec<f32> = words(&format!("{name} scale"), count)
        .map(|word| 0.04 + (word % 7) as f32 * 0.011)
        .collect();
    let number = |at: usize| {
        let scale = scales[at / columns / block[0] * across + at % columns / block[1]];
        bf16::from_f32(e4m3(codes[at]) * scale).to_f32()
    };
    Packed {
        numbers: (0..rows * columns).map(number).collect(),
        parts: vec![
            (
                "weight",
                tensor(Dtype::F8_E4M3, &[rows, columns], codes.iter().copied()),
            ),
            ("weight_scale_inv", floats(&scales, shape)),
        ],
    }
}

/// AWQ's order of columns in a word, or GPTQ's rows of the transposed matrix.
fn grouped(name: &str, [rows, columns]: [usize; 2], awq: bool) -> Packed {
    const GROUP: usize = 32;
    let groups = columns / GROUP;
    let codes: Vec<u32> = words(name, rows * columns).map(|word| word >> 28).collect();
    let zeros: Vec<u32> = words(&format!("{name} zero"), groups * rows)
        .map(|word| word % 15 + 1)
        .collect();
    let scales: Vec<f16> = words(&format!("{name} scale"), groups * rows)
        .map(|word| f16::from_f32(0.01 + (word % 5) as f32 / 256.0))
        .collect();
    let code = |row: usize, column: usize| codes[row * columns + column];
    let zero = |group: usize, row: usize| zeros[group * rows + row];
    let word = |of: &dyn Fn(usize) -> u32| {
        (0..8).fold(0u32, |word, place| word | of(place) << (4 * place))
    };
    let order = |place: usize| {
        if awq {
            [0, 2, 4, 6, 1, 3, 5, 7][place]
        } else {
            place
        }
    };
    let (packed, shape): (Vec<u32>, [usize; 2]) = match awq {
        true => (
            (0..columns * rows / 8)
                .map(|at| (at / (rows / 8), at % (rows / 8) * 8))
                .map(|(column, first)| word(&|place| code(first + order(place), column)))
                .collect(),
            [columns, rows / 8],
        ),
        false => (
            (0..columns / 8 * rows)
                .map(|at| (at / rows * 8, at % rows))
                .map(|(first, row)| word(&|place| code(row, first + place)))
                .collect(),
            [columns / 8, rows],
        ),
    };
    let off = u32::from(!awq);
    let packed_zeros: Vec<u32> = (0..groups * rows / 8)
        .map(|at| (at / (rows / 8), at % (rows / 8) * 8))
        .map(|(group, first)| word(&|place| zero(group, first + order(place)) - off))
        .collect();
    let number = |at: usize| {
        let (row, column) = (at / columns, at % columns);
        let group = column / GROUP;
        let distance = code(row, column) as f32 - zero(group, row) as f32;
        distance * scales[group * rows + row].to_f32()
    };
    let ints = |numbers: &[u32], shape: &[usize]| {
        tensor(
            Dtype::I32,
            shape,
            numbers.iter().flat_map(|x| x.to_le_bytes()),
        )
    };
    let mut parts = vec![
        ("qweight", ints(&packed, &shape)),
        ("qzeros", ints(&packed_zeros, &[groups, rows / 8])),
        (
            "scales",
            tensor(
                Dtype::F16,
                &[groups, rows],
                scales.iter().flat_map(|x| x.to_le_bytes()),
            ),
        ),
    ];
    if !awq {
        let order: Vec<u32> = (0..columns).map(|column| (column / GROUP) as u32).collect();
        parts.push(("g_idx", ints(&order, &[columns])));
    }
    Packed {
        numbers: (0..rows * columns).map(number).collect(),
        parts,
    }
}

/// Logits of a model with these tensors.
fn logits(case: &Case, settings: Option<Value>, tensors: &Tensors) -> Vec<Vec<f32>> {
    let folder = tempfile::tempdir().unwrap();
    let mut config = case.config.clone();
    if let Some(settings) = settings {
        config["quantization_config"] = settings;
    }
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    write_file(&folder.path().join("model.safetensors"), tensors);
    let model = load(folder.path(), &LoadOptions::default(), &mut |_| {}).unwrap();
    let mut step = Step::tokens(0, &[3, 1, 4, 1, 5], 0);
    step.logits = Rows::All;
    rows(&model.forward(&step, &mut GrowingKv::default()).unwrap())
}

/// The layers' matrices packed by `pack`, against their numbers as floats.
fn check(name: &str, settings: Value, pack: impl Fn(&str, [usize; 2]) -> Packed) {
    let case = cases::read("llama").remove(0);
    assert_eq!(case.dtype, "f32");
    let (mut packed, mut plain) = (tensors(&case), tensors(&case));
    for (module, shape) in &case.table.linear {
        if !module.contains("layers") {
            continue;
        }
        let shape = [shape[0], shape[1]];
        let own = pack(module, shape);
        let weight = format!("{module}.weight");
        plain.insert(weight.clone(), floats(&own.numbers, &shape));
        packed.remove(&weight);
        let parts = own.parts.into_iter();
        packed.extend(parts.map(|(part, tensor)| (format!("{module}.{part}"), tensor)));
    }
    let wanted = logits(&case, None, &plain);
    let got = logits(&case, Some(settings), &packed);
    let largest = wanted
        .iter()
        .flatten()
        .fold(0f32, |most, x| most.max(x.abs()));
    for (a, b) in got.iter().flatten().zip(wanted.iter().flatten()) {
        assert!((a - b).abs() <= 1e-4 * largest, "{name}: {a} is not {b}");
    }
}

#[test]
fn fp8_with_scales_of_blocks_rows_and_tensors() {
    let blocks = json!({"quant_method": "fp8", "weight_block_size": [64, 48]});
    check("blocks", blocks, |name, [rows, columns]| {
        let shape = [rows.div_ceil(64), columns.div_ceil(48)];
        fp8(name, [rows, columns], [64, 48], &shape)
    });
    let other = json!({"quant_method": "fp8"});
    check("rows", other.clone(), |name, [rows, columns]| {
        fp8(name, [rows, columns], [1, columns], &[rows, 1])
    });
    check("tensors", other, |name, shape| fp8(name, shape, shape, &[]));
}

#[test]
fn awq() {
    let settings = json!({"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"});
    check("awq", settings, |name, shape| grouped(name, shape, true));
}

#[test]
fn gptq() {
    let settings = json!({"quant_method": "gptq", "bits": 4, "group_size": 32});
    check("gptq", settings, |name, shape| grouped(name, shape, false));
}
