//! Why text could not become tokens, or a conversation a prompt.

use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TextError {
    #[error("{path} could not be read: {reason}")]
    Unreadable { path: PathBuf, reason: String },
    #[error("{path} is not valid: {reason}. Download the model again.")]
    Malformed { path: PathBuf, reason: String },
    #[error(
        "{folder} has no tokenizer.json. Convert the model's tokenizer with transformers \
         (`AutoTokenizer.from_pretrained(…).save_pretrained(…)`) or choose a folder that has one."
    )]
    NoTokenizer { folder: PathBuf },
    #[error(
        "the tokenizer does not fit the model: it knows {tokens} tokens and the model has \
         {rows} embeddings. The files belong to different models; download the model again."
    )]
    VocabularyMismatch { tokens: usize, rows: usize },
    #[error("the tokenizer could not encode the text: {0}")]
    Encode(String),
    /// The template itself refuses this conversation (`raise_exception`).
    #[error("the model's chat template refuses this conversation: {0}")]
    Refused(String),
    #[error("the model's chat template {path} cannot be used: {reason}")]
    Template { path: PathBuf, reason: String },
}
