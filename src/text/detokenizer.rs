//! Token ids to text, one at a time.
//!
//! Invariants: every token is looked at once (linear time); what is emitted is
//! whole characters; the emitted pieces together are the text of all tokens.
//!
//! Byte-level and SentencePiece-style tokenizers turn each token into bytes,
//! which become text as soon as a character is complete. Other decoders (such
//! as WordPiece) decide spaces by looking at neighbours: they decode a short
//! window of recent tokens instead.

use std::{collections::HashMap, sync::Arc, sync::LazyLock};

use serde_json::Value;
use tokenizers::Tokenizer as Inner;

use super::Tokenizer;

/// How tokens become bytes, read off tokenizer.json's decoder.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decoding {
    /// Each character of a token stands for one byte (GPT-2's table).
    ByteLevel,
    /// Tokens are text with replacements, such as `▁` for a space; with
    /// `byte_fallback`, `<0x0A>` is a byte. `lead` spaces are removed from the
    /// beginning of a text.
    Pieces {
        replace: Vec<(String, String)>,
        byte_fallback: bool,
        lead: usize,
    },
    /// Anything else: the decoder itself, over a window of tokens.
    Window,
}

/// GPT-2's table from characters to bytes: printable Latin-1 stands for itself,
/// the other 68 bytes for the characters from U+0100 on, in order.
static BYTE_OF_CHAR: LazyLock<HashMap<char, u8>> = LazyLock::new(|| {
    let printable = |b: &u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let own = (0..=255u8).filter(printable).map(|b| (b as char, b));
    let others = (0..=255u8).filter(|b| !printable(b));
    let shifted = ('\u{100}'..).zip(others);
    own.chain(shifted).collect()
});

/// The table as a vocabulary: the token for byte `b` has the id `b`.
pub(super) fn byte_characters() -> impl Iterator<Item = (String, u32)> {
    let pairs = BYTE_OF_CHAR.iter();
    pairs.map(|(character, byte)| (character.to_string(), u32::from(*byte)))
}

impl Decoding {
    pub(super) fn of(inner: &Inner) -> Self {
        let decoder = inner
            .get_decoder()
            .and_then(|decoder| serde_json::to_value(decoder).ok())
            .unwrap_or(Value::Null);
        Self::from_json(&decoder)
    }

    fn from_json(decoder: &Value) -> Self {
        let steps = match decoder["type"].as_str() {
            Some("Sequence") => decoder["decoders"].as_array().cloned().unwrap_or_default(),
            Some(_) => vec![decoder.clone()],
            None => Vec::new(),
        };
        if let [only] = steps.as_slice()
            && only["type"] == "ByteLevel"
        {
            return Self::ByteLevel;
        }
        Self::pieces(&steps).unwrap_or(Self::Window)
    }

    /// Folds a SentencePiece-style chain of decoders; `None` if a step of it
    /// needs more than the token at hand.
    fn pieces(steps: &[Value]) -> Option<Self> {
        let (mut replace, mut byte_fallback, mut lead, mut fused) = (Vec::new(), false, 0, false);
        for step in steps {
            match step["type"].as_str()? {
                "Replace" => replace.push((
                    step["pattern"]["String"].as_str()?.to_owned(),
                    step["content"].as_str()?.to_owned(),
                )),
                "Metaspace" => {
                    let mark = step["replacement"].as_str()?;
                    replace.push((mark.to_owned(), " ".to_owned()));
                    lead += usize::from(step["prepend_scheme"] != "never");
                }
                "ByteFallback" => byte_fallback = true,
                "Fuse" => fused = true,
                "Strip" if fused && step["content"] == " " && step["stop"] == 0 => {
                    lead += usize::try_from(step["start"].as_u64()?).ok()?;
                }
                _ => return None,
            }
        }
        (!replace.is_empty()).then_some(Self::Pieces {
            replace,
            byte_fallback,
            lead,
        })
    }

    /// The bytes of one token inside a text.
    pub(super) fn token_bytes(&self, token: &str) -> Vec<u8> {
        match self {
            Self::ByteLevel => token
                .chars()
                .map(|c| BYTE_OF_CHAR.get(&c).copied())
                .collect::<Option<Vec<u8>>>()
                .unwrap_or_else(|| token.as_bytes().to_vec()),
            Self::Pieces {
                replace,
                byte_fallback,
                ..
            } => match fallback_byte(token).filter(|_| *byte_fallback) {
                Some(byte) => vec![byte],
                None => replace
                    .iter()
                    .fold(token.to_owned(), |text, (from, to)| text.replace(from, to))
                    .into_bytes(),
            },
            Self::Window => token.as_bytes().to_vec(),
        }
    }
}

