//! Which matrices are quantised, and to how many bits.

use std::str::FromStr;

use crate::models::{spec::ModelSpec, weights::Affine};

/// How the matrices of a model are quantised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipe {
    /// All alike.
    Uniform(Affine),
    /// More bits for the head, and for values and down projections of the first
    /// and the last eighth of the layers and of every third between, as
    /// llama.cpp's Q4_K_M has it.
    Mixed(Mixed),
}

/// Bits of most matrices and of those that matter most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mixed {
    pub low: usize,
    pub high: usize,
}

/// The mixed recipes by name, with mlx-lm's names and bits.
pub const MIXED: [(&str, Mixed); 4] = [
    ("mixed_2_6", Mixed { low: 2, high: 6 }),
    ("mixed_3_4", Mixed { low: 3, high: 4 }),
    ("mixed_3_6", Mixed { low: 3, high: 6 }),
    ("mixed_4_6", Mixed { low: 4, high: 6 }),
];
/// Weights that share a scale in mixed recipes.
const GROUP: usize = 64;

impl FromStr for Mixed {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = MIXED.iter().find(|(known, _)| *known == name);
        known.map(|(_, mixed)| *mixed).ok_or_else(|| {
            let names: Vec<&str> = MIXED.iter().map(|(name, _)| *name).collect();
            format!("there is no recipe {name}: expected {}", names.join(", "))
        })
    }
}

impl Recipe {
    /// What most matrices get.
    pub fn general(&self) -> Affine {
        match self {
            Self::Uniform(affine) => *affine,
            Self::Mixed(mixed) => Affine {
                bits: mixed.low,
                group: GROUP,
            },
        }
    }

    /// How `module` of a model, `[rows, columns]`, is quantised; `None` where it
    /// stays as it is: routers and scalars weigh little and decide much, and
    /// groups have to divide a row.
    pub fn of(&self, spec: &ModelSpec, module: &str, shape: [usize; 2]) -> Option<Affine> {
        let [rows, columns] = shape;
        let affine = match self {
            Self::Uniform(affine) => *affine,
            Self::Mixed(mixed) => mixed.of(spec, module),
        };
        // Its columns are divided by their lengths, which are not known here.
        let later = spec.head_columns_normed && module == spec.names.head;
        let fits = columns.is_multiple_of(affine.group) && rows > 1 && !later;
        (fits && !is_router(spec, module)).then_some(affine)
    }
}

impl Mixed {
    fn of(&self, spec: &ModelSpec, module: &str) -> Affine {
        let count = spec.layers.len();
        let layer = module.split('.').find_map(|part| part.parse().ok());
        let layer: usize = layer.unwrap_or(0);
        let (first, last) = (count / 8, 7 * count / 8);
        let matters = layer < first || layer >= last || (layer - first) % 3 == 2;
        let is = |part: &str| module.contains(part);
        let more = is(spec.names.head) || matters && (is("v_proj") || is("down_proj"));
        Affine {
            bits: if more { self.high } else { self.low },
            group: GROUP,
        }
    }
}

fn is_router(spec: &ModelSpec, module: &str) -> bool {
    let mut mixtures = spec
        .layers
        .iter()
        .filter_map(|layer| layer.mlp.as_ref()?.moe());
    mixtures.any(|moe| module.ends_with(&format!(".{}", moe.names.router)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Config, families};

    fn spec(family: &str, more: &str) -> ModelSpec {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let text = format!(
            r#"{{"model_type": "{family}", "hidden_size": 128, "num_hidden_layers": 16,
            "num_attention_heads": 4, "intermediate_size": 256, "rms_norm_eps": 1e-5,
            "tie_word_embeddings": false, "vocab_size": 48 {more}}}"#
        );
        std::fs::write(&path, text).unwrap();
        families::describe(&Config::read(&path).unwrap()).unwrap()
    }

    #[test]
    fn mixed_recipes_give_more_to_what_matters() {
        let spec = spec("llama", "");
        let recipe = Recipe::Mixed("mixed_3_6".parse().unwrap());
        let bits = |module: &str| recipe.of(&spec, module, [128, 128]).map(|it| it.bits);
        for (module, expected) in [
            ("model.layers.0.self_attn.v_proj", 6),
            ("model.layers.0.self_attn.q_proj", 3),
            ("model.layers.2.mlp.down_proj", 3),
            ("model.layers.4.mlp.down_proj", 6),
            ("model.layers.15.mlp.down_proj", 6),
            ("model.embed_tokens", 3),
            ("lm_head", 6),
        ] {
            assert_eq!(bits(module), Some(expected), "{module}");
        }
        assert!("mixed_5_6".parse::<Mixed>().is_err());
    }

    #[test]
    fn routers_and_odd_rows_stay_as_they_are() {
        let more = r#", "num_local_experts": 4, "num_experts_per_tok": 2"#;
        let spec = spec("mixtral", more);
        let recipe = Recipe::Uniform(Affine { bits: 4, group: 64 });
        let router = "model.layers.3.block_sparse_moe.gate";
        assert_eq!(recipe.of(&spec, router, [4, 128]), None);
        assert_eq!(recipe.of(&spec, "lm_head", [48, 100]), None);
        assert_eq!(recipe.of(&spec, "lm_head", [1, 128]), None);
        assert!(recipe.of(&spec, "lm_head", [48, 128]).is_some());
    }
}
