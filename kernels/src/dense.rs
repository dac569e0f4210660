//! Products with dense weights of 32 or 16 bits.

use pulp::{Arch, Simd, WithSimd};

use crate::product::{Weights, product};

/// Dense weights by element type; 16-bit floats are given as their bits.
#[derive(Clone, Copy)]
pub enum Dense<'a> {
    F32(&'a [f32]),
    F16(&'a [u16]),
    Bf16(&'a [u16]),
}

/// `out[t, n] = Σ_k x[t, k] w[n, k]` for `w` of `[rows, cols]`.
///
/// # Panics
/// If a slice's length does not fit the shapes.
pub fn dense_matmul(x: &[f32], w: Dense, rows: usize, cols: usize, out: &mut [f32]) {
    let len = match w {
        Dense::F32(w) => w.len(),
        Dense::F16(w) | Dense::Bf16(w) => w.len(),
    };
    assert_eq!(len, rows * cols, "weights do not fit their shape");
    assert_eq!(
        x.len() * rows,
        out.len() * cols,
        "input and output do not fit"
    );
    match w {
        Dense::F32(w) => product(x, &Rows::<F32> { w, rows, cols }, out),
        Dense::F16(w) => product(x, &Rows::<F16> { w, rows, cols }, out),
        Dense::Bf16(w) => product(x, &Rows::<Bf16> { w, rows, cols }, out),
    }
}

/// How an element type becomes `f32`, without branches.
trait Element: Sync {
    type Bits: Copy + Sync + 'static;
    fn widen(bits: Self::Bits) -> f32;
}

struct F32;
impl Element for F32 {
    type Bits = f32;
    #[inline(always)]
    fn widen(bits: f32) -> f32 {
        bits
    }
}

struct Bf16;
impl Element for Bf16 {
    type Bits = u16;
    #[inline(always)]
    fn widen(bits: u16) -> f32 {
        f32::from_bits(u32::from(bits) << 16)
    }
}

struct F16;
impl Element for F16 {
    type Bits = u16;
    #[inline(always)]
    fn widen(bits: u16) -> f32 {
        widen(bits)
    }
}

/// An f16 as f32. Moves exponent and mantissa into place and corrects the
/// exponent's bias by a multiplication, which also normalises subnormals.
/// Infinities and NaN become large numbers: whoever has to tell them apart
/// looks before.
#[inline(always)]
pub fn widen(bits: u16) -> f32 {
    const BIAS: f32 = 5.192_297e33; // 2^112
    let bits = u32::from(bits);
    let sign = (bits & 0x8000) << 16;
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * BIAS;
    f32::from_bits(magnitude.to_bits() | sign)
}

struct Rows<'a, E: Element> {
    w: &'a [E::Bits],
    rows: usize,
    cols: usize,
}

impl<E: Element> Weights for Rows<'_, E> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn cols(&self) -> usize {
        self.cols
    }

    fn expand(&self, row: usize, out: &mut [f32]) {
        let w = &self.w[row * self.cols..][..self.cols];
        Arch::new().dispatch(Expand::<E> { w, out });
    }
}

struct Expand<'a, E: Element> {
    w: &'a [E::Bits],
    out: &'a mut [f32],
}

impl<E: Element> WithSimd for Expand<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (out, bits) in self.out.iter_mut().zip(self.w) {
            *out = E::widen(*bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(x: &[f32], w: &[f32], rows: usize, cols: usize) -> Vec<f32> {
        x.chunks_exact(cols)
            .flat_map(|x| {
                (0..rows).map(move |n| {
                    let row = &w[n * cols..][..cols];
                    x.iter()
                        .zip(row)
                        .map(|(a, b)| f64::from(*a) * f64::from(*b))
                        .sum::<f64>() as f32
                })
            })
            .collect()
    }

    fn values(count: usize, seed: u32) -> Vec<f32> {
        (0..count as u32)
            .map(|i| {
                ((i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 8_388_608.0) - 1.0
            })
            .collect()
    }

    #[test]
    fn every_type_and_shape_agrees_with_the_definition() {
        for (tokens, rows, cols) in [
            (1, 5, 7),
            (1, 33, 130),
            (2, 40, 96),
            (17, 70, 64),
            (64, 1030, 520),
            (1, 1100, 1024),
        ] {
            let x = values(tokens * cols, 1);
            let exact = values(rows * cols, 9);
            let bf16: Vec<u16> = exact.iter().map(|v| (v.to_bits() >> 16) as u16).collect();
            let f16: Vec<u16> = (0..rows * cols)
                .map(|i| (i as u16).wrapping_mul(7919) & 0xbfff)
                .collect();
            let widened = |bits: &[u16], widen: fn(u16) -> f32| {
                bits.iter().map(|b| widen(*b)).collect::<Vec<_>>()
            };
            for (dense, w) in [
                (Dense::F32(&exact), exact.clone()),
                (Dense::Bf16(&bf16), widened(&bf16, Bf16::widen)),
                (Dense::F16(&f16), widened(&f16, F16::widen)),
            ] {
                let mut out = vec![f32::NAN; tokens * rows];
                dense_matmul(&x, dense, rows, cols, &mut out);
                for (a, b) in out.iter().zip(reference(&x, &w, rows, cols)) {
                    assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{a} is not {b}");
                }
            }
        }
    }

    #[test]
    fn half_floats_widen_exactly() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x0001, 2f32.powi(-24)),
            (0x7bff, 65504.0),
            (0x8000, -0.0),
        ] {
            assert_eq!(F16::widen(bits).to_bits(), f32::to_bits(value));
        }
    }
}
