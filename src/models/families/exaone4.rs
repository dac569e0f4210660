//! EXAONE 4: norms after the branches and of queries and keys; where some
//! layers have windows, those that see all are not told positions.

use serde_json::Value;

use super::{common, olmo2};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{NormPlaces, QkNorm, Sight},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = common::decoder(config, 131_072, 1_000_000.0)?;
    let head_dim = common::head_dim(config, &spec)?;
    let local = local_layers(config, spec.layers.len())?;
    let window = match local.contains(&true) {
        true => Some(config.size("sliding_window")?),
        false => None,
    };
    for (attention, local) in spec.attentions_mut().zip(local) {
        attention.head_dim = head_dim;
        attention.qk_norm = QkNorm::Head;
        match (window, local) {
            (Some(window), true) => attention.sight = Sight::Window(window),
            (Some(_), false) => attention.rope = None,
            (None, _) => {}
        }
    }
    (spec.norms, spec.names) = (NormPlaces::After, olmo2::NAMES);
    Ok(spec)
}

/// Which layers have windows: by a pattern of `L` and `G` that repeats, or all
/// but every n-th.
pub fn local_layers(config: &Config, layers: usize) -> Result<Vec<bool>, ModelError> {
    let key = "sliding_window_pattern";
    match config.get(key) {
        None => Ok(vec![false; layers]),
        Some(Value::String(pattern)) if !pattern.is_empty() => {
            let pattern: Vec<char> = pattern.chars().collect();
            let local = |index: usize| pattern[index % pattern.len()] == 'L';
            Ok((0..layers).map(local).collect())
        }
        Some(_) => {
            let every = config.size(key)?;
            Ok((0..layers).map(|index| (index + 1) % every != 0).collect())
        }
    }
}
