//! Everything between characters and tokens: tokenizer, streaming
//! detokenizer, chat template, reasoning and tool-call parsers.

pub mod conversation;
