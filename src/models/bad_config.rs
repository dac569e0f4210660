//! Every way a config.json can be wrong, and the message it earns; and what is
//! made of sound ones.

use mlx_rs::{Array, error::Exception};
use serde_json::json;

use super::{Step, families, inspect, random, test_folder::TestFolder};
use crate::cache::{KvStore, Past};

fn supported() -> String {
    families::supported().collect::<Vec<_>>().join(", ")
}

fn with_config(key: &str, value: serde_json::Value) -> String {
    let mut folder = TestFolder::new();
    folder.config[key] = value;
    folder.written_complaint()
}

/// Enough of a store for one chunk.
struct NoPast;

impl KvStore for NoPast {
    fn update(
        &mut self,
        _: usize,
        _: usize,
        keys: Array,
        values: Array,
    ) -> Result<Past, Exception> {
        Ok(Past::plain(keys, values))
    }
}

#[test]
fn a_sound_folder_loads_and_computes() {
    let folder = TestFolder::new();
    folder.write();
    let mut told = Vec::new();
    let model = super::load(folder.path(), &Default::default(), &mut |p| told.push(p)).unwrap();
    assert_eq!(told.last(), Some(&1.0));
    assert!(told.is_sorted(), "{told:?}");
    let logits = model
        .forward(&Step::tokens(0, &[1, 2, 3], 0), &mut NoPast)
        .unwrap();
    let logits = logits.to_vec_cast::<f32>().unwrap();
    assert_eq!(logits.len(), 32);
    assert!(logits.iter().all(|x| x.is_finite()));
    // Each weight and norm once: 9 matrices of 64 columns and 3 norms, in f32.
    let numbers = (2 * 32 + 7 * 64) * 64 + 3 * 64;
    assert_eq!(model.spec().parameters(), numbers);
    assert_eq!(model.weight_bytes(), 4 * numbers);
    assert_eq!(model.kv_bytes_per_token(), 2 * 64 * 4);
    // Four hidden states and attention's four widths, then logits.
    let (row, logits) = ((4 + 4) * 64 * 4, 32 * 3 * 4);
    assert_eq!(model.step_bytes(10, 2), 2 * (10 * row + 2 * logits));
    assert_eq!(model.quantisation(), "f32");
}

#[test]
fn config_json_is_read_strictly() {
    let folder = TestFolder::new();
    assert_eq!(
        folder.complaint(),
        "FOLDER/config.json: No such file or directory (os error 2). A model is a folder with \
         config.json, *.safetensors and tokenizer.json."
    );
    let write = |text| std::fs::write(folder.path().join("config.json"), text).unwrap();
    write("{\n  \"model_type\": \"llama\"\n  \"vocab_size\": 3\n}");
    assert_eq!(
        folder.complaint(),
        "FOLDER/config.json, line 3, column 3: not valid JSON (expected `,` or `}` at line 3 \
         column 3). Download the file again."
    );
    write(
        "{\"model_type\": \"an \\\"Infinity\", \"limit\": [0, Infinity], \"Infinity\": -Infinity}",
    );
    let config = super::Config::read(&folder.path().join("config.json")).unwrap();
    assert_eq!(config.text("model_type").unwrap(), "an \"Infinity");
    assert_eq!(config.numbers("limit").unwrap()[1] as f32, f32::INFINITY);
    write("[]");
    assert_eq!(
        folder.complaint(),
        "FOLDER/config.json: expected a JSON object, found a list. A model is a folder with \
         config.json, *.safetensors and tokenizer.json."
    );
    write("{}");
    assert_eq!(
        folder.complaint(),
        "FOLDER/config.json: `model_type` is missing."
    );
}

#[test]
fn unknown_families_are_told_the_known_ones() {
    assert_eq!(
        with_config("model_type", json!("qwen3_nxt")),
        format!(
            "FOLDER/config.json: the model family `qwen3_nxt` is not supported. Supported: \
             {}. The nearest is qwen3_next.",
            supported()
        )
    );
    assert_eq!(
        with_config("model_type", json!("bert")),
        format!(
            "FOLDER/config.json: the model family `bert` is not supported. Supported: {}.",
            supported()
        )
    );
}

