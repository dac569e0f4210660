//! MXFP4 weights as affine ones of five bits, number for number.
//!
//! A four-bit float is one of 0, ½, 1, 1½, 2, 3, 4, 6 with a sign, times the
//! power of two of its group of 32. Twice that is a whole number from -12 to 12,
//! so `weight = scale · q + bias` with q from 0 to 24, scale = 2^(e-128) and
//! bias = -12 · scale is exact, in bf16 as well.

use mlx_rs::{Array, Dtype, error::Exception};

use super::Affine;
use crate::models::{
    ModelError,
    blocks::{Matrix, Precision},
};

/// Numbers that share a power of two.
const GROUP: usize = 32;
/// Twice the absolute values of the codes.
const DOUBLED: [u8; 8] = [0, 1, 2, 3, 4, 6, 8, 12];
/// Added to doubled values, so that none is negative.
const ZERO: u8 = 12;

/// `packed` u32 `[.., columns / 8]` as MLX keeps them, or the same bytes as u8;
/// `exponents` u8 `[.., columns / 32]`.
///
/// # Errors
/// When MLX cannot read the tensors.
pub fn from_mxfp4(
    packed: &Array,
    exponents: &Array,
    precision: Precision,
) -> Result<Matrix, ModelError> {
    let words = packed.view_dtype(Dtype::Uint32)?.contiguous()?;
    let exponents = exponents.contiguous()?;
    mlx_rs::transforms::eval([&words, &exponents])?;
    let read = |error| Exception::custom(format!("MLX gave no packed numbers: {error}"));
    let codes = words.try_as_slice::<u32>().map_err(read)?;
    let powers = exponents.try_as_slice::<u8>().map_err(read)?;
    let repacked: Vec<u32> = codes.chunks_exact(GROUP / 8).flat_map(repack).collect();
    let scales: Vec<f32> = powers.iter().map(|e| scale(*e)).collect();
    let biases: Vec<f32> = scales.iter().map(|s| -f32::from(ZERO) * s).collect();
    let shape = exponents.shape();
    let mut wide = shape.to_vec();
    if let Some(last) = wide.last_mut() {
        *last *= 5;
    }
    Ok(Matrix::Quantised {
        packed: Array::from_slice(&repacked, &wide),
        scales: precision.vector(&Array::from_slice(&scales, shape))?,
        biases: precision.vector(&Array::from_slice(&biases, shape))?,
        affine: Affine {
            bits: 5,
            group: GROUP,
        },
    })
}

/// 32 codes of four bits as 32 numbers of five, lowest bits first.
fn repack(codes: &[u32]) -> [u32; 5] {
    let mut out = [0; 5];
    for (at, place) in (0..GROUP).zip((0..).step_by(5)) {
        let code = codes[at / 8] >> (at % 8 * 4) & 0xf;
        let doubled = DOUBLED[code as usize & 7];
        let number = match code & 8 {
            0 => ZERO + doubled,
            _ => ZERO - doubled,
        };
        let bits = u64::from(number) << (place % 32);
        out[place / 32] |= bits as u32;
        if let Some(next) = out.get_mut(place / 32 + 1) {
            *next |= (bits >> 32) as u32;
        }
    }
    out
}

/// Half of the power of two that an exponent stands for.
fn scale(exponent: u8) -> f32 {
    2f32.powi(i32::from(exponent) - 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_keeps_its_value() {
        // All codes twice, in groups of 2^0 and 2^-3.
        let words = [0x7654_3210u32, 0xfedc_ba98];
        let words = [words, words, words, words].concat();
        let packed = Array::from_slice(&words, &[1, 8]);
        let exponents = Array::from_slice(&[127u8, 124], &[1, 2]);
        let matrix = from_mxfp4(&packed, &exponents, Precision::new(Dtype::Float32)).unwrap();
        let found = matrix.dense(Dtype::Float32).unwrap();
        let found = found.to_vec_cast::<f32>().unwrap();
        let plus = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
        let codes: Vec<f32> = plus.into_iter().chain(plus.map(|x| -x)).collect();
        let twice = [&codes[..], &codes[..]].concat();
        let small = twice.iter().map(|x| x / 8.0);
        let expected: Vec<f32> = twice.iter().copied().chain(small).collect();
        assert_eq!(found, expected);
    }
}
