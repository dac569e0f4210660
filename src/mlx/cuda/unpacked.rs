//! Products of many rows with packed weights: the weights are unpacked first.

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{Key, Launch, Program, kernel, type_name};
use crate::mlx::{Backend, backend};

/// Rows of x from which that pays. Measured on an H200 with an 8B model of 4
/// bits: unpacking takes as long as 120 rows, and MLX's packed kernel 8 ms
/// for 64 rows and 25 for 65.
pub(super) const MANY_ROWS: i32 = 65;
const THREADS: i32 = 256;
/// Times that a thread unpacks eight numbers.
const BATCH: i32 = 4;

/// Whether products of so many rows unpack the weights first.
pub fn unpacks(rows: i32) -> bool {
    backend() == Backend::Cuda && rows >= MANY_ROWS
}

/// What a kernel is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct UnpackSpec {
    bits: i32,
    group: i32,
    dtype: Dtype,
}

/// `x [T, K]` times the transpose of packed weights `[N, K]`.
pub(super) fn dense_matmul(
    x: &Array,
    w: &Array,
    scales: &Array,
    biases: &Array,
    group: i32,
    bits: i32,
) -> Result<Array, Exception> {
    let dense = match unpack_weights(w, scales, biases, group, bits) {
        Some(dense) => dense?,
        None => ops::dequantize(w, scales, biases, group, bits)?,
    };
    ops::matmul(x, dense.as_dtype(x.dtype())?.t())
}

/// The weights as numbers `[N, K]` in the type of their scales; `None` where
/// the kernel does not serve.
fn unpack_weights(
    w: &Array,
    scales: &Array,
    biases: &Array,
    group: i32,
    bits: i32,
) -> Option<Result<Array, Exception>> {
    let (shape, dtype) = (unpacked_shape(w, scales, group, bits)?, scales.dtype());
    let half = matches!(dtype, Dtype::Float16 | Dtype::Bfloat16);
    let fits = half && biases.shape() == scales.shape() && biases.dtype() == dtype;
    let name = type_name(dtype).filter(|_| fits)?;
    let spec = UnpackSpec { bits, group, dtype };
    let made = kernel(Key::Unpack(spec), || Program {
        name: "maquette_unpack_weights",
        inputs: ["w", "scales", "biases"].map(str::to_owned).into(),
        outputs: vec!["out"],
        constants: format!(
            "using T = {name};\nconstexpr int BITS = {bits};\nconstexpr int GROUP = {group};\n\
             constexpr int BATCH = {BATCH};\n"
        ),
        functions: include_str!("unpack_weights.cu"),
        body: "maquette::unpack_weights(w, scales, biases, out, w_shape[0] * \
               int64_t(w_shape[1]) / maquette::WORDS);"
            .to_owned(),
    });
    let eights = i64::from(shape[0]) * i64::from(shape[1]) / 8;
    let of_block = i64::from(THREADS * BATCH);
    let launch = Launch {
        outputs: &[(&shape, dtype)],
        blocks: [i32::try_from((eights - 1) / of_block + 1).ok()?, 1, 1],
        threads: THREADS,
    };
    let done = made.and_then(|kernel| kernel.launch(&[w, scales, biases], &launch));
    Some(done.and_then(|arrays| {
        let first = arrays.into_iter().next();
        first.ok_or_else(|| Exception::custom("MLX gave no result of a kernel"))
    }))
}

/// `[N, K]`, if the kernel knows such weights.
fn unpacked_shape(w: &Array, scales: &Array, group: i32, bits: i32) -> Option<[i32; 2]> {
    let &[rows, words] = w.shape() else {
        return None;
    };
    let columns = words.checked_mul(32)? / bits.max(1);
    let known = w.dtype() == Dtype::Uint32
        && matches!(bits, 4 | 8)
        && group > 0
        && group % 8 == 0
        && scales.shape() == [rows, columns / group]
        && columns % group == 0
        && rows > 0
        && columns > 0;
    known.then_some([rows, columns])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zeros(shape: &[i32], dtype: Dtype) -> Array {
        ops::zeros_dtype(shape, dtype).unwrap()
    }

    #[test]
    fn shapes_are_those_of_the_numbers() {
        let w = zeros(&[6, 16], Dtype::Uint32);
        let scales = |groups| zeros(&[6, groups], Dtype::Float16);
        assert_eq!(unpacked_shape(&w, &scales(2), 64, 4), Some([6, 128]));
        assert_eq!(unpacked_shape(&w, &scales(2), 32, 8), Some([6, 64]));
        assert_eq!(unpacked_shape(&w, &scales(3), 64, 4), None);
        assert_eq!(unpacked_shape(&w, &scales(2), 64, 3), None);
        let stack = zeros(&[2, 6, 16], Dtype::Uint32);
        assert_eq!(unpacked_shape(&stack, &scales(2), 64, 4), None);
    }

    #[test]
    fn other_types_are_left_to_mlx() {
        let w = zeros(&[6, 16], Dtype::Uint32);
        let scales = zeros(&[6, 2], Dtype::Float32);
        assert!(unpack_weights(&w, &scales, &scales, 64, 4).is_none());
    }
}