#[test]
fn values_that_make_no_sense_are_named() {
    for (key, value, problem) in [
        (
            "vocab_size",
            json!("many"),
            "is \"many\": expected a whole number from 1 to 16777216",
        ),
        (
            "hidden_size",
            json!(0),
            "is 0: expected a whole number from 1 to 16777216",
        ),
        ("hidden_size", json!(null), "is missing"),
        (
            "num_hidden_layers",
            json!(100_000),
            "is 100000: expected at most 4096",
        ),
        (
            "rms_norm_eps",
            json!(-1.0),
            "is -1: expected a number above 0",
        ),
        (
            "tie_word_embeddings",
            json!(1),
            "is 1: expected true or false",
        ),
        (
            "num_key_value_heads",
            json!(3),
            "is 3: the 2 attention heads cannot be shared among it evenly",
        ),
        (
            "head_dim",
            json!(15),
            "is 15: rotary positions need an even size",
        ),
        ("rope_theta", json!(0), "is 0: expected a number above 0"),
        ("rope_scaling", json!([]), "is []: expected an object"),
        (
            "layer_types",
            json!([]),
            "has 0 entries: expected one for each of the 1 layers",
        ),
        (
            "layer_types",
            json!(["linear_attention"]),
            "has the entry \"linear_attention\": expected \"full_attention\" or \"sliding_attention\"",
        ),
    ] {
        let expected = format!("FOLDER/config.json: `{key}` {problem}.");
        assert_eq!(with_config(key, value), expected);
    }
    assert_eq!(
        with_config("rope_scaling", json!({"rope_type": "spiral"})),
        "FOLDER/config.json: `rope_scaling.rope_type` is \"spiral\": expected \"default\", \
         \"linear\", \"dynamic\", \"llama3\", \"longrope\" or \"yarn\"."
    );
    assert_eq!(
        with_config("rope_scaling", json!({"type": "linear"})),
        "FOLDER/config.json: `rope_scaling.factor` is missing."
    );
}

#[test]
fn layers_whose_parts_do_not_fit_are_named() {
    let complaint = |family: &str, more: serde_json::Value| {
        let mut folder = TestFolder::new();
        folder.config["model_type"] = json!(family);
        for (key, value) in more.as_object().unwrap() {
            folder.config[key] = value.clone();
        }
        folder.written_complaint()
    };
    let experts = |chosen: usize, width: usize| json!({"num_experts": 4, "num_experts_per_tok": chosen, "moe_intermediate_size": width});
    let latent = |rotated: usize, groups: usize| {
        json!({"q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 16, "v_head_dim": 16,
            "qk_rope_head_dim": rotated, "n_routed_experts": 4, "num_experts_per_tok": 2,
            "moe_intermediate_size": 16, "n_group": groups})
    };
    let state = |groups: usize, kernel: usize| {
        json!({"num_heads": 4, "head_dim": 16, "state_size": 16, "n_groups": groups,
            "conv_kernel": kernel, "layer_norm_epsilon": 1e-5})
    };
    for (family, config, problem) in [
        (
            "qwen3_moe",
            experts(5, 16),
            "`num_experts_per_tok` is 5: there are 4 experts",
        ),
        (
            "qwen3_moe",
            experts(2, 1 << 24),
            "`moe_intermediate_size` makes a layer 67108864 numbers wide",
        ),
        (
            "deepseek_v3",
            latent(7, 1),
            "`qk_rope_head_dim` is 7: rotary positions need an even size",
        ),
        (
            "deepseek_v3",
            latent(8, 3),
            "`n_group` is 3: the 4 experts do not make up as many equal groups",
        ),
        (
            "mamba2",
            state(3, 4),
            "`n_groups` is 3: the 4 heads do not divide by it",
        ),
        (
            "mamba2",
            state(2, 1),
            "`conv_kernel` is 1: expected a convolution over 2 to 64 tokens",
        ),
        (
            "phi3",
            json!({"partial_rotary_factor": 0.1}),
            "`partial_rotary_factor` makes rotary positions of 3 of 32 numbers a head: expected \
             an even number of them",
        ),
        (
            "granitemoehybrid",
            json!({"layer_types": ["mamba2"]}),
            "`layer_types` has the entry \"mamba2\": expected \"mamba\" or \"attention\"",
        ),
    ] {
        let expected = format!("FOLDER/config.json: {problem}.");
        assert_eq!(complaint(family, config), expected);
    }
}

