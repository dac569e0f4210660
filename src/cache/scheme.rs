//! What a mode means for a model: which layers are packed, and how.
//!
//! First pages stay plain (early tokens draw attention from all others), and
//! with TurboQuant so do the first and the last layers, whose errors weigh most.
//! Plain then means 16 bits at most.

use std::{cell::OnceCell, rc::Rc, sync::Arc};

use mlx_rs::{Array, Dtype, error::Exception};

use super::{KvMode, page::PAGE_TOKENS, tail::GROWTH};
use crate::mlx::{self, Packing, Sketch};

/// Layers at each end that TurboQuant leaves plain, in models deep enough.
const PLAIN_ENDS: usize = 2;
/// How deep a model is for each of them.
const DEEP: usize = 8;
/// By so many tokens a sequence can be cut back at any time: proposals that were
/// not accepted, the end of a prompt that templates write in another way later.
pub(super) const CUT_BACK: usize = PAGE_TOKENS;
/// Seeds of everything random. Stored pages stand on them.
const SEED: u64 = 0x4d61_7175_6574_7465;

/// What a layer of a model keeps for each token.
#[derive(Debug, Clone, PartialEq)]
pub struct KvLayer {
    pub heads: usize,
    /// Numbers of a head's key and of its value.
    pub widths: [usize; 2],
    pub dtype: Dtype,
    pub packs: Packs,
    /// How many tokens at the end the next one may look at, itself among them;
    /// `None`: all of them.
    pub reach: Option<usize>,
}

/// Whether a layer may be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packs {
    Yes,
    /// It stays plain whatever the mode: it keeps little.
    Plain,
    /// Packing is known to ruin what it computes.
    Refused(&'static str),
}

impl KvLayer {
    /// A layer that may be packed.
    pub fn new(heads: usize, width: usize, dtype: Dtype) -> Self {
        Self {
            heads,
            widths: [width; 2],
            dtype,
            packs: Packs::Yes,
            reach: None,
        }
    }

    /// A layer without keys and values.
    pub fn nothing(dtype: Dtype) -> Self {
        Self {
            packs: Packs::Plain,
            ..Self::new(0, 0, dtype)
        }
    }

    /// Whether it keeps more the longer a sequence is, and may be packed.
    fn is_packable(&self) -> bool {
        self.packs == Packs::Yes && self.reach.is_none()
    }

    /// Numbers of a token.
    pub fn numbers(&self) -> usize {
        self.heads * (self.widths[0] + self.widths[1])
    }

    /// Bytes of a token.
    pub fn bytes(&self) -> u64 {
        let each = if self.dtype == Dtype::Float32 { 4 } else { 2 };
        (self.numbers() * each) as u64
    }
}

/// A mode that a model cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("keys and values of this model cannot be kept as {mode}: {reason}. Use \"plain\"")]
pub struct Refusal {
    pub mode: KvMode,
    pub reason: String,
}

/// How a packed layer keeps keys and values.
#[derive(Debug, Clone)]
pub struct LayerPacking {
    /// Of keys and of values.
    pub packing: [Arc<Packing>; 2],
    /// Of what is not packed.
    pub dtype: Dtype,
    pub rotation: Option<Rc<Rotation>>,
}

/// A rotation of rows, and back.
#[derive(Debug)]
pub struct Rotation {
    width: usize,
    dtype: Dtype,
    /// `[width, width]` and its transpose; made on the thread that uses them.
    matrices: OnceCell<[Array; 2]>,
}

/// The layers that look back a part of the way only. All of them keep what the
/// one needs that looks back farthest: models have windows of one size.
#[derive(Debug, Default)]
pub struct Windows {
    layers: Vec<bool>,
    reach: Option<usize>,
    most: usize,
    /// Bytes of a token in all of them.
    token_bytes: u64,
}

/// A mode, layer by layer.
#[derive(Debug, Default)]
pub struct Scheme {
    layers: Vec<Option<LayerPacking>>,
    /// What layers keep that do not reach back to the beginning.
    windows: Windows,
    /// Bytes of a token in plain layers, and of a token that is plain or packed
    /// in the others.
    plain: u64,
    unpacked: u64,
    packed: u64,
}

