//! Decoding row by row gives what one pass over the whole text gives: alone,
//! among sequences of other lengths, beside prompts, across buffers that grow.
//!
//! On a GPU this holds Maquette's own kernels against MLX's. Random weights in
//! shapes that take every way through them.

use std::time::Duration;

use maquette::{
    cache::{
        CacheOptions, KvCache, KvPolicy, Unsaved,
        disk::{Disk, DiskOptions},
    },
    mlx::{self, quantized_matmul},
    models::{Input, Model, Rows, SequenceRows, Step, random},
};
use mlx_rs::{Array, Dtype, ops};
use serde_json::{Value, json};

#[path = "support/kinds.rs"]
mod kinds;

const VOCABULARY: u32 = 96;

/// A model of two layers with random weights.
fn model(
    family: &str,
    [heads, kv_heads, dim]: [usize; 3],
    more: Value,
    bits: Option<u32>,
) -> Model {
    let mut config = json!({
        "model_type": family,
        "hidden_size": 128,
        "intermediate_size": 192,
        "num_hidden_layers": 2,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": dim,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": true,
        "torch_dtype": "float32",
    });
    for (key, value) in more.as_object().expect("an object") {
        config[key] = value.clone();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.json");
    std::fs::write(&path, config.to_string()).expect("written");
    random(&path, bits, &mut |_| {}).expect("a model")
}

fn text(seed: u32, length: usize) -> Vec<u32> {
    let next = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 16) % VOCABULARY)
    };
    std::iter::repeat_n((), length)
        .scan(seed, |state, ()| next(state))
        .collect()
}

fn admit(kv: &mut KvCache, sequence: usize, prompt: &[u32]) {
    let policy = KvPolicy::default();
    kv.admit(sequence, prompt, prompt.len(), &policy)
        .expect("room");
}

/// As the engine does before every step.
fn make_room(kv: &mut KvCache, step: &Step) {
    for rows in &step.sequences {
        let tokens = rows.position as usize + rows.rows;
        kv.grow(rows.sequence, tokens).expect("room");
    }
}

fn rows(logits: &Array) -> Vec<Vec<f32>> {
    let all: Vec<f32> = logits.to_vec_cast().expect("numbers");
    all.chunks(VOCABULARY as usize)
        .map(<[f32]>::to_vec)
        .collect()
}

/// Logits after every token, from one pass.
fn in_one_pass(model: &Model, tokens: &[u32]) -> Vec<Vec<f32>> {
    let mut kv = cache(model);
    admit(&mut kv, 0, tokens);
    let mut step = Step::tokens(0, tokens, 0);
    step.logits = Rows::All;
    rows(&model.forward(&step, &mut kv).expect("logits"))
}

fn cache(model: &Model) -> KvCache {
    KvCache::new(CacheOptions {
        fingerprint: "test".into(),
        layers: model.kv_layers(),
        limit: u64::MAX,
        kept_limit: 0,
        ..CacheOptions::default()
    })
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], wanted: &[f32], bound: f32) {
    let largest = wanted.iter().fold(0f32, |most, x| most.max(x.abs()));
    for (a, b) in got.iter().zip(wanted) {
        assert!(
            (a - b).abs() <= bound * largest,
            "{what}: {a} is not {b} (largest {largest})"
        );
    }
}