/// The byte of a token such as `<0xE9>`.
fn fallback_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2)
        .then(|| u8::from_str_radix(digits, 16).ok())
        .flatten()
}

/// Turns a stream of tokens into a stream of text.
#[derive(Debug)]
pub struct StreamingDetokenizer {
    tokenizer: Arc<Tokenizer>,
    skip_special: bool,
    /// Bytes of a character that is not complete yet.
    pending: Vec<u8>,
    /// Spaces still to be removed from the beginning.
    lead: usize,
    window: Window,
}

/// The tokens that a neighbour-sensitive decoder looks at.
#[derive(Debug, Default)]
struct Window {
    tokens: Vec<u32>,
    /// How many of `tokens` are shown already, and their text.
    shown: usize,
    shown_text: String,
}

/// A character has at most four bytes, so whatever is still incomplete after
/// this many tokens never will be complete.
const WINDOW_PATIENCE: usize = 8;

impl StreamingDetokenizer {
    /// A stream that begins a text of its own.
    pub fn new(tokenizer: Arc<Tokenizer>, skip_special: bool) -> Self {
        let lead = match &tokenizer.decoding {
            Decoding::Pieces { lead, .. } => *lead,
            _ => 0,
        };
        Self {
            tokenizer,
            skip_special,
            pending: Vec::new(),
            lead,
            window: Window::default(),
        }
    }

    /// A stream that continues the text of `prompt`: a space between the two
    /// is kept. After a special token, as chat templates end with, the answer
    /// begins a text of its own.
    pub fn after(tokenizer: Arc<Tokenizer>, skip_special: bool, prompt: &[u32]) -> Self {
        let mut stream = Self::new(tokenizer, skip_special);
        let tail = &prompt[prompt.len().saturating_sub(WINDOW_PATIENCE)..];
        let begin = tail
            .iter()
            .rposition(|id| stream.tokenizer.is_special(*id))
            .map_or(0, |at| at + 1);
        let tail = &tail[begin..];
        if !tail.is_empty() {
            stream.lead = 0;
            stream.window.tokens = tail.to_vec();
            stream.window.shown = tail.len();
            stream.window.shown_text = stream.decode_window();
        }
        stream
    }

    /// The text that `token` completes; empty while a character is incomplete.
    pub fn push(&mut self, token: u32) -> String {
        if self.skip_special && self.tokenizer.is_special(token) {
            return String::new();
        }
        if self.tokenizer.decoding == Decoding::Window {
            return self.push_window(token);
        }
        let mut bytes = self.tokenizer.token_bytes(token);
        if self.lead > 0 {
            let spaces = bytes.iter().take_while(|b| **b == b' ').count();
            bytes.drain(..spaces.min(self.lead));
            self.lead = match bytes.is_empty() {
                true => self.lead - spaces.min(self.lead),
                false => 0,
            };
        }
        self.pending.extend(bytes);
        take_complete(&mut self.pending)
    }

    /// What is left when no more tokens follow: an incomplete character
    /// becomes U+FFFD.
    pub fn finish(&mut self) -> String {
        if self.tokenizer.decoding == Decoding::Window {
            return self.flush_window(true);
        }
        let rest = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        rest
    }

    fn push_window(&mut self, token: u32) -> String {
        self.window.tokens.push(token);
        let waiting = self.window.tokens.len() - self.window.shown;
        self.flush_window(waiting >= WINDOW_PATIENCE)
    }

    fn flush_window(&mut self, force: bool) -> String {
        let text = self.decode_window();
        let new = text
            .strip_prefix(self.window.shown_text.as_str())
            .unwrap_or_default();
        if new.is_empty() || (new.ends_with(char::REPLACEMENT_CHARACTER) && !force) {
            return String::new();
        }
        let new = new.to_owned();
        self.window.tokens.drain(..self.window.shown);
        self.window.shown = self.window.tokens.len();
        self.window.shown_text = self.decode_window();
        new
    }

    fn decode_window(&self) -> String {
        self.tokenizer
            .inner
            .decode(&self.window.tokens, self.skip_special)
            .unwrap_or_default()
    }
}