#[test]
fn quantisation_settings_are_read_strictly() {
    let about = |settings| with_config("quantization", settings);
    for (settings, problem) in [
        (json!({"bits": 4}), "group_size` is missing"),
        (
            json!({"bits": 7, "group_size": 64}),
            "bits` asks for 7 bits: expected 2, 3, 4, 5, 6 or 8",
        ),
        (
            json!({"bits": 4, "group_size": 48}),
            "group_size` asks for groups of 48: expected 32, 64 or 128",
        ),
        (
            json!({"bits": 4, "group_size": 32, "mode": "nvfp4"}),
            "group_size` is 32: nvfp4 has 4 bits in groups of 16",
        ),
        (
            json!({"bits": 4, "group_size": 32, "mode": "int4"}),
            "mode` is \"int4\": expected \"affine\", \"mxfp4\", \"mxfp8\" or \"nvfp4\"",
        ),
        (
            json!({"bits": 4, "group_size": 32, "lm_head": {"bits": 4}}),
            "lm_head.group_size` is missing",
        ),
    ] {
        assert_eq!(
            about(settings),
            format!("FOLDER/config.json: `quantization.{problem}.")
        );
    }
    for (settings, problem) in [
        (
            json!({"quant_method": "hqq", "bits": 4}),
            "quant_method` is \"hqq\": expected \"awq\", \"fp8\", \"gptq\" or \"mxfp4\". \
             Look for an MLX version of the model",
        ),
        (
            json!({"quant_method": "gptq", "bits": 3, "group_size": 128}),
            "bits` is 3: AWQ has 4 bits, and of GPTQ 4 and 8 are supported",
        ),
        (
            json!({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemv"}),
            "version` is \"gemv\": expected \"gemm\"",
        ),
        (
            json!({"quant_method": "fp8", "weight_block_size": [128]}),
            "weight_block_size` is not two sizes",
        ),
    ] {
        assert_eq!(
            with_config("quantization_config", settings),
            format!("FOLDER/config.json: `quantization_config.{problem}.")
        );
    }
}

#[test]
fn what_makers_say_of_mxfp4_is_understood() {
    let mut folder = TestFolder::new();
    folder.config["quantization_config"] =
        json!({"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]});
    folder.write();
    let facts = inspect(folder.path()).unwrap();
    assert_eq!(
        (facts.quantisation.as_str(), facts.problem),
        ("mxfp4", None)
    );
    // Its modules may be plain all the same.
    super::load(folder.path(), &Default::default(), &mut |_| {}).unwrap();
}

#[test]
fn inspection_reports_facts_and_problems() {
    let mut folder = TestFolder::new();
    folder.write();
    let facts = inspect(folder.path()).unwrap();
    assert_eq!(facts.problem, None);
    assert_eq!(
        (facts.family.as_str(), facts.quantisation.as_str()),
        ("llama", "f32")
    );
    assert_eq!((facts.layers, facts.kv_heads, facts.head_dim), (1, 2, 32));
    assert_eq!(
        (facts.context_length, facts.kv_numbers_per_token),
        (2048, 128)
    );
    assert_eq!(facts.weight_bytes, 4 * facts.parameters);

    folder.config["model_type"] = json!("bert");
    folder.write();
    let facts = inspect(folder.path()).unwrap();
    assert_eq!((facts.family.as_str(), facts.parameters), ("bert", 0));
    assert!(facts.weight_bytes > 0);
    assert_eq!(
        folder.anonymous(facts.problem.unwrap()),
        format!(
            "FOLDER/config.json: the model family `bert` is not supported. Supported: {}.",
            supported()
        )
    );
}

#[test]
fn random_weights_follow_the_config() {
    let mut folder = TestFolder::new();
    folder.config["dtype"] = json!("float16");
    folder.write();
    let config = folder.path().join("config.json");
    for (bits, storage) in [
        (None, "f16"),
        (Some(4), "4-bit g64"),
        (Some(3), "3-bit g64"),
    ] {
        let model = random(&config, bits, &mut |_| {}).unwrap();
        assert_eq!(model.quantisation(), storage);
        let logits = model
            .forward(&Step::tokens(0, &[1, 2], 0), &mut NoPast)
            .unwrap();
        let logits = logits.to_vec_cast::<f32>().unwrap();
        assert_eq!(logits.len(), 32);
        assert!(logits.iter().all(|x| x.is_finite()));
        assert!(logits.iter().any(|x| *x != logits[0]), "{logits:?}");
    }
    let complaint = |folder: &TestFolder, bits| {
        folder.anonymous(random(&config, bits, &mut |_| {}).err().unwrap())
    };
    assert_eq!(
        complaint(&folder, Some(7)),
        "FOLDER/config.json: `bits` asks for 7 bits: expected 2, 3, 4, 5, 6 or 8."
    );
    folder.config["intermediate_size"] = json!(96);
    folder.write();
    assert_eq!(
        complaint(&folder, Some(4)),
        "FOLDER/config.json: `model.layers.0.mlp.down_proj` cannot be quantised: groups of \
         64 do not divide its 96 columns."
    );
}
