//! OLMo 3: OLMo 2 with three layers within a window, whose positions are not
//! stretched, to one that sees all.

use super::{common, olmo2};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{RopeScaling, Sight},
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = olmo2::spec(config)?;
    let window = config.size("sliding_window")?;
    if config.get("layer_types").is_none() {
        for (index, attention) in spec.attentions_mut().enumerate() {
            if (index + 1) % 4 != 0 {
                attention.sight = Sight::Window(window);
            }
        }
    }
    common::sliding_layers(config, &mut spec)?;
    for attention in spec.attentions_mut() {
        if let (Sight::Window(_), Some(rope)) = (attention.sight, &mut attention.rope) {
            rope.scaling = RopeScaling::None;
        }
    }
    spec.tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(spec)
}
