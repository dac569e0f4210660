//! Packed products of some rows whose weights have few rows themselves: several
//! blocks share the columns, and another kernel adds up.

use mlx_rs::{Array, Dtype, error::Exception};

use super::{Key, Launch, Program, kernel, packed::PackedSpec};

/// Rows of w that a block takes, and of x at most.
const TILE: i32 = 128;
const MOST_ROWS: i32 = 64;
/// Blocks that a large GPU runs at once (two for each of an H200's 132 units).
const AT_ONCE: i32 = 264;
/// With more tiles than this the kernel that takes whole rows is as fast:
/// measured on an H200 with 4,096 and 6,144 rows.
const MOST_TILES: i32 = 40;
/// Chunks of 128 columns that a block should have at least, and blocks that it
/// pays to add up for.
const FEWEST_CHUNKS: i32 = 8;
const FEWEST_SPLITS: i32 = 4;
const THREADS: i32 = 256;

const FUNCTIONS: &str = concat!(
    include_str!("packed_matmul.cu"),
    include_str!("packed_tiles.cu")
);

/// Among how many blocks to share the columns of `[of_w, columns]`; `None`
/// where that does not pay.
fn splits(rows: i32, of_w: i32, columns: i32) -> Option<i32> {
    let tiles = (of_w + TILE - 1) / TILE;
    let most = (AT_ONCE / tiles.max(1)).min(columns / 128 / FEWEST_CHUNKS);
    // Equal shares: a power of two divides most numbers of columns.
    let splits = (most as u32 + 1).next_power_of_two() as i32 / 2;
    let pays = (17..=MOST_ROWS).contains(&rows)
        && (1..=MOST_TILES).contains(&tiles)
        && of_w % 4 == 0
        && splits >= FEWEST_SPLITS;
    pays.then_some(splits)
}

/// As [`super::packed_matmul`]; `None` where this does not pay.
pub(super) fn tiled_matmul(
    [x, w, scales, biases]: [&Array; 4],
    spec: PackedSpec,
) -> Option<Result<Array, Exception>> {
    let (rows, of_w) = (x.dim(0), w.dim(0));
    let splits = splits(rows, of_w, x.dim(1))?;
    Some(run([x, w, scales, biases], spec, splits))
}

fn run(inputs: [&Array; 4], spec: PackedSpec, splits: i32) -> Result<Array, Exception> {
    let (rows, of_w) = (inputs[0].dim(0), inputs[1].dim(0));
    let tiles = kernel(Key::Tiles(spec), || Program {
        name: "maquette_packed_tiles",
        inputs: ["x", "w", "scales", "biases"].map(str::to_owned).into(),
        outputs: vec!["parts"],
        constants: spec.constants(),
        functions: FUNCTIONS,
        body: "maquette::packed_tiles(x, w, scales, biases, parts, x_shape[0], w_shape[0], \
               x_shape[1]);"
            .to_owned(),
    })?;
    let launch = Launch {
        outputs: &[(&[splits, rows, of_w], Dtype::Float32)],
        blocks: [1, (of_w + TILE - 1) / TILE, splits],
        threads: 32 * spec.warps(),
    };
    let parts = only(tiles.launch(&inputs, &launch)?)?;
    let add = kernel(Key::AddSplits(spec.dtype), || Program {
        name: "maquette_add_splits",
        inputs: vec!["parts".to_owned()],
        outputs: vec!["out"],
        constants: spec.constants(),
        functions: FUNCTIONS,
        body: "maquette::add_splits(parts, out, parts_shape[0], parts_shape[1] * \
               int64_t(parts_shape[2]));"
            .to_owned(),
    })?;
    let launch = Launch {
        outputs: &[(&[rows, of_w], spec.dtype)],
        blocks: [(rows * of_w / 4 - 1) / THREADS + 1, 1, 1],
        threads: THREADS,
    };
    only(add.launch(&[&parts], &launch)?)
}

fn only(arrays: Vec<Array>) -> Result<Array, Exception> {
    let first = arrays.into_iter().next();
    first.ok_or_else(|| Exception::custom("MLX gave no result of a kernel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_shared_where_there_are_few_blocks() {
        // What follows attention and what ends the MLP of an 8B model.
        assert_eq!(splits(33, 4096, 4096), Some(4));
        assert_eq!(splits(64, 4096, 12_288), Some(8));
        assert_eq!(splits(33, 1024, 24_576), Some(16));
        // Few rows, many tiles, few columns.
        assert_eq!(splits(16, 4096, 4096), None);
        assert_eq!(splits(65, 4096, 4096), None);
        assert_eq!(splits(33, 6144, 4096), None);
        assert_eq!(splits(33, 1024, 1024), None);
        assert_eq!(splits(33, 0, 4096), None);
    }
}
