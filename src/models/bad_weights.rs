//! Every way weight files can be wrong, and the message it earns.

use safetensors::Dtype;
use serde_json::json;

use super::test_folder::TestFolder;

const Q: &str = "model.layers.0.self_attn.q_proj";

#[test]
fn missing_weight_files_are_named() {
    let folder = TestFolder::new();
    folder.write();
    let weights = folder.path().join("model.safetensors");
    std::fs::remove_file(&weights).unwrap();
    assert_eq!(
        folder.complaint(),
        "FOLDER: no weights: there is no model*.safetensors. Download the model again."
    );
    folder.write_weights("model-00001-of-00002.safetensors", |_| true);
    assert_eq!(
        folder.complaint(),
        "FOLDER/model-00002-of-00002.safetensors: the weight file is missing \
         (model-00001-of-00002.safetensors names it). Download the model again or resume its \
         download."
    );
    let index = |map| {
        let path = folder.path().join("model.safetensors.index.json");
        std::fs::write(path, json!({ "weight_map": map }).to_string()).unwrap();
        folder.complaint()
    };
    assert_eq!(
        index(json!({"a": "other.safetensors"})),
        "FOLDER/other.safetensors: the weight file is missing (model.safetensors.index.json \
         names it). Download the model again or resume its download."
    );
    assert_eq!(
        index(json!({"a": "../other.safetensors"})),
        "FOLDER/model.safetensors.index.json: `weight_map` names \"../other.safetensors\": \
         expected a file in the same folder."
    );
    assert_eq!(
        index(json!({})),
        "FOLDER/model.safetensors.index.json: `weight_map` is missing or does not name the \
         file of each tensor."
    );
}

#[test]
fn damaged_weight_files_are_refused_before_anything_is_read() {
    let folder = TestFolder::new();
    folder.write();
    let path = folder.path().join("model.safetensors");
    let whole = std::fs::read(&path).unwrap();
    let complaint = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        folder.complaint()
    };
    let size = whole.len();
    for keep in [size - 1, size / 2, 100, 3, 0] {
        let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap());
        let promised = match keep {
            0..8 => 8,
            8..101 => header,
            _ => size as u64,
        };
        assert_eq!(
            complaint(&whole[..keep]),
            format!(
                "FOLDER/model.safetensors: the weight file is truncated: it has {keep} bytes and \
                 its header promises {promised}. Download it again."
            )
        );
    }
    assert_eq!(
        complaint(&[&whole[..], &[0]].concat()),
        format!(
            "FOLDER/model.safetensors: not a valid safetensors file: it has {} bytes and its \
             header accounts for {size}. Download it again.",
            size + 1
        )
    );
    assert_eq!(
        complaint(&[b'x'; 200]),
        "FOLDER/model.safetensors: not a valid safetensors file: its header would have \
         8680820740569200760 bytes. Download it again."
    );
    let mut spoilt = whole.clone();
    spoilt[8] = b'[';
    assert!(
        complaint(&spoilt).starts_with("FOLDER/model.safetensors: not a valid safetensors file: ")
    );
}

#[test]
fn tensors_must_be_those_of_the_config() {
    let name = format!("{Q}.weight");
    let mut folder = TestFolder::new();
    folder.set(&name, Dtype::F32, &[64, 32]);
    assert_eq!(
        folder.written_complaint(),
        format!(
            "FOLDER/model.safetensors: the tensor `{name}` has shape [64, 32], expected [64, 64] \
             from config.json."
        )
    );
    folder.set(&name, Dtype::I32, &[64, 64]);
    assert_eq!(
        folder.written_complaint(),
        format!(
            "FOLDER/model.safetensors: the tensor `{name}` has type I32, expected F32, F16 or BF16."
        )
    );
    folder.tensors.remove(&name);
    assert_eq!(
        folder.written_complaint(),
        format!(
            "FOLDER: the tensor `{name}` is missing: config.json describes a model that has it."
        )
    );
    let mut folder = TestFolder::new();
    folder.set(&format!("{Q}.bias"), Dtype::F32, &[64]);
    folder.set("model.layers.1.input_layernorm.weight", Dtype::F32, &[64]);
    // Precomputed by old conversions, used by nobody.
    folder.set(
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        Dtype::F32,
        &[16],
    );
    assert_eq!(
        folder.written_complaint(),
        format!(
            "FOLDER/model.safetensors: the tensor `{Q}.bias` is not part of the model that \
             config.json describes (and 1 more). Its config.json belongs to another model, or a \
             setting (such as attention_bias) is missing."
        )
    );
}

#[test]
fn numbers_that_are_not_finite_are_found_wherever_they_are() {
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        for name in [
            "model.norm.weight",
            "lm_head.weight",
            &format!("{Q}.weight"),
        ] {
            let mut folder = TestFolder::new();
            let shape = folder.tensors[name].shape.clone();
            folder.set(name, dtype, &shape);
            let bytes = &mut folder.tensors.get_mut(name).unwrap().bytes;
            let end = bytes.len();
            bytes[end - 2..].fill(0xff);
            assert_eq!(
                folder.written_complaint(),
                format!(
                    "FOLDER/model.safetensors: the tensor `{name}` holds numbers that are not \
                     finite (NaN or infinity). The file is damaged or was converted with an \
                     overflow; download or convert it again."
                )
            );
        }
    }
}

#[test]
fn quantisation_settings_must_agree_with_the_tensors() {
    let contradiction = |settings| {
        let mut folder = TestFolder::new();
        folder.quantise(Q, 64, 4, 64);
        folder.config["quantization"] = settings;
        folder.written_complaint()
    };
    let about = |problem: &str| {
        format!("FOLDER/model.safetensors: the quantisation of `{Q}` is contradictory: {problem}.")
    };
    let mut settings = json!({"bits": 4, "group_size": 64});
    settings[Q] = json!(false);
    assert_eq!(
        contradiction(settings.clone()),
        about("config.json says it is not quantised and its tensors are 4-bit g64")
    );
    settings[Q] = json!({"bits": 8, "group_size": 64});
    assert_eq!(
        contradiction(settings.clone()),
        about("config.json says 8-bit g64 and its tensors are 4-bit g64")
    );
    assert_eq!(
        contradiction(json!(null)),
        about("its tensors are 4-bit g64 and config.json has no `quantization`")
    );
    let mut folder = TestFolder::new();
    folder.config["quantization"] = settings;
    assert_eq!(
        folder.written_complaint(),
        about("config.json says 8-bit g64 and its tensors are not quantised")
    );
    folder.quantise(Q, 64, 7, 64);
    assert_eq!(
        folder.written_complaint(),
        about("7 bits: expected 2, 3, 4, 5, 6 or 8")
    );
}