/// Sequences that begin with prompts of `prompts` tokens and go on together,
/// one of them with a prompt that arrives later, in chunks.
fn check(model: &Model, prompts: &[usize], steps: usize, bound: f32) {
    let late = 90;
    let texts: Vec<Vec<u32>> = prompts
        .iter()
        .enumerate()
        .map(|(i, prompt)| text(i as u32 + 1, prompt + steps))
        .collect();
    let late_text = text(99, late);
    let wanted: Vec<_> = texts.iter().map(|text| in_one_pass(model, text)).collect();
    let late_wanted = in_one_pass(model, &late_text);
    let mut kv = cache(model);
    for (sequence, (text, prompt)) in texts.iter().zip(prompts).enumerate() {
        admit(&mut kv, sequence, &text[..*prompt]);
        let step = Step::tokens(sequence, &text[..*prompt], 0);
        let got = rows(&model.forward(&step, &mut kv).expect("logits"));
        assert_close("prompt", &got[0], &wanted[sequence][prompt - 1], bound);
    }
    let newcomer = prompts.len();
    admit(&mut kv, newcomer, &late_text[..late]);
    for number in 0..steps {
        let mut tokens: Vec<u32> = texts
            .iter()
            .zip(prompts)
            .map(|(t, p)| t[p + number])
            .collect();
        let mut parts: Vec<SequenceRows> = prompts
            .iter()
            .enumerate()
            .map(|(sequence, prompt)| SequenceRows {
                sequence,
                rows: 1,
                position: (prompt + number) as i32,
                proposed: 0,
            })
            .collect();
        // The newcomer's prompt comes in three chunks, from the third step on.
        let chunk = number.checked_sub(2).filter(|chunk| *chunk < 3);
        if let Some(chunk) = chunk {
            let from = chunk * late / 3;
            tokens.extend(&late_text[from..(chunk + 1) * late / 3]);
            parts.push(SequenceRows {
                sequence: newcomer,
                rows: late / 3,
                position: from as i32,
                proposed: 0,
            });
        }
        let step = Step {
            input: Input::Tokens(Array::from_slice(&tokens, &[tokens.len() as i32])),
            sequences: parts,
            logits: Rows::Last,
        };
        make_room(&mut kv, &step);
        let got = rows(&model.forward(&step, &mut kv).expect("logits"));
        for (sequence, prompt) in prompts.iter().enumerate() {
            let what = format!("sequence {sequence}, step {number}");
            assert_close(
                &what,
                &got[sequence],
                &wanted[sequence][prompt + number],
                bound,
            );
        }
        if let Some(chunk) = chunk {
            let end = (chunk + 1) * late / 3 - 1;
            assert_close("newcomer", &got[newcomer], &late_wanted[end], bound);
        }
    }
}

#[test]
fn one_sequence() {
    let model = model("qwen3", [4, 2, 64], json!({}), None);
    // Across the border at which buffers grow.
    check(&model, &[250], 12, 1e-4);
    check(&model, &[1], 6, 1e-4);
}

#[test]
fn several_lengths_together() {
    let model = model("qwen3", [8, 2, 128], json!({}), None);
    check(&model, &[300, 7, 64, 129, 255], 8, 1e-4);
}

#[test]
fn many_sequences() {
    let model = model("llama", [4, 4, 64], json!({}), None);
    let prompts: Vec<usize> = (0..70).map(|i| 3 + i * 2).collect();
    check(&model, &prompts, 6, 1e-4);
}

/// Several rows of each sequence in a step, as when proposed tokens are tested:
/// some of them few, one more than a kernel takes.
#[test]
fn several_rows_of_each() {
    for (family, form) in [("qwen3", [8, 2, 128]), ("llama", [6, 2, 64])] {
        let model = model(family, form, json!({}), None);
        let prompts = [70, 3, 256, 130, 64, 255];
        let counts = [5, 1, 16, 3, 17, 2];
        let mut kv = cache(&model);
        let texts: Vec<Vec<u32>> = (0..6).map(|i| text(i + 1, 320)).collect();
        let wanted: Vec<_> = texts.iter().map(|text| in_one_pass(&model, text)).collect();
        for (sequence, prompt) in prompts.into_iter().enumerate() {
            let prompt = &texts[sequence][..prompt];
            admit(&mut kv, sequence, prompt);
            let step = Step::tokens(sequence, prompt, 0);
            rows(&model.forward(&step, &mut kv).expect("logits"));
        }
        for number in 0..3 {
            let position = |sequence: usize| prompts[sequence] + number * counts[sequence];
            let own = |sequence: usize| &texts[sequence][position(sequence)..][..counts[sequence]];
            let tokens: Vec<u32> = (0..6).flat_map(own).copied().collect();
            let step = Step {
                input: Input::Tokens(Array::from_slice(&tokens, &[tokens.len() as i32])),
                sequences: (0..6)
                    .map(|sequence| SequenceRows {
                        sequence,
                        rows: counts[sequence],
                        position: position(sequence) as i32,
                        proposed: 0,
                    })
                    .collect(),
                logits: Rows::All,
            };
            let mut got = rows(&model.forward(&step, &mut kv).expect("logits")).into_iter();
            for sequence in 0..6 {
                for row in 0..counts[sequence] {
                    let what = format!("{family}, sequence {sequence}, row {row}, step {number}");
                    let wanted = &wanted[sequence][position(sequence) + row];
                    assert_close(&what, &got.next().expect("a row"), wanted, 1e-4);
                }
            }
        }
    }
}

