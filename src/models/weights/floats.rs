//! Weights of eight-bit and four-bit floats, expanded to bf16.
//!
//! | kind | number | scale, and how many share it |
//! |---|---|---|
//! | FP8 blocks | E4M3 | a float, a block of rows and columns |
//! | MXFP8 | E4M3 | a power of two (E8M0), 32 |
//! | NVFP4 | E2M1 | E4M3, 16 |
//!
//! E4M3 has four significant bits and E2M1 two, so that their products with
//! such scales are exact in bf16; those of FP8 blocks are rounded to it.
//! Formats: OCP Microscaling v1.0, OCP FP8 (arXiv 2209.05433), NVIDIA's NVFP4.

use half::bf16;
use mlx_rs::{Array, Dtype, error::Exception, transforms::eval};

/// Absolute values of four-bit floats.
const E2M1: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

/// Floats that are packed with scales of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmallFloat {
    Mxfp8,
    Nvfp4,
}

impl SmallFloat {
    pub fn bits(self) -> usize {
        match self {
            Self::Mxfp8 => 8,
            Self::Nvfp4 => 4,
        }
    }

    /// Numbers that share a scale.
    pub fn group(self) -> usize {
        match self {
            Self::Mxfp8 => 32,
            Self::Nvfp4 => 16,
        }
    }

    fn scale(self, code: u8) -> f32 {
        match self {
            Self::Mxfp8 => e8m0(code),
            Self::Nvfp4 => e4m3(code),
        }
    }
}

/// Four bits of exponent and three of mantissa; no infinities.
pub fn e4m3(code: u8) -> f32 {
    let sign = if code & 0x80 == 0 { 1.0 } else { -1.0 };
    let (exponent, mantissa) = (i32::from(code >> 3 & 15), f32::from(code & 7));
    sign * match (exponent, code & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa * 2f32.powi(-9),
        _ => (1.0 + mantissa / 8.0) * 2f32.powi(exponent - 7),
    }
}

fn e8m0(code: u8) -> f32 {
    match code {
        255 => f32::NAN,
        // 2^-127 is subnormal in f32.
        code => (2f64.powi(i32::from(code) - 127)) as f32,
    }
}

fn e2m1(code: u8) -> f32 {
    let value = E2M1[usize::from(code & 7)];
    if code & 8 == 0 { value } else { -value }
}

fn read<T: mlx_rs::ArrayElement>(array: &Array) -> Result<&[T], Exception> {
    let read = |error| Exception::custom(format!("MLX gave no numbers: {error}"));
    array.try_as_slice::<T>().map_err(read)
}

/// `packed` u32 `[.., words]` as MLX keeps it, `scales` u8 `[.., groups]`: bf16
/// `[.., columns]`.
///
/// # Errors
/// When MLX cannot read the tensors.
pub fn from_small_floats(
    kind: SmallFloat,
    packed: &Array,
    scales: &Array,
) -> Result<Array, Exception> {
    let codes = packed.view_dtype(Dtype::Uint8)?.contiguous()?;
    let scales = scales.contiguous()?;
    eval([&codes, &scales])?;
    let (bytes, groups) = (read::<u8>(&codes)?, read::<u8>(&scales)?);
    let each = kind.group() * kind.bits() / 8;
    let mut numbers = Vec::with_capacity(groups.len() * kind.group());
    for (group, scale) in bytes.chunks_exact(each).zip(groups) {
        let scale = kind.scale(*scale);
        let of = |value: f32| bf16::from_f32(value * scale);
        match kind {
            SmallFloat::Mxfp8 => numbers.extend(group.iter().map(|code| of(e4m3(*code)))),
            SmallFloat::Nvfp4 => {
                let codes = group.iter().flat_map(|byte| [byte & 15, byte >> 4]);
                numbers.extend(codes.map(|code| of(e2m1(code))));
            }
        }
    }
    let mut shape = scales.shape().to_vec();
    if let Some(last) = shape.last_mut() {
        *last *= kind.group() as i32;
    }
    Ok(Array::from_slice(&numbers, &shape))
}