impl Scheme {
    /// Whether a model with such layers can take the mode.
    ///
    /// # Errors
    /// When it has layers that break.
    pub fn check(mode: KvMode, layers: &[KvLayer]) -> Result<(), Refusal> {
        let refused = layers.iter().find_map(|layer| match layer.packs {
            Packs::Refused(reason) if mode != KvMode::Plain => Some(reason.to_owned()),
            _ => None,
        });
        let narrow = |layer: &KvLayer| layer.is_packable() && layer.widths[0] != layer.widths[1];
        let unequal = || {
            let unequal = matches!(mode, KvMode::Turbo { .. }) && layers.iter().any(narrow);
            unequal.then(|| "keys and values have different widths".to_owned())
        };
        if let Some(reason) = refused.or_else(unequal) {
            return Err(Refusal { mode, reason });
        }
        Ok(())
    }

    /// # Errors
    /// As for [`Self::check`].
    pub fn new(mode: KvMode, layers: &[KvLayer], step_rows: usize) -> Result<Self, Refusal> {
        Self::check(mode, layers)?;
        let able: Vec<usize> = (0..layers.len())
            .filter(|at| layers[*at].is_packable())
            .collect();
        let ends = match mode {
            KvMode::Turbo { .. } => PLAIN_ENDS.min(able.len() / DEEP),
            _ => 0,
        };
        let inner = able.get(ends..able.len() - ends).unwrap_or_default();
        let mut scheme = Self {
            windows: Windows::new(layers, step_rows),
            ..Self::default()
        };
        let mut known = Vec::new();
        for (at, layer) in layers.iter().enumerate() {
            let own = match inner.contains(&at) {
                true => mode,
                // Ends of deep models.
                false if layer.is_packable() => KvMode::Half,
                false => KvMode::Plain,
            };
            let packing = packing_like(own, layer, &mut known);
            match &packing {
                None if layer.reach.is_some() => {}
                None => scheme.plain += layer.bytes(),
                Some(packing) => {
                    let words: usize = packing.packing.iter().map(|p| p.words()).sum();
                    scheme.unpacked += layer.bytes();
                    scheme.packed += (layer.heads * words * 4) as u64;
                }
            }
            scheme.layers.push(packing);
        }
        Ok(scheme)
    }

    /// How a layer is packed, if it is.
    pub fn layer(&self, layer: usize) -> Option<&LayerPacking> {
        self.layers.get(layer)?.as_ref()
    }

    /// Whether any layer is packed.
    pub fn packs(&self) -> bool {
        self.layers.iter().any(Option::is_some)
    }

    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// Bytes of a sequence of `tokens` tokens, with the room that it grows in.
    pub fn bytes_for(&self, tokens: usize) -> u64 {
        let rounded = tokens.next_multiple_of(GROWTH);
        // The first page, and the tokens that are not packed yet.
        let unpacked = rounded.min(GROWTH + PAGE_TOKENS) as u64;
        rounded as u64 * (self.plain + self.packed)
            + unpacked * self.unpacked
            + self.windows.bytes_for(rounded)
    }

    /// Bytes of a full page that is not the first.
    pub fn page_bytes(&self) -> u64 {
        ((self.plain + self.packed + self.windows.token_bytes) * PAGE_TOKENS as u64).max(1)
    }
}

impl Windows {
    /// `step_rows` is how many tokens of a sequence a step has at most.
    fn new(layers: &[KvLayer], step_rows: usize) -> Self {
        let windows = layers.iter().filter(|layer| layer.reach.is_some());
        let reach = windows.clone().filter_map(|layer| layer.reach).max();
        let more = step_rows.max(GROWTH);
        Self {
            layers: layers.iter().map(|layer| layer.reach.is_some()).collect(),
            reach,
            most: reach.map_or(0, |reach| {
                (reach + CUT_BACK + PAGE_TOKENS + more).next_multiple_of(GROWTH)
            }),
            token_bytes: windows.map(KvLayer::bytes).sum(),
        }
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.reach.is_some()
    }

