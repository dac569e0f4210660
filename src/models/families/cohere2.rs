//! Command R7B and A: Command R with windows, and no positions in every fourth
//! layer, which sees all.

use super::{cohere, common};
use crate::models::{Config, ModelError, ModelSpec, spec::Sight};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = cohere::decoder(config, 50_000.0)?;
    let head_dim = common::head_dim(config, &spec)?;
    let window = config.size_or_none("sliding_window")?.unwrap_or(4096);
    let every = config.size_or_none("sliding_window_pattern")?.unwrap_or(4);
    for (index, attention) in spec.attentions_mut().enumerate() {
        attention.head_dim = head_dim;
        match (index + 1) % every {
            0 => attention.rope = None,
            _ => attention.sight = Sight::Window(window),
        }
    }
    Ok(spec)
}
