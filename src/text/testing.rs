//! Tiny tokenizers of each kind, for tests.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use super::Tokenizer;

/// GPT-2's character for each byte.
fn byte_chars() -> Vec<String> {
    let mut next = 0x100u32;
    (0..=255u32)
        .map(|b| {
            let printable = matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
            let code = if printable {
                b
            } else {
                next += 1;
                next - 1
            };
            char::from_u32(code).unwrap().to_string()
        })
        .collect()
}

fn added(id: usize, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false,
           "rstrip": false, "normalized": false, "special": true})
}

fn vocabulary(tokens: &[String]) -> Value {
    tokens
        .iter()
        .enumerate()
        .map(|(id, token)| (token.clone(), json!(id)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A byte-level BPE: token `b` is byte `b`, 256 "Ġt", 257 "he", 258 "Ġthe",
/// then `<|im_start|>`, `<|im_end|>`, `<|endoftext|>`.
pub(crate) fn byte_level_json() -> Value {
    let mut tokens = byte_chars();
    tokens.extend(["Ġt", "he", "Ġthe"].map(String::from));
    let specials = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"];
    let base = tokens.len();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "added_tokens": specials.iter().enumerate()
            .map(|(i, text)| added(base + i, text)).collect::<Vec<_>>(),
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false,
                          "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true,
                    "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
                  "byte_fallback": false, "vocab": vocabulary(&tokens),
                  "merges": [["Ġ", "t"], ["h", "e"], ["Ġt", "he"]]},
    })
}

/// Llama-2's arrangement: `<unk>`, `<s>`, `</s>`, byte tokens, then pieces.
fn sentencepiece_json() -> Value {
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).to_vec();
    tokens.extend((0..=255u8).map(|b| format!("<0x{b:02X}>")));
    tokens.push("▁".to_owned());
    tokens.extend(('!'..='~').map(String::from));
    tokens.push("▁a".to_owned());
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                     {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "fuse_unk": true,
                  "byte_fallback": true, "vocab": vocabulary(&tokens),
                  "merges": [["▁", "a"]]},
    })
}

fn wordpiece_json() -> Value {
    let tokens = ["[UNK]", "hello", "wor", "##ld"].map(String::from);
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": false},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": vocabulary(&tokens),
                  "continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
    })
}

fn build(json: Value, config: Value) -> Arc<Tokenizer> {
    let inner = tokenizers::Tokenizer::from_bytes(json.to_string()).unwrap();
    Arc::new(Tokenizer::new(inner, &Value::Null, &Value::Null, &config).unwrap())
}

/// See [`byte_level_json`]; ends with `<|im_end|>`.
pub(crate) fn byte_level() -> Arc<Tokenizer> {
    static MADE: LazyLock<Arc<Tokenizer>> =
        LazyLock::new(|| build(byte_level_json(), json!({"eos_token": "<|im_end|>"})));
    MADE.clone()
}

pub(crate) fn sentencepiece() -> Arc<Tokenizer> {
    static MADE: LazyLock<Arc<Tokenizer>> = LazyLock::new(|| {
        build(
            sentencepiece_json(),
            json!({"bos_token": "<s>", "eos_token": "</s>"}),
        )
    });
    MADE.clone()
}

pub(crate) fn wordpiece() -> Arc<Tokenizer> {
    build(wordpiece_json(), json!({}))
}