    /// Whether a layer is one of them.
    pub fn has(&self, layer: usize) -> bool {
        self.layers.get(layer).is_some_and(|is| *is)
    }

    /// Tokens that their buffers have room for at most.
    pub fn most(&self) -> usize {
        self.most
    }

    /// The first position that the token at `position` may look at in them.
    pub fn start(&self, position: usize) -> usize {
        self.reach
            .map_or(position, |reach| (position + 1).saturating_sub(reach))
    }

    /// The end of a page up to which a sequence of `length` tokens needs nothing
    /// of them, also if it is cut back a little.
    pub fn done_with(&self, length: usize) -> usize {
        self.start(length.saturating_sub(CUT_BACK)) / PAGE_TOKENS * PAGE_TOKENS
    }

    fn bytes_for(&self, tokens: usize) -> u64 {
        tokens.min(self.most) as u64 * self.token_bytes
    }
}

/// The packing of a layer: one for all that are alike.
fn packing_like(
    mode: KvMode,
    layer: &KvLayer,
    known: &mut Vec<(KvMode, KvLayer, LayerPacking)>,
) -> Option<LayerPacking> {
    let alike = |(m, l, _): &&(KvMode, KvLayer, LayerPacking)| *m == mode && l == layer;
    if let Some((.., packing)) = known.iter().find(alike) {
        return Some(packing.clone());
    }
    let [keys, values] = layer.widths;
    let packing = match mode {
        KvMode::Plain => return None,
        KvMode::Half if layer.dtype != Dtype::Float32 => return None,
        KvMode::Half => LayerPacking {
            packing: [keys, values].map(|width| Arc::new(Packing::half(width))),
            dtype: layer.dtype,
            rotation: None,
        },
        KvMode::Affine { bits } => LayerPacking {
            packing: [keys, values].map(|width| Arc::new(Packing::affine(width, bits.into()))),
            dtype: layer.dtype,
            rotation: None,
        },
        KvMode::Turbo { bits, residual } => {
            let sketch = residual.then(|| Sketch::new(keys, SEED ^ 1));
            LayerPacking {
                packing: [
                    Arc::new(Packing::sphere(keys, bits.into(), sketch)),
                    Arc::new(Packing::sphere(values, bits.into(), None)),
                ],
                dtype: layer.dtype,
                rotation: Some(Rc::new(Rotation::new(keys, layer.dtype))),
            }
        }
    };
    known.push((mode, layer.clone(), packing.clone()));
    Some(packing)
}

impl Rotation {
    fn new(width: usize, dtype: Dtype) -> Self {
        Self {
            width,
            dtype,
            matrices: OnceCell::new(),
        }
    }

    fn matrix(&self, back: bool) -> Result<&Array, Exception> {
        let matrices = match self.matrices.get() {
            Some(matrices) => matrices,
            None => {
                let side = self.width as i32;
                let matrix = Array::from_slice(&mlx::rotation(self.width, SEED), &[side, side]);
                let there = matrix.as_dtype(self.dtype)?;
                let back = matrix.t().contiguous()?.as_dtype(self.dtype)?;
                self.matrices.get_or_init(|| [there, back])
            }
        };
        Ok(&matrices[usize::from(back)])
    }

    /// Rows `[1, heads, T, width]`, rotated.
    ///
    /// # Errors
    /// When they have another width.
    pub fn rotate(&self, rows: &Array) -> Result<Array, Exception> {
        self.multiply(rows, false)
    }

    /// The inverse of [`Self::rotate`].
    ///
    /// # Errors
    /// As there.
    pub fn rotate_back(&self, rows: &Array) -> Result<Array, Exception> {
        self.multiply(rows, true)
    }