/// E4M3 `codes` u8 `[rows, columns]` times the scale of their block: `scales`
/// `[rows / b, columns / c]`, rounded up, for blocks of `[b, c]`.
///
/// # Errors
/// When MLX cannot read the tensors, or there are too few scales.
pub fn from_fp8(codes: &Array, scales: &Array, block: [usize; 2]) -> Result<Array, Exception> {
    let (rows, columns) = (codes.dim(0) as usize, codes.dim(1) as usize);
    let across = columns.div_ceil(block[1]);
    let scales = scales.as_dtype(Dtype::Float32)?.contiguous()?;
    let codes = codes.contiguous()?;
    eval([&codes, &scales])?;
    let (bytes, scales) = (read::<u8>(&codes)?, read::<f32>(&scales)?);
    if scales.len() < rows.div_ceil(block[0]) * across {
        return Err(Exception::custom(format!(
            "{} scales are too few for blocks of {block:?} of {rows} x {columns}",
            scales.len()
        )));
    }
    let table: Vec<f32> = (0..=255).map(e4m3).collect();
    let mut numbers = Vec::with_capacity(bytes.len());
    for (row, codes) in bytes.chunks_exact(columns.max(1)).enumerate() {
        let own = &scales[row / block[0] * across..][..across];
        for (codes, scale) in codes.chunks(block[1]).zip(own) {
            let values = codes.iter().map(|code| table[usize::from(*code)] * scale);
            numbers.extend(values.map(bf16::from_f32));
        }
    }
    Ok(Array::from_slice(&numbers, codes.shape()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_what_the_formats_say() {
        for (code, value) in [
            (0x00, 0.0),
            (0x01, 2f32.powi(-9)),
            (0x07, 7.0 * 2f32.powi(-9)),
            (0x08, 2f32.powi(-6)),
            (0x38, 1.0),
            (0x3c, 1.5),
            (0x7e, 448.0),
            (0xb8, -1.0),
            (0xfe, -448.0),
        ] {
            assert_eq!(e4m3(code), value, "{code:#x}");
        }
        assert!(e4m3(0x7f).is_nan() && e4m3(0xff).is_nan());
        assert_eq!([e8m0(127), e8m0(130), e8m0(0)], [1.0, 8.0, 2f32.powi(-127)]);
        assert_eq!([e2m1(5), e2m1(15), e2m1(8)], [3.0, -6.0, -0.0]);
    }

    #[test]
    fn blocks_share_a_scale() {
        let codes: Vec<u8> = vec![0x38; 6];
        let codes = Array::from_slice(&codes, &[2, 3]);
        let scales = Array::from_slice(&[1.0f32, 2.0, 3.0, 4.0], &[2, 2]);
        let numbers = from_fp8(&codes, &scales, [1, 2]).unwrap();
        let numbers = numbers.to_vec_cast::<f32>().unwrap();
        assert_eq!(numbers, [1.0, 1.0, 2.0, 3.0, 3.0, 4.0]);
        assert!(from_fp8(&codes, &scales, [1, 1]).is_err());
    }

    #[test]
    fn products_with_small_scales_are_exact() {
        for code in 0..=255u8 {
            let value = e4m3(code);
            if value.is_nan() {
                continue;
            }
            for scale in [1u8, 100, 130] {
                let product = f64::from(value) * f64::from(e8m0(scale));
                let kept = bf16::from_f32(value * e8m0(scale));
                if product.abs() > 1e-36 {
                    assert_eq!(f64::from(kept.to_f32()), product);
                }
            }
            for small in 0..16 {
                let product = value * e2m1(small);
                assert_eq!(bf16::from_f32(product).to_f32(), product);
            }
        }
    }
}
