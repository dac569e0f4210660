//! What config.json says about quantisation, held against what the tensors are.
//!
//! The truth is in the shapes: a packed row of `p` words for `k` columns has
//! `32 p / k` bits, and `g` scales a row mean groups of `k / g`. Settings that
//! name a module must agree with them. As in mlx-lm, a module that is not named
//! may differ from the general setting.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::{Packer, SmallFloat};
use crate::models::{Config, ModelError};

/// Bits that a weight can have.
pub const BITS: [usize; 6] = [2, 3, 4, 5, 6, 8];
/// Weights that can share a scale.
pub const GROUPS: [usize; 3] = [32, 64, 128];

/// Affine quantisation: groups of `group` weights share a scale and a bias,
/// `weight = scale · q + bias` with `q` of `bits` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Affine {
    pub bits: usize,
    pub group: usize,
}

impl fmt::Display for Affine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-bit g{}", self.bits, self.group)
    }
}

impl Affine {
    /// # Errors
    /// The problem, when MLX has no kernels for these numbers.
    pub fn new(bits: usize, group: usize) -> Result<Self, String> {
        if !BITS.contains(&bits) {
            return Err(format!("{bits} bits: expected 2, 3, 4, 5, 6 or 8"));
        }
        if !GROUPS.contains(&group) {
            return Err(format!("groups of {group}: expected 32, 64 or 128"));
        }
        Ok(Self { bits, group })
    }

    /// Derived from the shapes of packed weights and scales for `columns`
    /// columns.
    ///
    /// # Errors
    /// The problem, when no supported quantisation has these shapes.
    pub fn from_shapes(columns: usize, words: usize, groups: usize) -> Result<Self, String> {
        if groups == 0 || !columns.is_multiple_of(groups) {
            return Err(format!(
                "{groups} scales a row do not divide its {columns} columns evenly"
            ));
        }
        // A header may promise any number of words for no rows.
        let bits = words
            .checked_mul(32)
            .filter(|bits| bits.is_multiple_of(columns));
        let Some(bits) = bits else {
            return Err(format!("{words} words a row do not hold {columns} columns"));
        };
        Self::new(bits / columns, columns / groups)
    }

    /// 32-bit words of a packed row.
    pub fn words(&self, columns: usize) -> usize {
        columns * self.bits / 32
    }
}

/// How numbers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Affine(Affine),
    /// OCP's MXFP4: four-bit floats, 32 of which share a power of two.
    Mxfp4,
    /// Other floats with scales.
    Small(SmallFloat),
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Affine(affine) => affine.fmt(f),
            Self::Mxfp4 => f.write_str("mxfp4"),
            Self::Small(SmallFloat::Mxfp8) => f.write_str("mxfp8"),
            Self::Small(SmallFloat::Nvfp4) => f.write_str("nvfp4"),
        }
    }
}

/// The quantisation settings of a config.json.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quantisation {
    /// `None`: config.json does not speak of quantisation.
    pub general: Option<Packing>,
    /// Who packed the weights, if it was not MLX.
    pub packer: Option<Packer>,
    /// Rows and columns of a block of FP8 weights.
    pub fp8_block: [usize; 2],
    /// By module; `None` keeps the module dense.
    modules: BTreeMap<String, Option<Packing>>,
}

impl Quantisation {
    /// Reads `quantization` (or `quantization_config`, where older conversions
    /// keep the same).
    ///
    /// # Errors
    /// When the settings are incomplete or of an unknown kind.
    pub fn read(config: &Config) -> Result<Self, ModelError> {
        let key = if config.get("quantization").is_some() {
            "quantization"
        } else {
            "quantization_config"
        };
        let Some(settings) = config.object_or_none(key)? else {
            return Ok(Self::default());
        };
        if let Some(method) = settings.text_or_none("quant_method")? {
            return by_method(method, &settings);
        }
        let mut modules = BTreeMap::new();
        for (module, value) in settings.keys() {
            match value {
                Value::Bool(false) => {
                    modules.insert(module.to_owned(), None);
                }
                Value::Object(_) => {
                    if let Some(own) = settings.object_or_none(module)? {
                        modules.insert(module.to_owned(), Some(packing(&own)?));
                    }
                }
                _ => {}
            }
        }
        Ok(Self {
            general: Some(packing(&settings)?),
            modules,
            ..Self::default()
        })
    }

    /// Settings for every module alike.
    pub fn uniform(general: Option<Packing>) -> Self {
        Self {
            general,
            ..Self::default()
        }
    }

    /// Whether some modules differ from the general setting.
    pub fn is_mixed(&self) -> bool {
        self.modules.values().any(|own| *own != self.general)
    }

    /// What the settings say of `module` by name. The outer `None`: nothing.
    pub fn named(&self, module: &str) -> Option<Option<Packing>> {
        let short = module.strip_prefix("model.").unwrap_or(module);
        self.modules
            .get(module)
            .or_else(|| self.modules.get(short))
            .copied()
    }

