//! Holds the families against what mlx-lm computed for the same tiny
//! models (`tests/reference/make.py`), through the real loader.
//!
//! Bounds: no logit off by more than 1e-4 of the largest; the same greedy
//! tokens.

mod cases;
mod formats;
mod kv;
mod makers;
mod published;
mod weights;

use std::path::Path;

use maquette::models::{
    ConvertOptions, Input, LoadOptions, Model, Recipe, Rows, SequenceRows, Step, convert, load,
    weights::Affine,
};
use mlx_rs::{Array, ops};

use cases::Case;
use kv::GrowingKv;

const BOUND: f64 = 1e-4;
const PROMPT: usize = 20;
/// The case that is converted: dense, and laid out as published.
const CONVERTED: usize = 2;

/// One test a family, so that they share the machine.
macro_rules! families {
    ($($family:ident),* $(,)?) => {
        mod computes_what_mlx_lm_computes {
            $(#[test]
            #[allow(non_snake_case)]
            fn $family() {
                let (cases, error) = super::check_family(stringify!($family));
                assert!(cases > 0 && error <= super::BOUND);
            })*
        }

        const FAMILIES: &[&str] = &[$(stringify!($family)),*];
    };
}

families! {
    Klear,
    afmoe,
    apertus,
    bailing_moe,
    bailing_moe_linear,
    cohere,
    cohere2,
    dbrx,
    deepseek,
    deepseek_v2,
    deepseek_v3,
    deepseek_v32,
    dots1,
    ernie4_5,
    ernie4_5_moe,
    exaone,
    exaone4,
    exaone_moe,
    falcon_h1,
    falcon_mamba,
    gemma,
    gemma2,
    gemma3,
    gemma3_text,
    gemma4_text,
    glm,
    glm4,
    glm4_moe,
    glm4_moe_lite,
    glm_moe_dsa,
    gpt2,
    gpt_bigcode,
    gpt_neox,
    gpt_oss,
    granite,
    granitemoe,
    granitemoehybrid,
    helium,
    hunyuan,
    hunyuan_v1_dense,
    internlm2,
    internlm3,
    jamba,
    kimi_k25,
    kimi_linear,
    kimi_vl,
    laguna,
    lfm2,
    lfm2_moe,
    lille_130m,
    llama,
    llama4,
    longcat_flash,
    mamba,
    mamba2,
    mellum,
    mimo,
    mimo_v2_flash,
    minicpm,
    minicpm3,
    minimax,
    ministral3,
    mistral,
    mistral3,
    mistral4,
    mixtral,
    nanochat,
    nemotron,
    nemotron_h,
    nemotron_nas,
    olmo,
    olmo2,
    olmo3,
    olmo_hybrid,
    olmoe,
    openelm,
    phi,
    phi3,
    phimoe,
    phixtral,
    pixtral,
    plamo,
    plamo2,
    qwen,
    qwen2,
    qwen2_moe,
    qwen2_vl,
    qwen3,
    qwen3_5,
    qwen3_5_moe,
    qwen3_moe,
    qwen3_next,
    qwen3_vl,
    qwen3_vl_moe,
    recurrent_gemma,
    seed_oss,
    smollm3,
    solar_open,
    stablelm,
    starcoder2,
    step3p5,
    telechat3,
    youtu_llm,
}

/// Every case of a family; how many there are, and the largest error.
fn check_family(family: &str) -> (usize, f64) {
    let cases = cases::read(family);
    assert!(cases.len() >= 4, "{family} has {} cases", cases.len());
    let mut worst = (0.0, String::new());
    for (index, case) in cases.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        // Every layout of files that a model may come in.
        weights::write(folder.path(), case, weights::Layout::for_case(index));
        let model = load(folder.path(), &LoadOptions::default(), &mut |_| {}).unwrap();
        assert_eq!(
            model.spec().parameters(),
            case.parameters(),
            "{}",
            case.name
        );
        let error = check(&model, case);
        if error > worst.0 {
            worst = (error, case.name.clone());
        }
        if index == CONVERTED {
            converts(folder.path(), case);
        }
    }
    println!(
        "{family}: {} cases, worst error {:.1e} ({})",
        cases.len(),
        worst.0,
        worst.1
    );
    (cases.len(), worst.0)
}

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/families.md");