    fn multiply(&self, rows: &Array, back: bool) -> Result<Array, Exception> {
        let flat = rows.reshape(&[-1, self.width as i32])?;
        mlx::matmul_t(&flat, self.matrix(back)?)?.reshape(rows.shape())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(count: usize) -> Vec<KvLayer> {
        vec![KvLayer::new(2, 64, Dtype::Float16); count]
    }

    fn packed(scheme: &Scheme) -> Vec<usize> {
        let layers = 0..scheme.layers.len();
        layers.filter(|at| scheme.layer(*at).is_some()).collect()
    }

    #[test]
    fn turbo_leaves_the_ends_of_deep_models_plain() {
        let turbo = |layers: &[KvLayer]| {
            Scheme::new(
                KvMode::Turbo {
                    bits: 4,
                    residual: false,
                },
                layers,
                0,
            )
            .unwrap()
        };
        assert_eq!(packed(&turbo(&layers(4))), [0, 1, 2, 3]);
        assert_eq!(packed(&turbo(&layers(9))), (1..8).collect::<Vec<_>>());
        assert_eq!(packed(&turbo(&layers(28))), (2..26).collect::<Vec<_>>());
        let affine = Scheme::new(KvMode::Affine { bits: 8 }, &layers(28), 0).unwrap();
        assert_eq!(packed(&affine).len(), 28);
        let mut some = layers(4);
        some[1].packs = Packs::Plain;
        assert_eq!(packed(&turbo(&some)), [0, 2, 3]);
    }

    #[test]
    fn bytes_are_those_of_codes_and_of_what_stays_plain() {
        let plain = Scheme::new(KvMode::Plain, &layers(4), 0).unwrap();
        assert_eq!(plain.bytes_for(300), 512 * 4 * 512);
        assert_eq!(plain.page_bytes(), 64 * 4 * 512);
        let affine = Scheme::new(KvMode::Affine { bits: 4 }, &layers(4), 0).unwrap();
        // 64 numbers are eight words and one of scale and bias.
        assert_eq!(affine.page_bytes(), 64 * 4 * (2 * 2 * 9 * 4));
        let whole = affine.bytes_for(8192);
        assert!(whole < plain.bytes_for(8192) / 3, "{whole}");
    }

    #[test]
    fn windows_are_bounded_and_stay_plain() {
        let mut some = layers(4);
        some[1].reach = Some(100);
        some[2].reach = Some(300);
        let plain = Scheme::new(KvMode::Plain, &some, 512).unwrap();
        let windows = plain.windows();
        assert_eq!(
            [0, 1, 2, 3].map(|at| windows.has(at)),
            [false, true, true, false]
        );
        // The window, what may be cut back, the rest of a page and a step.
        assert_eq!(windows.most(), 1024);
        assert_eq!(plain.bytes_for(8192), (8192 + 1024) * 2 * 512);
        assert_eq!(plain.bytes_for(100), 256 * 4 * 512);
        assert_eq!((windows.start(299), windows.start(300)), (0, 1));
        assert_eq!((windows.done_with(300), windows.done_with(1000)), (0, 576));
        let affine = Scheme::new(KvMode::Affine { bits: 8 }, &some, 512).unwrap();
        assert_eq!(packed(&affine), [0, 3]);
        let none = Scheme::new(KvMode::Plain, &layers(1), 512).unwrap();
        assert!(!none.windows().any());
        assert_eq!(none.windows().start(77), 77);
    }

    #[test]
    fn layers_that_break_are_refused() {
        let mut some = layers(3);
        some[2].packs = Packs::Refused("its layers have sinks");
        let error = Scheme::new(KvMode::Affine { bits: 8 }, &some, 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "keys and values of this model cannot be kept as affine-8: its layers have sinks. Use \"plain\""
        );
        assert!(Scheme::new(KvMode::Plain, &some, 0).is_ok());
        some[2].packs = Packs::Yes;
        some[2].widths = [128, 64];
        assert!(
            Scheme::new(
                KvMode::Turbo {
                    bits: 3,
                    residual: false
                },
                &some,
                0,
            )
            .is_err()
        );
    }

    #[test]
    fn rotating_there_and_back_changes_nothing() {
        let rotation = Rotation::new(64, Dtype::Float32);
        let data: Vec<f32> = (0..2 * 3 * 64).map(|i| (i as f32 * 0.3).sin()).collect();
        let rows = Array::from_slice(&data, &[1, 2, 3, 64]);
        let there = rotation.rotate(&rows).unwrap();
        let back: Vec<f32> = rotation.rotate_back(&there).unwrap().to_vec_cast().unwrap();
        assert!(data.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}
