//! Products with packed weights: few rows by a kernel of ours, many by unpacking
//! the weights first. MLX's own kernels leave most of the memory's speed unused
//! with few rows, and most of the tensor cores' with many.

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{Key, Launch, Program, kernel, type_name};
use crate::mlx::{Backend, backend};

/// Rows of x that our kernel serves.
const MOST_ROWS: i32 = 64;
/// Numbers of w up to which MLX's kernel for a single row is as fast: there the
/// time goes into launching.
const SMALL: i32 = 8 << 20;
/// Rows of x from which it pays to unpack w as a whole and multiply densely:
/// measured on an H200, where MLX's packed kernel takes 127 µs a row of an 8B
/// model, the dense one 28, and unpacking as long as 120 rows.
const MANY_ROWS: i32 = 160;
/// Columns that are taken at once.
const CHUNK: i32 = 128;

/// Whether products of so many rows unpack the weights first.
pub fn unpacks(rows: i32) -> bool {
    backend() == Backend::Cuda && rows >= MANY_ROWS
}

/// What a kernel is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PackedSpec {
    columns: i32,
    bits: i32,
    group: i32,
    /// Tiles of 8 rows of x.
    wide: i32,
    dtype: Dtype,
}

impl PackedSpec {
    /// Tiles of 16 rows of w that a warp holds: more where many rows of x can
    /// be used for each.
    fn tall(&self) -> i32 {
        if self.wide > 2 { 2 } else { 1 }
    }

    fn warps(&self) -> i32 {
        if self.wide > 2 { 4 } else { 8 }
    }

    fn program(&self, name: &str) -> Program {
        Program {
            name: "maquette_packed_matmul",
            inputs: ["x", "w", "scales", "biases"].map(str::to_owned).into(),
            outputs: vec!["out"],
            constants: format!(
                "using T = {name};\nconstexpr bool HALF = {};\nconstexpr int COLUMNS = {};\n\
                 constexpr int BITS = {};\nconstexpr int GROUP = {};\nconstexpr int TALL = {};\n\
                 constexpr int WIDE = {};\nconstexpr int WARPS = {};\n",
                self.dtype == Dtype::Float16,
                self.columns,
                self.bits,
                self.group,
                self.tall(),
                self.wide,
                self.warps(),
            ),
            functions: include_str!("packed_matmul.cu"),
            body: "maquette::packed_matmul(x, w, scales, biases, out, x_shape[0], w_shape[0]);"
                .to_owned(),
        }
    }
}

/// `x [T, K]` times the transpose of packed weights `[N, K]`, as
/// [`crate::mlx::quantized_matmul`]; `None` where the kernel does not serve.
pub fn packed_matmul(
    x: &Array,
    w: &Array,
    scales: &Array,
    biases: &Array,
    group: i32,
    bits: i32,
) -> Option<Result<Array, Exception>> {
    if x.ndim() == 2 && x.dim(0) >= MANY_ROWS {
        return Some(dense_matmul(x, w, scales, biases, group, bits));
    }
    let spec = spec(x, scales, biases, group, bits)?;
    let rows_at_once = 16 * spec.tall();
    let (rows, of_w) = (x.dim(0), w.dim(0));
    let packed = w.dtype() == Dtype::Uint32 && w.shape() == [of_w, spec.columns * bits / 32];
    let fits = packed
        && of_w % rows_at_once == 0
        && scales.shape() == [of_w, spec.columns / group]
        && biases.shape() == scales.shape();
    let small = rows == 1 && of_w.saturating_mul(spec.columns) <= SMALL;
    let name = type_name(spec.dtype).filter(|_| fits && !small)?;
    let launch = Launch {
        outputs: &[(&[rows, of_w], spec.dtype)],
        blocks: [of_w / rows_at_once, 1, 1],
        threads: 32 * spec.warps(),
    };
    let made = kernel(Key::Packed(spec), || spec.program(name));
    let done = made.and_then(|k| k.launch(&[x, w, scales, biases], &launch));
    Some(done.and_then(|arrays| {
        let first = arrays.into_iter().next();
        first.ok_or_else(|| Exception::custom("MLX gave no result of a kernel"))
    }))
}

fn dense_matmul(
    x: &Array,
    w: &Array,
    scales: &Array,
    biases: &Array,
    group: i32,
    bits: i32,
) -> Result<Array, Exception> {
    let dense = ops::dequantize(w, scales, biases, group, bits)?;
    ops::matmul(x, dense.as_dtype(x.dtype())?.t())
}

fn spec(x: &Array, scales: &Array, biases: &Array, group: i32, bits: i32) -> Option<PackedSpec> {
    let &[rows, columns] = x.shape() else {
        return None;
    };
    let dtype = x.dtype();
    let half = matches!(dtype, Dtype::Float16 | Dtype::Bfloat16);
    let serves = half
        && [scales.dtype(), biases.dtype()] == [dtype, dtype]
        && matches!(bits, 4 | 8)
        && matches!(group, 32 | 64 | 128)
        && (1..=MOST_ROWS).contains(&rows)
        && columns % CHUNK == 0
        && columns > 0;
    let tiles = (rows + 7) / 8;
    serves.then(|| PackedSpec {
        columns,
        bits,
        group,
        // Few kernels for all numbers of rows.
        wide: (tiles as u32).next_power_of_two() as i32,
        dtype,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(shape: &[i32], dtype: Dtype) -> Array {
        ops::zeros_dtype(shape, dtype).unwrap()
    }

    #[test]
    fn rows_are_served_in_tiles_of_eight() {
        let scales = array(&[32, 4], Dtype::Float16);
        let wide = |rows| {
            let x = array(&[rows, 256], Dtype::Float16);
            spec(&x, &scales, &scales, 64, 4).map(|spec| spec.wide)
        };
        assert_eq!(
            [1, 8, 9, 17, 33, 64].map(wide),
            [Some(1), Some(1), Some(2), Some(4), Some(8), Some(8)]
        );
        assert_eq!(wide(65), None);
    }

    #[test]
    fn other_forms_are_left_to_mlx() {
        let scales = array(&[32, 4], Dtype::Float16);
        let x = array(&[2, 256], Dtype::Float16);
        assert!(spec(&x, &scales, &scales, 64, 3).is_none());
        let single = array(&[2, 256], Dtype::Float32);
        assert!(spec(&single, &scales, &scales, 64, 4).is_none());
        let odd = array(&[2, 192], Dtype::Float16);
        assert!(spec(&odd, &scales, &scales, 64, 4).is_none());
        let w = array(&[31, 32], Dtype::Uint32);
        assert!(packed_matmul(&x, &w, &scales, &scales, 64, 4).is_none());
    }
}
