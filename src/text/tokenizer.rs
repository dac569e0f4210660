//! Text to token ids and back, from a model folder's tokenizer.json.
//!
//! Responsible for special tokens (which begin, end and separate texts) and
//! for checking that tokenizer and model belong together. Streaming lives in
//! `detokenizer`; `decode` goes the same way, so both always agree.

use std::{collections::HashSet, path::Path, sync::Arc};

use serde_json::Value;
use tokenizers::{
    Tokenizer as Inner,
    models::bpe::{BPE, Vocab},
    pre_tokenizers::byte_level::ByteLevel,
};

use super::{
    StreamingDetokenizer, TextError,
    detokenizer::{Decoding, byte_characters},
    files::{malformed, read_json, token_text},
};

/// A model's tokenizer. Immutable; share it in an `Arc`.
pub struct Tokenizer {
    pub(super) inner: Inner,
    pub(super) decoding: Decoding,
    special: HashSet<u32>,
    vocabulary: usize,
    eos: Vec<u32>,
    bos: Option<(u32, String)>,
    /// What tokenizer_config.json says about a leading beginning-of-text
    /// token, where its tokenizer class heeds it.
    add_bos: Option<bool>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocabulary", &self.vocabulary)
            .field("eos", &self.eos)
            .field("bos", &self.bos)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads tokenizer.json of a model folder, and from generation_config.json,
    /// config.json and tokenizer_config.json which tokens begin and end a text.
    ///
    /// # Errors
    /// When a file is missing, unreadable or malformed.
    pub fn load(folder: &Path) -> Result<Self, TextError> {
        let path = folder.join("tokenizer.json");
        let bytes = std::fs::read(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => TextError::NoTokenizer {
                folder: folder.to_owned(),
            },
            _ => TextError::Unreadable {
                path: path.clone(),
                reason: error.to_string(),
            },
        })?;
        let inner = Inner::from_bytes(&bytes).map_err(|error| malformed(&path, error))?;
        Self::new(
            inner,
            &read_json(&folder.join("generation_config.json"))?,
            &read_json(&folder.join("config.json"))?,
            &read_json(&folder.join("tokenizer_config.json"))?,
        )
        .map_err(|reason| malformed(&path, reason))
    }

    pub(super) fn new(
        mut inner: Inner,
        generation: &Value,
        config: &Value,
        tokenizer: &Value,
    ) -> Result<Self, String> {
        // Both would silently change prompts.
        inner.with_truncation(None).map_err(|e| e.to_string())?;
        inner.with_padding(None);
        let added = inner.get_added_tokens_decoder();
        let special = added
            .iter()
            .filter(|(_, token)| token.special)
            .map(|(id, _)| *id)
            .collect();
        let bos = token_text(&tokenizer["bos_token"])
            .and_then(|text| Some((inner.token_to_id(text)?, text.to_owned())));
        Ok(Self {
            decoding: Decoding::of(&inner),
            special,
            vocabulary: inner.get_vocab_size(true),
            eos: end_tokens(&inner, generation, config, tokenizer),
            bos,
            add_bos: heeded_add_bos(tokenizer),
            inner,
        })
    }

    /// A tokenizer whose tokens are the bytes of the text, for models that
    /// have none. No token ends a text.
    pub fn bytes() -> Self {
        let vocabulary: Vocab = byte_characters().collect();
        let model = BPE::builder()
            .vocab_and_merges(vocabulary, Vec::new())
            .build();
        let mut inner = Inner::new(model.unwrap_or_default());
        let level = ByteLevel::new(false, false, false);
        inner.with_pre_tokenizer(Some(level));
        inner.with_decoder(Some(level));
        Self {
            decoding: Decoding::of(&inner),
            special: HashSet::new(),
            vocabulary: inner.get_vocab_size(true),
            eos: Vec::new(),
            bos: None,
            add_bos: None,
            inner,
        }
    }

    /// Token ids of `text`. With `add_special`, the tokens that the tokenizer
    /// puts around every text (such as a beginning-of-text token) are added,
    /// unless the text already begins with its beginning-of-text token: chat
    /// templates write it themselves.
    ///
    /// # Errors
    /// When the tokenizer fails, which none of the usual kinds does.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>, TextError> {
        let has_bos = matches!(&self.bos, Some((_, bos)) if text.starts_with(bos.as_str()));
        let add = add_special && !has_bos;
        let encoding = self
            .inner
            .encode_fast(text, add)
            .map_err(|error| TextError::Encode(error.to_string()))?;
        let mut ids = encoding.get_ids().to_vec();
        if let (true, Some((bos, _)), Some(wanted)) = (add, &self.bos, self.add_bos) {
            match (wanted, ids.first() == Some(bos)) {
                (true, false) => ids.insert(0, *bos),
                (false, true) => {
                    ids.remove(0);
                }
                _ => {}
            }
        }
        Ok(ids)
    }

    /// The text of `ids`; special tokens are left out if `skip_special`.
    /// Bytes that are not UTF-8 become U+FFFD.
    pub fn decode(self: &Arc<Self>, ids: &[u32], skip_special: bool) -> String {
        let mut stream = StreamingDetokenizer::new(self.clone(), skip_special);
        let mut text: String = ids.iter().map(|id| stream.push(*id)).collect();
        text.push_str(&stream.finish());
        text
    }

    /// The bytes a token stands for inside a text; empty for an unknown id.
    pub fn token_bytes(&self, id: u32) -> Vec<u8> {
        match self.inner.id_to_token(id) {
            Some(token) if self.special.contains(&id) => token.into_bytes(),
            Some(token) => self.decoding.token_bytes(&token),
            None => Vec::new(),
        }
    }

    /// [`Self::token_bytes`] as text; halves of characters become U+FFFD.
    pub fn token_text(&self, id: u32) -> String {
        String::from_utf8_lossy(&self.token_bytes(id)).into_owned()
    }

    /// The id of the token that is written exactly so in the vocabulary.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Whether `id` is a control token, which has no place in an answer's text.
    pub fn is_special(&self, id: u32) -> bool {
        self.special.contains(&id)
    }

    /// Number of tokens, added ones included.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary
    }

    /// Whether both write a text with the same tokens, but for added ones.
    pub fn has_vocabulary_of(&self, other: &Self) -> bool {
        self.inner.get_vocab(false) == other.inner.get_vocab(false)
    }

    /// Tokens that end an answer, from all three configuration files.
    pub fn eos(&self) -> &[u32] {
        &self.eos
    }

    /// The beginning-of-text token.
    pub fn bos(&self) -> Option<u32> {
        self.bos.as_ref().map(|(id, _)| *id)
    }

    /// Checks that the tokenizer can belong to a model with `rows` embeddings.
    /// Models often have spare rows, and some folders add a padding token
    /// beyond the last row that no prompt uses; only the vocabulary proper
    /// must fit.
    ///
    /// # Errors
    /// [`TextError::VocabularyMismatch`].
    pub fn check_vocabulary(&self, rows: usize) -> Result<(), TextError> {
        let proper = self.inner.get_vocab_size(false);
        let used_end = self.eos.iter().max().map_or(0, |id| *id as usize + 1);
        if proper.max(used_end) > rows {
            return Err(TextError::VocabularyMismatch {
                tokens: self.vocabulary,
                rows,
            });
        }
        Ok(())
    }
}