    /// Compares what `module` is with what the settings say of it.
    ///
    /// # Errors
    /// The problem, when they disagree.
    pub fn agree(&self, module: &str, found: Option<Packing>) -> Result<(), String> {
        match (found, self.named(module)) {
            (Some(found), Some(None)) => Err(format!(
                "config.json says it is not quantised and its tensors are {found}"
            )),
            (Some(found), Some(Some(said))) if found != said => Err(format!(
                "config.json says {said} and its tensors are {found}"
            )),
            (None, Some(Some(said))) => Err(format!(
                "config.json says {said} and its tensors are not quantised"
            )),
            (Some(found), None) if self.general.is_none() => Err(format!(
                "its tensors are {found} and config.json has no `quantization`"
            )),
            _ => Ok(()),
        }
    }
}

/// What other programs than MLX's write.
fn by_method(method: &str, settings: &Config) -> Result<Quantisation, ModelError> {
    let packed = |packer| {
        let (bits, group) = (settings.size("bits")?, settings.size("group_size")?);
        if ![4, 8].contains(&bits) || packer == Packer::Awq && bits != 4 {
            let problem = format!("is {bits}: AWQ has 4 bits, and of GPTQ 4 and 8 are supported");
            return Err(settings.error("bits", problem));
        }
        Ok(Quantisation {
            general: Some(affine(settings, bits, group)?),
            packer: Some(packer),
            ..Quantisation::default()
        })
    };
    match method {
        "mxfp4" => Ok(Quantisation::uniform(Some(Packing::Mxfp4))),
        "fp8" => {
            let key = "weight_block_size";
            let block = match settings.get(key) {
                None => vec![],
                Some(_) => settings.numbers(key)?,
            };
            let fp8_block = match block[..] {
                [] => [0, 0],
                [rows, columns] if rows >= 1.0 && columns >= 1.0 => {
                    [rows as usize, columns as usize]
                }
                _ => return Err(settings.error(key, "is not two sizes")),
            };
            Ok(Quantisation {
                fp8_block,
                ..Quantisation::default()
            })
        }
        "awq" => match settings.text_or_none("version")?.unwrap_or("gemm") {
            version if version.eq_ignore_ascii_case("gemm") => packed(Packer::Awq),
            other => Err(settings.error("version", format!("is \"{other}\": expected \"gemm\""))),
        },
        "gptq" => {
            let format = settings
                .text_or_none("checkpoint_format")?
                .unwrap_or("gptq");
            let zero_offset = u32::from(format != "gptq_v2");
            packed(Packer::Gptq { zero_offset })
        }
        _ => {
            let problem = format!(
                "is \"{method}\": expected \"awq\", \"fp8\", \"gptq\" or \"mxfp4\". Look for an MLX version of the model"
            );
            Err(settings.error("quant_method", problem))
        }
    }
}

fn packing(settings: &Config) -> Result<Packing, ModelError> {
    let mode = settings.text_or_none("mode")?.unwrap_or("affine");
    let (bits, group) = (settings.size("bits")?, settings.size("group_size")?);
    let (packing, own_bits, own_group) = match mode {
        "affine" => return affine(settings, bits, group),
        "mxfp4" => (Packing::Mxfp4, 4, 32),
        "mxfp8" => (Packing::Small(SmallFloat::Mxfp8), 8, 32),
        "nvfp4" => (Packing::Small(SmallFloat::Nvfp4), 4, 16),
        _ => {
            let problem =
                format!("is \"{mode}\": expected \"affine\", \"mxfp4\", \"mxfp8\" or \"nvfp4\"");
            return Err(settings.error("mode", problem));
        }
    };
    let problem =
        |value: usize| format!("is {value}: {mode} has {own_bits} bits in groups of {own_group}");
    match (bits == own_bits, group == own_group) {
        (true, true) => Ok(packing),
        (true, false) => Err(settings.error("group_size", problem(group))),
        (false, _) => Err(settings.error("bits", problem(bits))),
    }
}

fn affine(settings: &Config, bits: usize, group: usize) -> Result<Packing, ModelError> {
    Affine::new(bits, group)
        .map(Packing::Affine)
        .map_err(|problem| {
            let key = if BITS.contains(&bits) {
                "group_size"
            } else {
                "bits"
            };
            settings.error(key, format!("asks for {problem}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_quantisation_is_recovered_from_its_shapes() {
        for bits in BITS {
            for group in GROUPS {
                let affine = Affine::new(bits, group).unwrap();
                let words = affine.words(256);
                assert_eq!(Affine::from_shapes(256, words, 256 / group), Ok(affine));
            }
        }
    }

    #[test]
    fn impossible_shapes_are_explained() {
        let problem = |words, groups| Affine::from_shapes(256, words, groups).unwrap_err();
        assert_eq!(problem(56, 4), "7 bits: expected 2, 3, 4, 5, 6 or 8");
        assert_eq!(problem(32, 16), "groups of 16: expected 32, 64 or 128");
        assert_eq!(problem(33, 4), "33 words a row do not hold 256 columns");
        assert_eq!(
            problem(32, 3),
            "3 scales a row do not divide its 256 columns evenly"
        );
        assert_eq!(
            problem(32, 0),
            "0 scales a row do not divide its 256 columns evenly"
        );
    }
}