/// Makes docs/families.md: `cargo test --test parity table -- --ignored`
#[test]
#[ignore = "writes docs/families.md"]
fn table() {
    let mut text = String::from(
        "# Model families\n\nEvery value of `model_type` that was held against mlx-lm 0.32.2 with tiny models: logits of the \
         prompt, of a step\nafter it and of a prompt in chunks, and 32 greedy tokens; several shapes, number types and \
         quantisations each, loaded\nas converted for MLX, in shards and as their makers publish them. The error is the \
         largest of any logit, as a part of\nthe largest logit; 1e-4 is allowed. Made by `cargo test --test parity table -- \
         --ignored`.\n\n| family | cases | largest error |\n|---|---|---|\n",
    );
    for family in FAMILIES {
        let (cases, error) = check_family(family);
        text += &format!("| {family} | {cases} | {error:.1e} |\n");
    }
    std::fs::write(TABLE, text).unwrap();
}

#[test]
fn the_table_names_every_family() {
    let text = std::fs::read_to_string(TABLE).unwrap();
    for family in FAMILIES {
        assert!(
            text.contains(&format!("| {family} |")),
            "{family} is not in {TABLE}"
        );
    }
}

/// A folder as its makers publish it becomes one that computes the same, and a
/// quantised one that computes nearly the same.
fn converts(folder: &Path, case: &Case) {
    let home = tempfile::tempdir().unwrap();
    let same = home.path().join("same");
    convert(folder, &same, ConvertOptions::default(), &mut |_| {}).unwrap();
    check(
        &load(&same, &LoadOptions::default(), &mut |_| {}).unwrap(),
        case,
    );
    let eight = home.path().join("eight");
    let recipe = Recipe::Uniform(Affine { bits: 8, group: 32 });
    let options = ConvertOptions {
        recipe: Some(recipe),
        dtype: None,
    };
    let converted = convert(folder, &eight, options, &mut |_| {}).unwrap();
    assert!(
        converted.bytes * 10 < converted.from_bytes * 6,
        "{converted:?}"
    );
    let model = load(&eight, &LoadOptions::default(), &mut |_| {}).unwrap();
    let step = Step::tokens(0, &[1, 2, 3], 0);
    let got = rows(&model.forward(&step, &mut GrowingKv::default()).unwrap());
    let model = load(folder, &LoadOptions::default(), &mut |_| {}).unwrap();
    let wanted = rows(&model.forward(&step, &mut GrowingKv::default()).unwrap());
    let largest = wanted[0].iter().fold(0f32, |most, x| most.max(x.abs()));
    for (a, b) in got[0].iter().zip(&wanted[0]) {
        assert!(
            (a - b).abs() < 0.15 * largest,
            "{}: {a} is not {b}",
            case.name
        );
    }
    // What is quantised is not quantised again, and nothing is written over.
    assert!(convert(&eight, &home.path().join("again"), options, &mut |_| {}).is_err());
    assert!(convert(folder, &eight, options, &mut |_| {}).is_err());
}

/// Returns the largest error, relative to the largest logit.
fn check(model: &Model, case: &Case) -> f64 {
    let prompt: Vec<u32> = weights::words("prompt", PROMPT)
        .map(|word| word % model.spec().vocab as u32)
        .collect();
    let mut kv = GrowingKv::default();
    let mut step = Step::tokens(0, &prompt, 0);
    step.logits = Rows::All;
    let prefill = rows(&model.forward(&step, &mut kv).unwrap());
    let mut error = compare(
        case,
        "middle of the prompt",
        &prefill[PROMPT / 2],
        &case.prefill_middle,
    )
    .max(compare(
        case,
        "end of the prompt",
        &prefill[PROMPT - 1],
        &case.prefill_last,
    ));

    error = error.max(check_greedy(
        model,
        case,
        &mut kv,
        &prompt,
        prefill[PROMPT - 1].clone(),
    ));
    if !case.depends_on_chunks() {
        for sizes in [&[10, 10][..], &[7, 1, 9, 3], &[1; PROMPT]] {
            error = error.max(check_chunked(model, case, &prompt, sizes));
        }
        check_together(model, case, &prompt);
    }
    error
}

