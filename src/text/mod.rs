//! Everything between characters and tokens: tokenizer, streaming
//! detokenizer, chat template, reasoning and tool-call parsers.

pub mod conversation;
pub mod detokenizer;
pub mod error;
mod files;
pub mod parser;
pub mod template;
#[cfg(test)]
pub(crate) mod testing;
pub mod tokenizer;

pub use detokenizer::StreamingDetokenizer;
pub use error::TextError;
pub use parser::AnswerParser;
pub use template::{ChatTemplate, TemplateInput};
pub use tokenizer::Tokenizer;

/// The JSON object in a model's configuration file, `null` without the file.
///
/// # Errors
/// When it cannot be read or holds no JSON object.
pub fn read_config(path: &std::path::Path) -> Result<serde_json::Value, TextError> {
    files::read_json(path)
}
