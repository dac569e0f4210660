//! Log-probabilities in the forms of the two endpoints.

use serde_json::{Map, Value, json};

use crate::workstation::{TokenEvent, TokenLogprob};

/// An entry of `choices[].logprobs.content` of a chat; `None` when the request
/// did not ask.
pub fn chat_entry(token: &TokenEvent) -> Option<Value> {
    let chosen = token.logprob.as_ref()?;
    let mut entry = alternative(chosen);
    entry["top_logprobs"] = token.top_logprobs.iter().map(alternative).collect();
    Some(entry)
}

fn alternative(token: &TokenLogprob) -> Value {
    json!({
        "token": token.text,
        "logprob": finite(token.logprob),
        "bytes": token.bytes,
    })
}

/// JSON has no infinities; OpenAI writes -9999 for "impossible".
fn finite(logprob: f32) -> f32 {
    logprob.max(-9999.0)
}

/// The parallel arrays of a plain completion.
#[derive(Debug, Default)]
pub struct CompletionLogprobs {
    tokens: Vec<Value>,
    token_logprobs: Vec<f32>,
    top_logprobs: Vec<Value>,
    text_offset: Vec<usize>,
    /// Characters of the tokens so far.
    offset: usize,
}

impl CompletionLogprobs {
    /// Adds a token.
    pub fn push(&mut self, token: &TokenEvent) {
        let Some(chosen) = &token.logprob else { return };
        self.tokens.push(name(chosen).into());
        self.token_logprobs.push(finite(chosen.logprob));
        let top: Map<String, Value> = token
            .top_logprobs
            .iter()
            .map(|token| (name(token), finite(token.logprob).into()))
            .collect();
        self.top_logprobs.push(top.into());
        self.text_offset.push(self.offset);
        self.offset += chosen.text.chars().count();
    }

    /// The tokens added since the last call, as the response shows them.
    pub fn take(&mut self) -> Value {
        json!({
            "tokens": std::mem::take(&mut self.tokens),
            "token_logprobs": std::mem::take(&mut self.token_logprobs),
            "top_logprobs": std::mem::take(&mut self.top_logprobs),
            "text_offset": std::mem::take(&mut self.text_offset),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

/// A token's text, or its bytes where they are part of a character.
fn name(token: &TokenLogprob) -> String {
    if token.bytes.is_empty() || std::str::from_utf8(&token.bytes).is_ok() {
        return token.text.clone();
    }
    let bytes = token.bytes.iter().map(|byte| format!("\\x{byte:02x}"));
    format!("bytes:{}", bytes.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, bytes: &[u8], logprob: f32) -> TokenEvent {
        let chosen = TokenLogprob {
            token: 1,
            text: text.into(),
            bytes: bytes.into(),
            logprob,
        };
        TokenEvent {
            token: 1,
            text: text.into(),
            logprob: Some(chosen.clone()),
            top_logprobs: vec![chosen],
        }
    }

    #[test]
    fn half_characters_are_written_as_bytes() {
        let mut logprobs = CompletionLogprobs::default();
        logprobs.push(&token("é", "é".as_bytes(), -0.5));
        logprobs.push(&token("\u{fffd}", &[0xe2, 0x82], f32::NEG_INFINITY));
        let value = logprobs.take();
        assert_eq!(value["tokens"], json!(["é", "bytes:\\xe2\\x82"]));
        assert_eq!(value["token_logprobs"], json!([-0.5, -9999.0]));
        assert_eq!(value["text_offset"], json!([0, 1]));
        assert!(logprobs.is_empty());
    }

    #[test]
    fn chat_entries_carry_bytes_and_alternatives() {
        let entry = chat_entry(&token("a", b"a", -1.0)).unwrap();
        assert_eq!(entry["bytes"], json!([97]));
        assert_eq!(entry["top_logprobs"][0]["token"], "a");
    }
}
