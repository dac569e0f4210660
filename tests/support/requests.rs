//! Requests that the tests of the API begin with.

use serde_json::{Value, json};

pub const CHAT: &str = "/v1/chat/completions";
pub const COMPLETIONS: &str = "/v1/completions";

/// A short answer to `text`, greedily.
pub fn ask(text: &str) -> Value {
    json!({
        "model": "guide", "temperature": 0, "max_tokens": 24,
        "messages": [{"role": "user", "content": text}],
    })
}

/// `body` with the fields of `extra`.
pub fn with(mut body: Value, extra: Value) -> Value {
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}
