//! Mistral: the shape of Llama. `sliding_window` alone changes nothing, as in
//! mlx-lm: only layers that `layer_types` calls sliding have a window.

use super::llama;
use crate::models::{Config, ModelError, ModelSpec};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    llama::spec(config)
}