/// Packed keys and values beside plain ones: close to what is not packed.
#[test]
fn packed_keys_and_values() {
    let more = json!({"torch_dtype": "float16"});
    let model = model("qwen3", [4, 2, 64], more, None);
    for (mode, bound) in [("half", 0.02), ("affine-8", 0.03), ("turbo-4", 0.3)] {
        let text = text(5, 400);
        let wanted = in_one_pass(&model, &text);
        let mut kv = cache(&model);
        for (sequence, mode) in [(0, mode), (1, "plain")] {
            let policy = KvPolicy {
                mode: mode.parse().expect("a mode"),
                ..KvPolicy::default()
            };
            kv.admit(sequence, &text, text.len(), &policy)
                .expect("room");
        }
        let mut position = 0;
        for count in [300, 1, 20, 1, 1, 40, 1, 1] {
            let part = &text[position..position + count];
            let step = Step {
                input: Input::Tokens(Array::from_slice(
                    &[part, part].concat(),
                    &[2 * count as i32],
                )),
                sequences: [0, 1]
                    .map(|sequence| SequenceRows {
                        sequence,
                        rows: count,
                        position: position as i32,
                        proposed: 0,
                    })
                    .into(),
                logits: Rows::Last,
            };
            position += count;
            let got = rows(&model.forward(&step, &mut kv).expect("logits"));
            let what = format!("{mode} at {position}");
            assert_close(&what, &got[0], &wanted[position - 1], bound);
            assert_close("plain beside it", &got[1], &wanted[position - 1], 0.02);
        }
    }
}

#[test]
fn a_sliding_window() {
    let window = json!({"sliding_window": 40});
    let model = model("mistral", [6, 2, 64], window, None);
    check(&model, &[100, 30, 39, 41], 6, 1e-4);
    // Longer than what is held of a window: older tokens are given up.
    check(&model, &[700, 505, 3], 12, 1e-4);
}

#[test]
fn scaled_rotations_and_wide_heads() {
    let scaling = json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 64}});
    let model = model("llama", [7, 1, 256], scaling, None);
    check(&model, &[200, 70, 3], 5, 1e-4);
}

#[test]
fn packed_weights() {
    for sequences in [1, 2, 3, 7, 8, 9] {
        let model = model("qwen3", [4, 2, 64], json!({}), Some(8));
        let prompts: Vec<usize> = (0..sequences).map(|i| 20 + 11 * i).collect();
        check(&model, &prompts, 5, 1e-4);
    }
}

#[test]
fn packed_weights_of_half_precision() {
    let more = json!({"torch_dtype": "float16", "intermediate_size": 256});
    for (bits, sequences) in [(4, 1), (4, 3), (4, 9), (4, 20), (8, 5), (8, 70)] {
        let model = model("qwen3", [4, 2, 64], more.clone(), Some(bits));
        let prompts: Vec<usize> = (0..sequences).map(|i| 5 + 3 * i).collect();
        check(&model, &prompts, 4, 0.03);
    }
}

