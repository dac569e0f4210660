//! What can be wrong with a model on disk, as messages a user can act on.

use std::path::PathBuf;

/// Why a model cannot be described or loaded. Every message names the file and,
/// where there is one, the tensor, with what was found and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("{path}: {reason}. A model is a folder with config.json, *.safetensors and tokenizer.json.", path = .path.display())]
    Unreadable { path: PathBuf, reason: String },

    #[error("{path}, line {line}, column {column}: not valid JSON ({reason}). Download the file again.", path = .path.display())]
    Json {
        path: PathBuf,
        line: usize,
        column: usize,
        reason: String,
    },

    #[error("{path}: `{key}` {problem}.", path = .path.display())]
    Config {
        path: PathBuf,
        key: String,
        problem: String,
    },

    #[error("{path}: the model family `{family}` is not supported. Supported: {supported}.{nearest}", path = .path.display())]
    UnknownFamily {
        path: PathBuf,
        family: String,
        supported: String,
        /// Empty, or a sentence that names the nearest supported family.
        nearest: String,
    },

    #[error("{folder}: no weights: there is no model*.safetensors. Download the model again.", folder = .folder.display())]
    NoWeights { folder: PathBuf },

    #[error("{path}: the weight file is missing ({named_by} names it). Download the model again or resume its download.", path = .path.display())]
    MissingFile { path: PathBuf, named_by: String },

    #[error("{path}: the weight file is truncated: it has {found} bytes and its header promises {expected}. Download it again.", path = .path.display())]
    Truncated {
        path: PathBuf,
        found: u64,
        expected: u64,
    },

    #[error("{path}: not a valid safetensors file: {reason}. Download it again.", path = .path.display())]
    BadFile { path: PathBuf, reason: String },

    #[error("{folder}: the tensor `{tensor}` is missing: {reason}.", folder = .folder.display())]
    MissingTensor {
        folder: PathBuf,
        tensor: String,
        reason: String,
    },

    #[error("{path}: cannot be written: {reason}.", path = .path.display())]
    Unwritten { path: PathBuf, reason: String },

    #[error("{path}: the tensor `{tensor}` has shape {found:?}, expected {expected:?} from config.json.", path = .path.display())]
    Shape {
        path: PathBuf,
        tensor: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },

    #[error("{path}: the tensor `{tensor}` has type {found}, expected {expected}.", path = .path.display())]
    Type {
        path: PathBuf,
        tensor: String,
        found: String,
        expected: &'static str,
    },

    #[error("{path}: the tensor `{tensor}` is not part of the model that config.json describes{others}. Its config.json belongs to another model, or a setting (such as attention_bias) is missing.", path = .path.display())]
    UnexpectedTensor {
        path: PathBuf,
        tensor: String,
        /// Empty, or how many more there are.
        others: String,
    },

    #[error("{path}: the tensor `{tensor}` holds numbers that are not finite (NaN or infinity). The file is damaged or was converted with an overflow; download or convert it again.", path = .path.display())]
    NotFinite { path: PathBuf, tensor: String },

    #[error("{path}: the quantisation of `{module}` is contradictory: {problem}.", path = .path.display())]
    Quantisation {
        path: PathBuf,
        module: String,
        problem: String,
    },

    #[error(
        "the tensor `{tensor}` is stored as the model's makers published it; of this family only models that were converted for MLX can be loaded. Look for an MLX version of the model."
    )]
    Unconverted { tensor: String },

    #[error("the computation failed while loading the model: {0}")]
    Compute(#[from] mlx_rs::error::Exception),
}