fn check_greedy(
    model: &Model,
    case: &Case,
    kv: &mut GrowingKv,
    prompt: &[u32],
    mut logits: Vec<f32>,
) -> f64 {
    let mut tokens = Vec::new();
    let mut error = 0.0;
    for position in prompt.len()..prompt.len() + case.greedy.len() {
        tokens.push(best(&logits));
        let step = Step::tokens(0, &tokens[tokens.len() - 1..], position);
        logits = rows(&model.forward(&step, kv).unwrap()).remove(0);
        if tokens.len() == 1 {
            error = compare(case, "first decode", &logits, &case.decode_first);
        }
    }
    assert_eq!(tokens, case.greedy, "{}: greedy tokens", case.name);
    error
}

/// The prompt in chunks must end in the same logits as the prompt at once.
fn check_chunked(model: &Model, case: &Case, prompt: &[u32], sizes: &[usize]) -> f64 {
    let mut kv = GrowingKv::default();
    let mut logits = Vec::new();
    let mut position = 0;
    for size in sizes {
        let step = Step::tokens(3, &prompt[position..position + size], position);
        logits = rows(&model.forward(&step, &mut kv).unwrap()).remove(0);
        position += size;
    }
    assert_eq!(position, prompt.len());
    compare(
        case,
        &format!("chunks of {sizes:?}"),
        &logits,
        &case.prefill_last,
    )
}

/// Two sequences in one step, a prefill chunk beside a decode row, then two
/// decode rows whose tokens are still lazy.
fn check_together(model: &Model, case: &Case, prompt: &[u32]) {
    let mut kv = GrowingKv::default();
    let (last, first) = (PROMPT - 1, &prompt[..PROMPT - 1]);
    let mut step = Step::tokens(0, first, 0);
    step.logits = Rows::None;
    let none = model.forward(&step, &mut kv).unwrap();
    assert_eq!(none.shape(), [0, model.spec().vocab as i32]);

    let tokens: Vec<u32> = prompt[last..].iter().chain(prompt).copied().collect();
    let mixed = Step {
        input: Input::Tokens(Array::from_slice(&tokens, &[tokens.len() as i32])),
        sequences: vec![
            SequenceRows {
                sequence: 0,
                rows: 1,
                position: last as i32,
                proposed: 0,
            },
            SequenceRows {
                sequence: 1,
                rows: PROMPT,
                position: 0,
                proposed: 0,
            },
        ],
        logits: Rows::Last,
    };
    let logits = model.forward(&mixed, &mut kv).unwrap();
    for row in rows(&logits) {
        compare(
            case,
            "two sequences, prefill beside decode",
            &row,
            &case.prefill_last,
        );
    }

    let lazy = ops::indexing::argmax_axis(&logits, 1, false).unwrap();
    let decode = Step {
        input: Input::Tokens(lazy),
        sequences: (0..2)
            .map(|sequence| SequenceRows {
                sequence,
                rows: 1,
                position: PROMPT as i32,
                proposed: 0,
            })
            .collect(),
        logits: Rows::Only(vec![1, 0]),
    };
    for row in rows(&model.forward(&decode, &mut kv).unwrap()) {
        compare(case, "two sequences, decode", &row, &case.decode_first);
    }
}

fn compare(case: &Case, what: &str, found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len(), "{}: {what}: logits", case.name);
    let largest = expected.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let pairs = found.iter().zip(expected);
    let error = pairs
        .map(|(a, b)| (f64::from(*a) - b).abs() / largest)
        .fold(0.0, f64::max);
    assert!(
        error <= BOUND,
        "{}: {what}: off by {error:.2e} of the largest logit",
        case.name
    );
    // A NaN would slip through `max`.
    assert!(
        found.iter().all(|x| x.is_finite()),
        "{}: {what}: {found:?}",
        case.name
    );
    error
}

fn rows(logits: &Array) -> Vec<Vec<f32>> {
    let width = logits.dim(1) as usize;
    let numbers = logits.to_vec_cast::<f32>().unwrap();
    numbers.chunks(width).map(<[f32]>::to_vec).collect()
}

fn best(logits: &[f32]) -> u32 {
    let better = |a: usize, b: usize| if logits[b] > logits[a] { b } else { a };
    (0..logits.len()).reduce(better).unwrap() as u32
}