/// The union of what the three files name as end of text.
fn end_tokens(inner: &Inner, generation: &Value, config: &Value, tokenizer: &Value) -> Vec<u32> {
    let numbers = [
        &generation["eos_token_id"],
        &config["eos_token_id"],
        &config["text_config"]["eos_token_id"],
    ];
    let mut ids: Vec<u32> = numbers
        .into_iter()
        .flat_map(|value| match value {
            Value::Array(list) => list.iter().collect::<Vec<_>>(),
            one => vec![one],
        })
        .filter_map(Value::as_u64)
        .filter_map(|id| u32::try_from(id).ok())
        .collect();
    ids.extend(token_text(&tokenizer["eos_token"]).and_then(|text| inner.token_to_id(text)));
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// `add_bos_token` counts only for the tokenizer classes that rebuild their
/// post-processor from it; for all others tokenizer.json is the truth.
fn heeded_add_bos(tokenizer: &Value) -> Option<bool> {
    let class = tokenizer["tokenizer_class"].as_str()?;
    let heeds = ["Llama", "CodeLlama", "Gemma", "Cohere"]
        .iter()
        .any(|prefix| class.starts_with(prefix));
    tokenizer["add_bos_token"].as_bool().filter(|_| heeds)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::text::testing::{byte_level, byte_level_json, sentencepiece};

    #[test]
    fn ends_of_text_come_from_all_three_files() {
        let inner = Inner::from_bytes(byte_level_json().to_string()).unwrap();
        let tokenizer = Tokenizer::new(
            inner,
            &json!({"eos_token_id": [7, 3]}),
            &json!({"eos_token_id": 3, "text_config": {"eos_token_id": 9}}),
            &json!({"eos_token": {"content": "<|im_end|>"}}),
        )
        .unwrap();
        let im_end = tokenizer.token_id("<|im_end|>").unwrap();
        assert_eq!(tokenizer.eos(), [3, 7, 9, im_end]);
    }

    #[test]
    fn beginning_of_text_is_added_once() {
        let tokenizer = sentencepiece();
        let bos = tokenizer.bos().unwrap();
        assert_eq!(tokenizer.encode("ab", true).unwrap()[0], bos);
        assert_ne!(tokenizer.encode("ab", false).unwrap()[0], bos);
        let own = tokenizer.encode("<s>ab", true).unwrap();
        assert_eq!(own.iter().filter(|id| **id == bos).count(), 1);
    }

    #[test]
    fn classes_that_heed_add_bos_token() {
        let config = |class: &str| json!({"tokenizer_class": class, "add_bos_token": false});
        assert_eq!(heeded_add_bos(&config("LlamaTokenizer")), Some(false));
        assert_eq!(heeded_add_bos(&config("Qwen2Tokenizer")), None);
        assert_eq!(heeded_add_bos(&json!({})), None);
    }

    #[test]
    fn bytes_need_no_files() {
        let tokenizer = Arc::new(Tokenizer::bytes());
        let ids = tokenizer.encode("é a", true).unwrap();
        assert_eq!(ids, [0xC3, 0xA9, b' '.into(), b'a'.into()]);
        assert_eq!(tokenizer.decode(&ids, true), "é a");
        assert!(tokenizer.eos().is_empty() && tokenizer.check_vocabulary(256).is_ok());
    }

    #[test]
    fn vocabulary_must_fit() {
        let tokenizer = byte_level();
        let size = tokenizer.vocab_size();
        assert!(tokenizer.check_vocabulary(size + 100).is_ok());
        let error = tokenizer.check_vocabulary(100).unwrap_err().to_string();
        assert!(error.contains("100 embeddings"), "{error}");
    }

    #[test]
    fn token_bytes_are_the_raw_bytes() {
        let tokenizer = byte_level();
        let ids = tokenizer.encode("é", false).unwrap();
        let bytes: Vec<u8> = ids
            .iter()
            .flat_map(|id| tokenizer.token_bytes(*id))
            .collect();
        assert_eq!(bytes, "é".as_bytes());
        let pieces = sentencepiece();
        let space = pieces.token_id("▁").unwrap();
        assert_eq!(pieces.token_text(space), " ");
        assert_eq!(
            pieces.token_bytes(pieces.token_id("<0xE9>").unwrap()),
            [0xE9]
        );
    }

    #[test]
    fn a_missing_or_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Tokenizer::load(folder.path()).unwrap_err();
        assert!(matches!(missing, TextError::NoTokenizer { .. }));
        std::fs::write(folder.path().join("tokenizer.json"), "{").unwrap();
        let broken = Tokenizer::load(folder.path()).unwrap_err().to_string();
        assert!(broken.contains("tokenizer.json is not valid"), "{broken}");
        std::fs::write(
            folder.path().join("tokenizer.json"),
            byte_level_json().to_string(),
        )
        .unwrap();
        std::fs::write(folder.path().join("config.json"), "[]").unwrap();
        let config = Tokenizer::load(folder.path()).unwrap_err().to_string();
        assert!(config.contains("config.json"), "{config}");
    }
}