/// Takes all complete characters off the front of `bytes`; invalid sequences
/// become U+FFFD as `String::from_utf8_lossy` does, an incomplete end stays.
fn take_complete(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut used = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        used += chunk.valid().len();
        let invalid = chunk.invalid();
        let at_end = used + invalid.len() == bytes.len();
        if invalid.is_empty() || (at_end && is_incomplete(invalid)) {
            break;
        }
        text.push(char::REPLACEMENT_CHARACTER);
        used += invalid.len();
    }
    bytes.drain(..used);
    text
}

/// Whether more bytes could make `bytes` a character.
fn is_incomplete(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(error) if error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::testing::{byte_level, sentencepiece, wordpiece};

    fn stream(tokenizer: &Arc<Tokenizer>, ids: &[u32]) -> Vec<String> {
        let mut stream = StreamingDetokenizer::new(tokenizer.clone(), true);
        let mut pieces: Vec<String> = ids.iter().map(|id| stream.push(*id)).collect();
        pieces.push(stream.finish());
        pieces
    }

    #[test]
    fn characters_appear_only_when_complete() {
        for tokenizer in [byte_level(), sentencepiece()] {
            let ids = tokenizer.encode("a🦀é", false).unwrap();
            for piece in stream(&tokenizer, &ids) {
                assert!(!piece.contains('\u{FFFD}'), "{piece:?}");
            }
            assert_eq!(stream(&tokenizer, &ids).concat(), "a🦀é");
        }
    }

    #[test]
    fn bytes_that_never_become_a_character_are_shown_as_such() {
        let tokenizer = byte_level();
        let crab = tokenizer.encode("🦀", false).unwrap();
        let text = stream(
            &tokenizer,
            &[&crab[..2], &tokenizer.encode("ok", false).unwrap()].concat(),
        );
        assert_eq!(text.concat(), "\u{FFFD}ok");
        assert_eq!(stream(&tokenizer, &crab[..3]).concat(), "\u{FFFD}");
    }

    #[test]
    fn a_leading_space_belongs_to_the_beginning_only() {
        let tokenizer = sentencepiece();
        let ids = tokenizer.encode("a b", false).unwrap();
        assert_eq!(stream(&tokenizer, &ids).concat(), "a b");
        let continued = |prompt: &[u32]| {
            let mut stream = StreamingDetokenizer::after(tokenizer.clone(), true, prompt);
            ids.iter().map(|id| stream.push(*id)).collect::<String>()
        };
        assert_eq!(continued(&ids), " a b");
        assert_eq!(continued(&[tokenizer.bos().unwrap()]), "a b");
    }

    #[test]
    fn neighbour_sensitive_decoders_agree_with_the_whole() {
        let tokenizer = wordpiece();
        let ids = tokenizer.encode("hello world hello", false).unwrap();
        assert_eq!(stream(&tokenizer, &ids).concat(), "hello world hello");
        let mut after = StreamingDetokenizer::after(tokenizer.clone(), true, &ids[..1]);
        assert!(after.push(ids[3]).starts_with(' '));
    }

    #[test]
    fn special_tokens_are_left_out_or_kept() {
        let tokenizer = byte_level();
        let ids = tokenizer.encode("hi<|im_end|>", false).unwrap();
        assert_eq!(tokenizer.decode(&ids, true), "hi");
        assert_eq!(tokenizer.decode(&ids, false), "hi<|im_end|>");
    }

    proptest! {
        #[test]
        fn streamed_text_is_the_text(text in "[ -~\\n\\t áéß漢字🦀👩‍🚀]{0,60}") {
            let tokenizer = byte_level();
            let ids = tokenizer.encode(&text, false).unwrap();
            prop_assert_eq!(stream(&tokenizer, &ids).concat(), text.clone());
            let pieces = sentencepiece();
            let ids = pieces.encode(&text, false).unwrap();
            prop_assert_eq!(stream(&pieces, &ids).concat(), text);
        }

        #[test]
        fn any_tokens_give_what_the_library_decodes(ids in prop::collection::vec(0u32..270, 0..80)) {
            let tokenizer = byte_level();
            let whole = tokenizer.inner.decode(&ids, true).unwrap();
            prop_assert_eq!(stream(&tokenizer, &ids).concat(), whole);
            let pieces = sentencepiece();
            let whole = pieces.inner.decode(&ids, true).unwrap();
            // The library gives up on a whole run of byte tokens when one of
            // them is damaged; here the sound characters of the run survive.
            if !whole.contains('\u{FFFD}') {
                prop_assert_eq!(stream(&pieces, &ids).concat(), whole);
            }
        }
    }
}
