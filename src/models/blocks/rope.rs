//! Rotary position embedding and its scaled variants.
//!
//! MLX rotates by `position / freqs[i]`, so what is called a frequency here is
//! its inverse, `base^(2i/d)`. Factors on the length of queries and keys, which
//! YaRN has, are left to attention's scale.

use std::f64::consts::PI;

use mlx_rs::{Array, error::Exception};

use super::on_gpu;
use crate::{
    mlx,
    models::spec::{RopeScaling, RopeSpec},
};

#[derive(Debug, Clone)]
pub struct Rope {
    dims: i32,
    spec: RopeSpec,
    /// Multiplies positions.
    scale: f32,
    /// `[dims / 2]`, where the base alone does not say it.
    freqs: Option<Array>,
    /// `[dims / 2]`: radians that each pair turns from a position to the next,
    /// where that is the same everywhere.
    turns: Option<Array>,
}

impl Rope {
    /// For heads of `width` numbers.
    pub fn new(spec: &RopeSpec, width: usize) -> Self {
        let dims = spec.dims.unwrap_or(width);
        let scale = match spec.scaling {
            RopeScaling::Linear { factor } => (1.0 / factor) as f32,
            _ => 1.0,
        };
        let array = |values: Vec<f32>| Array::from_slice(&values, &[values.len() as i32]);
        let single = |freqs: Vec<f64>| array(freqs.into_iter().map(|f| f as f32).collect());
        let turn = |freq: &f64| (f64::from(scale) / freq) as f32;
        let turns = inverse_frequencies(spec, dims, true);
        Self {
            dims: dims as i32,
            spec: spec.clone(),
            scale,
            freqs: inverse_frequencies(spec, dims, !on_gpu()).map(single),
            turns: turns.map(|freqs| array(freqs.iter().map(turn).collect())),
        }
    }

    /// Radians `[dims / 2]` that each pair turns from a position to the next;
    /// `None` when that depends on the length.
    pub fn turns(&self) -> Option<&Array> {
        self.turns.as_ref()
    }

    /// Whether neighbours are rotated together instead of halves.
    pub fn is_interleaved(&self) -> bool {
        self.spec.traditional
    }

    /// Rotates `x [1, H, T, D]`, whose rows have the positions from `position`
    /// on.
    pub fn forward(&self, x: &Array, position: i32) -> Result<Array, Exception> {
        let base = self.base(position + x.dim(2));
        let (dims, traditional) = (self.dims, self.spec.traditional);
        mlx::rope(
            x,
            dims,
            traditional,
            base,
            self.scale,
            position,
            self.freqs.as_ref(),
        )
    }

    /// Rotates `x [T, H, 1, D]`, each row by its own place in `positions [T]`.
    /// Only for rotations that are [`Rope::is_static`].
    pub fn forward_each(&self, x: &Array, positions: &Array) -> Result<Array, Exception> {
        let (dims, traditional) = (self.dims, self.spec.traditional);
        let (base, freqs) = (self.base(0), self.freqs.as_ref());
        mlx::rope_each(x, dims, traditional, base, self.scale, positions, freqs)
    }

    /// Whether the rotation depends on nothing but the position.
    pub fn is_static(&self) -> bool {
        !matches!(self.spec.scaling, RopeScaling::Dynamic { .. })
    }

    /// The base, unless frequencies stand in for it. `length` counts the tokens
    /// up to and including the rows at hand.
    fn base(&self, length: i32) -> Option<f32> {
        if self.freqs.is_some() {
            return None;
        }
        let RopeScaling::Dynamic { factor, context } = self.spec.scaling else {
            return Some(self.spec.base as f32);
        };
        let (dims, context) = (f64::from(self.dims), context as f64);
        let stretch = factor * f64::from(length).max(context) / context - (factor - 1.0);
        Some((self.spec.base * stretch.powf(dims / (dims - 2.0))) as f32)
    }

    /// What YaRN and LongRoPE multiply the rotated numbers of both queries and
    /// keys with; their product takes its square.
    pub fn magnitude(spec: &RopeSpec) -> f64 {
        match spec.scaling {
            RopeScaling::Yarn {
                factor,
                mscale,
                mscale_all_dim,
                ..
            } => yarn_magnitude(factor, mscale) / yarn_magnitude(factor, mscale_all_dim),
            RopeScaling::Long { magnitude, .. } => magnitude,
            _ => 1.0,
        }
    }
}

/// YaRN's growth of queries and keys with the context.
pub fn yarn_magnitude(factor: f64, mscale: f64) -> f64 {
    match factor > 1.0 {
        true => 0.1 * mscale * factor.ln() + 1.0,
        false => 1.0,
    }
}

/// `base^(2i/d)` stretched as the scaling asks, in f64; `None` when the base
/// says it all. `always`: even then, unless it changes with the length. (Our
/// own kernel would derive them again in every layer.)
fn inverse_frequencies(spec: &RopeSpec, dims: usize, always: bool) -> Option<Vec<f64>> {
    let plain = (0..dims / 2).map(|i| spec.base.powf(2.0 * i as f64 / dims as f64));
    match &spec.scaling {
        &RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_context,
        } => {
            // Wavelengths beyond `longest` are stretched, those under
            // `shortest` kept, those between blended.
            let longest = original_context / low_freq_factor;
            let shortest = original_context / high_freq_factor;
            let stretch = |freq: f64| {
                let wavelength = 2.0 * PI * freq;
                if wavelength > longest {
                    freq * factor
                } else if wavelength > shortest && wavelength < longest {
                    let smooth = (original_context / wavelength - low_freq_factor)
                        / (high_freq_factor - low_freq_factor);
                    freq / ((1.0 - smooth) / factor + smooth)
                } else {
                    freq
                }
            };
            Some(plain.map(stretch).collect())
        }
        &RopeScaling::Yarn {
            factor,
            original_context,
            beta_fast,
            beta_slow,
            ..
        } => {
            // The dimension that turns `rotations` times in the original context.
            let dimension = |rotations: f64| {
                dims as f64 * (original_context / (rotations * 2.0 * PI)).ln()
                    / (2.0 * spec.base.ln())
            };
            let low = dimension(beta_fast).floor().max(0.0);
            let high = dimension(beta_slow).ceil().min(dims as f64 - 1.0);
            let width = if low == high { 0.001 } else { high - low };
            let blend = |(i, freq): (usize, f64)| {
                let keep = 1.0 - ((i as f64 - low) / width).clamp(0.0, 1.0);
                let stretched = factor * freq;
                stretched * freq / (stretched * keep + freq * (1.0 - keep))
            };
            Some(plain.enumerate().map(blend).collect())
        }
        RopeScaling::Long { factors, .. } => {
            let factor = |i: usize| factors.get(i).or(factors.first()).copied();
            let stretch = |(i, freq)| freq * factor(i).unwrap_or(1.0);
            Some(plain.enumerate().map(stretch).collect())
        }
        &RopeScaling::Proportional { rotated, factor } => {
            // What never turns takes infinitely long.
            let stretch = |(i, freq): (usize, f64)| match 2 * i < rotated {
                true => factor * freq,
                false => f64::INFINITY,
            };
            Some(plain.enumerate().map(stretch).collect())
        }
        RopeScaling::Dynamic { .. } => None,
        RopeScaling::None | RopeScaling::Linear { .. } => always.then(|| plain.collect()),
    }
}
