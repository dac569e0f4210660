//! Products with packed weights: few rows by a kernel of ours, many by unpacking
//! the weights first. MLX's own kernels leave most of the memory's speed unused
//! with few rows, and most of the tensor cores' with many.

use std::rc::Rc;

use mlx_rs::{Array, Dtype, error::Exception};

use super::{
    Kernel, Key, Launch, Program, kernel,
    tiles::tiled_matmul,
    type_name,
    unpacked::{MANY_ROWS, dense_matmul},
};

/// Rows of x that our kernel serves.
const MOST_ROWS: i32 = 64;
/// Numbers of w up to which MLX's kernel for a single row is as fast: there the
/// time goes into launching.
const SMALL: i32 = 8 << 20;
/// Tiles of 8 rows of x that there are kernels for.
const WIDTHS: [i32; 5] = [1, 2, 4, 6, 8];
/// Columns that are taken at once.
const CHUNK: i32 = 128;

/// What a kernel is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PackedSpec {
    /// If the kernel serves this number alone.
    columns: Option<i32>,
    bits: i32,
    group: i32,
    /// Tiles of 8 rows of x.
    wide: i32,
    pub dtype: Dtype,
}

impl PackedSpec {
    /// Tiles of 16 rows of w that a warp holds: more where many rows of x can
    /// be used for each.
    fn tall(&self) -> i32 {
        if self.wide > 2 { 2 } else { 1 }
    }

    pub fn warps(&self) -> i32 {
        if self.wide > 2 { 4 } else { 8 }
    }

    pub fn constants(&self) -> String {
        let name = type_name(self.dtype).unwrap_or_default();
        format!(
            "using T = {name};\nconstexpr bool HALF = {};\n\
             constexpr int BITS = {};\nconstexpr int GROUP = {};\nconstexpr int TALL = {};\n\
             constexpr int WIDE = {};\nconstexpr int WARPS = {};\n",
            self.dtype == Dtype::Float16,
            self.bits,
            self.group,
            self.tall(),
            self.wide,
            self.warps(),
        )
    }

    fn kernel(&self) -> Result<Rc<Kernel>, Exception> {
        kernel(Key::Packed(*self), || Program {
            name: "maquette_packed_matmul",
            inputs: ["x", "w", "scales", "biases"].map(str::to_owned).into(),
            outputs: vec!["out"],
            constants: self.constants(),
            functions: include_str!("packed_matmul.cu"),
            body: format!(
                "maquette::packed_matmul(x, w, scales, biases, out, x_shape[0], w_shape[0], {});",
                self.columns
                    .map_or("x_shape[1]".to_owned(), |columns| columns.to_string())
            ),
        })
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
    let (rows, columns, of_w) = (x.dim(0), x.dim(1), w.dim(0));
    let packed = w.dtype() == Dtype::Uint32 && w.shape() == [of_w, columns * bits / 32];
    let fits = packed
        && of_w % rows_at_once == 0
        && scales.shape() == [of_w, columns / group]
        && biases.shape() == scales.shape();
    let small = rows == 1 && of_w.saturating_mul(columns) <= SMALL;
    if !fits || small {
        return None;
    }
    if let Some(done) = tiled_matmul([x, w, scales, biases], spec) {
        return Some(done);
    }
    let launch = Launch {
        outputs: &[(&[rows, of_w], spec.dtype)],
        blocks: [of_w / rows_at_once, 1, 1],
        threads: 32 * spec.warps(),
    };
    let done = spec
        .kernel()
        .and_then(|k| k.launch(&[x, w, scales, biases], &launch));
    Some(done.and_then(|arrays| {
        let first = arrays.into_iter().next();
        first.ok_or_else(|| Exception::custom("MLX gave no result of a kernel"))
    }))
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
        // One row at a time is what most tokens take: there every register
        // counts. Others have one kernel for all.
        columns: (tiles == 1).then_some(columns),
        bits,
        group,
        // Few kernels for all numbers of rows.
        wide: WIDTHS
            .into_iter()
            .find(|wide| tiles <= *wide)
            .unwrap_or(tiles),
        dtype,
    })
}

#[cfg(test)]
mod tests {
    use mlx_rs::ops;

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
            [1, 8, 9, 17, 33, 49, 64].map(wide),
            [1, 1, 2, 4, 6, 8, 8].map(Some)
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