/// Packed products against unpacked ones, for every number of rows that has a
/// way of its own.
#[test]
fn products_of_packed_weights() {
    let numbers = |shape: &[i32], seed: i32| {
        let size: i32 = shape.iter().product();
        let values: Vec<f32> = (0..size)
            .map(|i| ((i * 37 + i / 11 + seed * 13) % 101) as f32 / 50.0 - 1.0)
            .collect();
        Array::from_slice(&values, shape)
    };
    for dtype in [Dtype::Float16, Dtype::Bfloat16] {
        for (bits, group) in [
            (4, 64),
            (8, 64),
            (4, 32),
            (8, 32),
            (4, 128),
            (8, 128),
            (3, 64),
        ] {
            let w = numbers(&[96, 256], bits).as_dtype(dtype).unwrap();
            let (packed, scales, biases) = ops::quantize(&w, group, bits).unwrap();
            let plain = ops::dequantize(&packed, &scales, &biases, group, bits).unwrap();
            let plain = plain.as_dtype(Dtype::Float32).unwrap();
            for rows in [1, 2, 8, 9, 17, 33, 64, 65, 200] {
                let x = numbers(&[rows, 256], rows).as_dtype(dtype).unwrap();
                let got = quantized_matmul(&x, &packed, &scales, &biases, group, bits).unwrap();
                let x = x.as_dtype(Dtype::Float32).unwrap();
                let wanted = ops::matmul(&x, plain.t()).unwrap();
                let (got, wanted): (Vec<f32>, Vec<f32>) =
                    (got.to_vec_cast().unwrap(), wanted.to_vec_cast().unwrap());
                // MLX itself adds up in the type at hand on some devices.
                let bound = if dtype == Dtype::Float16 { 1e-2 } else { 6e-2 };
                let what = format!("{dtype:?}, {bits} bits in {group}, {rows} rows");
                assert_eq!(got.len(), wanted.len());
                assert_close(&what, &got, &wanted, bound);
            }
        }
    }
}

/// Packed weights with few rows and many columns, which several blocks share.
#[test]
fn shared_columns_of_packed_weights() {
    let numbers = |shape: &[i32], seed: i32| {
        let size: i32 = shape.iter().product();
        let values: Vec<f32> = (0..size)
            .map(|i| ((i * 37 + i / 11 + seed * 13) % 101) as f32 / 50.0 - 1.0)
            .collect();
        Array::from_slice(&values, shape)
    };
    // The CPU has kernels of ours for whole floats alone.
    let dtype = match mlx::backend() {
        mlx::Backend::Cpu => Dtype::Float32,
        _ => Dtype::Bfloat16,
    };
    for (bits, of_w, columns) in [(4, 256, 4096), (8, 160, 4096)] {
        let w = numbers(&[of_w, columns], bits);
        let w = w.as_dtype(dtype).unwrap();
        let (packed, scales, biases) = ops::quantize(&w, 64, bits).unwrap();
        let plain = ops::dequantize(&packed, &scales, &biases, 64, bits).unwrap();
        let plain = plain.as_dtype(Dtype::Float32).unwrap();
        for rows in [17, 33, 64, 130] {
            let x = numbers(&[rows, columns], rows);
            let x = x.as_dtype(dtype).unwrap();
            let got = quantized_matmul(&x, &packed, &scales, &biases, 64, bits).unwrap();
            let x = x.as_dtype(Dtype::Float32).unwrap();
            let wanted = ops::matmul(&x, plain.t()).unwrap();
            let (got, wanted): (Vec<f32>, Vec<f32>) =
                (got.to_vec_cast().unwrap(), wanted.to_vec_cast().unwrap());
            let what = format!("{bits} bits, {rows} rows, {of_w} of {columns}");
            assert_eq!(got.len(), wanted.len());
            assert_close(&what, &got, &wanted, 6e-2);
        }
    }
}

#[test]
fn a_single_row_of_dense_weights() {
    let numbers = |shape: &[i32], seed: i32| {
        let size: i32 = shape.iter().product();
        let values: Vec<f32> = (0..size)
            .map(|i| ((i % 7919 * 37 + i / 11 + seed * 13) % 101) as f32 / 50.0 - 1.0)
            .collect();
        Array::from_slice(&values, shape)
    };
    for (of_w, columns) in [(1030, 1024), (16_391, 200), (700, 4096)] {
        let (x, w) = (numbers(&[1, columns], 1), numbers(&[of_w, columns], 2));
        let wanted = ops::matmul(&x, w.t()).unwrap();
        for dtype in [Dtype::Float32, Dtype::Float16, Dtype::Bfloat16] {
            // On the CPU whole floats alone are multiplied by kernels of ours.
            let is_half = dtype != Dtype::Float32;
            if is_half && mlx::backend() == mlx::Backend::Cpu {
                continue;
            }
            let [x, w] = [&x, &w].map(|array| array.as_dtype(dtype).unwrap());
            let got = mlx::matmul_t(&x, &w).unwrap();
            assert_eq!(got.shape(), [1, of_w]);
            let (got, wanted): (Vec<f32>, Vec<f32>) =
                (got.to_vec_cast().unwrap(), wanted.to_vec_cast().unwrap());
            assert_close(&format!("{dtype:?}"), &got, &wanted, 2e-2);
        }
    }
}

