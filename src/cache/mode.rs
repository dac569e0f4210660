//! How keys and values are kept, as people name it.

use std::{fmt, str::FromStr};

/// What becomes of a sequence's keys and values once a page of them is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum KvMode {
    /// They stay as they were computed.
    #[default]
    Plain,
    /// As f16.
    Half,
    /// 8 or 4 bits a number, between the least and the greatest of a group.
    Affine { bits: u8 },
    /// TurboQuant: 2 to 4 bits a number after a random rotation; with
    /// `residual`, one of them for the keys' errors.
    Turbo { bits: u8, residual: bool },
}

/// A name that is none of a mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no way to keep keys and values: expected {names}", names = KvMode::names())]
pub struct UnknownMode(String);

impl KvMode {
    /// All modes, from the most exact to the smallest.
    pub const ALL: [Self; 10] = [
        Self::Plain,
        Self::Half,
        Self::Affine { bits: 8 },
        Self::Affine { bits: 4 },
        Self::turbo(4, false),
        Self::turbo(3, false),
        Self::turbo(2, false),
        Self::turbo(4, true),
        Self::turbo(3, true),
        Self::turbo(2, true),
    ];

    const fn turbo(bits: u8, residual: bool) -> Self {
        Self::Turbo { bits, residual }
    }

    fn names() -> String {
        let names: Vec<String> = Self::ALL.iter().map(Self::to_string).collect();
        names.join(", ")
    }

    /// The mode that a request names by `mode`, by `bits`, or by both.
    ///
    /// # Errors
    /// When there is none of that name with so many bits.
    pub fn choose(mode: Option<&str>, bits: Option<u64>) -> Result<Option<Self>, UnknownMode> {
        let name = match (mode, bits) {
            (None, None) => return Ok(None),
            (Some(mode), None) => match mode {
                "affine" => "affine-8".to_owned(),
                "turbo" => "turbo-4".to_owned(),
                other => other.to_owned(),
            },
            (None | Some("half"), Some(16)) => "half".to_owned(),
            (None, Some(bits @ (4 | 8))) => format!("affine-{bits}"),
            (None, Some(bits)) => format!("turbo-{bits}"),
            (Some(mode @ ("affine" | "turbo")), Some(bits)) => format!("{mode}-{bits}"),
            (Some(mode), Some(bits)) if Self::has_bits(mode, bits) => mode.to_owned(),
            (Some(mode), Some(bits)) => format!("{mode} with {bits} bits"),
        };
        name.parse().map(Some)
    }

    /// Whether `name` is that of a mode with so many bits.
    fn has_bits(name: &str, bits: u64) -> bool {
        match name.parse() {
            Ok(Self::Affine { bits: own } | Self::Turbo { bits: own, .. }) => {
                u64::from(own) == bits
            }
            _ => false,
        }
    }
}

impl fmt::Display for KvMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => f.write_str("plain"),
            Self::Half => f.write_str("half"),
            Self::Affine { bits } => write!(f, "affine-{bits}"),
            Self::Turbo {
                bits,
                residual: false,
            } => write!(f, "turbo-{bits}"),
            Self::Turbo {
                bits,
                residual: true,
            } => write!(f, "turbo-{bits}-qjl"),
        }
    }
}

impl FromStr for KvMode {
    type Err = UnknownMode;

    fn from_str(name: &str) -> Result<Self, UnknownMode> {
        let mut all = Self::ALL.into_iter();
        all.find(|mode| mode.to_string() == name)
            .ok_or_else(|| UnknownMode(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_a_name() {
        for mode in KvMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        let error = "turbo-7".parse::<KvMode>().unwrap_err().to_string();
        assert!(
            error.contains("`turbo-7`") && error.contains("affine-8"),
            "{error}"
        );
    }

    #[test]
    fn name_and_bits_agree_or_are_refused() {
        let choose =
            |mode, bits| KvMode::choose(mode, bits).map(|mode| mode.map(|m| m.to_string()));
        for (mode, bits, expected) in [
            (None, None, None),
            (None, Some(8), Some("affine-8")),
            (None, Some(3), Some("turbo-3")),
            (None, Some(16), Some("half")),
            (Some("half"), Some(16), Some("half")),
            (Some("turbo"), None, Some("turbo-4")),
            (Some("turbo"), Some(2), Some("turbo-2")),
            (Some("affine"), Some(4), Some("affine-4")),
            (Some("turbo-3-qjl"), None, Some("turbo-3-qjl")),
            (Some("turbo-3"), Some(3), Some("turbo-3")),
        ] {
            assert_eq!(choose(mode, bits), Ok(expected.map(str::to_owned)));
        }
        for (mode, bits) in [
            (Some("turbo-3"), Some(4)),
            (Some("affine"), Some(3)),
            (None, Some(5)),
            (Some("plain"), Some(4)),
            (Some("Turbo"), None),
        ] {
            assert!(choose(mode, bits).is_err(), "{mode:?} {bits:?}");
        }
    }
}