/// Prompts in pieces of every size that has a way of its own, against one pass.
#[test]
fn chunks_of_half_precision() {
    let window = json!({"sliding_window": 40, "torch_dtype": "float16"});
    for (family, form, more) in [
        ("qwen3", [8, 4, 128], json!({"torch_dtype": "bfloat16"})),
        ("mistral", [6, 2, 64], window),
    ] {
        let model = model(family, form, more, None);
        let text = text(3, 720);
        let wanted = in_one_pass(&model, &text);
        let mut kv = cache(&model);
        admit(&mut kv, 0, &text);
        let mut position = 0;
        for count in [5, 17, 1, 64, 3, 100, 33, 200, 256, 9, 32] {
            let part = &text[position..position + count];
            let mut step = Step::tokens(0, part, position);
            step.logits = Rows::All;
            make_room(&mut kv, &step);
            let got = rows(&model.forward(&step, &mut kv).expect("logits"));
            for (row, got) in got.iter().enumerate() {
                let what = format!("{family}, row {row} of {count} at {position}");
                assert_close(&what, got, &wanted[position + row], 0.06);
            }
            position += count;
        }
        assert_eq!(position, text.len());
    }
}

/// Pages that a disk gives back are what they were: whoever goes on from them
/// says the same as before, to the last digit.
#[test]
fn pages_from_the_disk() {
    let more = json!({"torch_dtype": "float16"});
    let model = model("qwen3", [4, 2, 64], more, None);
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Disk::start(DiskOptions {
        folder: folder.path().to_owned(),
        limit: 1 << 30,
    });
    // More pages than are read at once, and than one kernel may have room for.
    let text = text(7, 64 * 24 + 11);
    let last = text.len() - 11;
    let mut answers = Vec::new();
    for found in [0, last] {
        let mut kv = cache(&model).with_disk(disk.model("test"));
        let policy = KvPolicy::default();
        let cached = kv.admit(0, &text, text.len(), &policy).expect("room");
        assert_eq!(cached, found);
        for (from, to) in [(0, last), (last, text.len())] {
            if from < cached {
                continue;
            }
            let mut step = Step::tokens(0, &text[from..to], from);
            step.logits = Rows::All;
            make_room(&mut kv, &step);
            let logits = rows(&model.forward(&step, &mut kv).expect("logits"));
            if to == text.len() {
                answers.push(logits);
            }
        }
        kv.seal(0, &text);
        while kv.write_behind() == Unsaved::More {}
        disk.flush(Duration::from_secs(60));
    }
    assert_eq!(disk.counters().read_pages, 24);
    assert!(answers[0] == answers[1]);
}

#[test]
fn heads_without_a_kernel_of_their_own() {
    let model = model("llama", [4, 2, 32], json!({}), None);
    check(&model, &[50, 20], 5, 1e-4);
}

#[test]
fn half_precision() {
    for dtype in ["float16", "bfloat16"] {
        let model = model("qwen3", [8, 4, 128], json!({"torch_dtype": dtype}), None);
        // A few steps of the type's own rounding.
        check(&model, &[130, 40, 5], 5, 0.06);
    }
}

/// Kinds of layers that take the general way, and such as carry a state: in one
/// step beside one another, single rows and chunks.
#[test]
fn every_kind_of_layer() {
    for (family, more) in kinds::all() {
        let model = model(family, [4, 2, 32], more, None);
        println!("{family}");
        check(&model, &[70, 7, 130, 1], 6, 2e-4);
    }
}
