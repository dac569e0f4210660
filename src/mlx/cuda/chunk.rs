//! Attention of some rows of one sequence over everything before them: too many
//! for the kernel of single rows, too few for MLX's, which pads and plans.

use mlx_rs::{Array, Dtype, error::Exception};

use super::{
    Key, Launch, Program,
    decode::{DecodeSpec, THREADS, supports_decode},
    kernel,
    spread::spread_into,
};

/// Rows of a sequence that the kernel serves; with more MLX's is faster.
pub const MOST_CHUNK_ROWS: usize = 256;
/// Queries of one key head that a block takes.
const MANY: usize = 64;
/// Blocks that a large GPU runs at once (two for each of an H200's 132 units).
const AT_ONCE: usize = 264;
/// Keys that a block should have at least, and parts at most.
const FEWEST_KEYS: usize = 64;
const MOST_PARTS: usize = 32;

const FUNCTIONS: &str = concat!(
    include_str!("decode_attention.cu"),
    "namespace chunk {\n",
    include_str!("chunk_attention.cu"),
    "}\n"
);

/// Consecutive rows of one sequence, and where its keys and values lie.
#[derive(Debug)]
pub struct ChunkRows {
    /// Where the first token stands.
    pub position: i32,
    /// Positions that a token sees, its own included.
    pub window: i32,
    /// The position that the buffers begin with.
    pub start: i32,
    /// `[1, kv_heads, capacity, dim]` each; the rows' own are written into them
    /// in place.
    pub keys: Array,
    pub values: Array,
}

impl ChunkRows {
    /// What the kernels want to know of the rows: [`super::ROW_FIELDS`] numbers.
    pub fn table(&self) -> Vec<i32> {
        let capacity = self.keys.dim(2);
        vec![self.position, capacity, 0, self.window, self.start]
    }
}

/// Whether the kernel serves so many rows of heads of this form.
pub fn supports_chunk(rows: usize, [heads, kv_heads, dim]: [i32; 3], dtype: Dtype) -> bool {
    (1..=MOST_CHUNK_ROWS).contains(&rows)
        && dim <= 128
        && matches!(dtype, Dtype::Float16 | Dtype::Bfloat16)
        && supports_decode(heads, kv_heads, dim, dtype)
}

/// Into how many parts the keys are cut.
fn parts(spec: &DecodeSpec, rows: usize, keys: usize) -> usize {
    let queries = rows * (spec.heads / spec.kv_heads) as usize;
    let blocks = queries.div_ceil(MANY) * spec.kv_heads as usize;
    let most = keys.div_ceil(FEWEST_KEYS).min(MOST_PARTS);
    (AT_ONCE / blocks.max(1)).clamp(1, most.max(1))
}

/// Attention of rows `qkv [T, (heads + 2 kv_heads) · dim]`; the other arguments
/// as for [`super::decode_attention`]. Gives `[T, heads · dim]`.
///
/// # Errors
/// When MLX refuses a kernel.
pub fn chunk_attention(
    qkv: &Array,
    spec: &DecodeSpec,
    norms: Option<(&Array, &Array)>,
    turns: &Array,
    rows: &ChunkRows,
    table: &Array,
) -> Result<Array, Exception> {
    let (dtype, count) = (qkv.dtype(), qkv.dim(0));
    let queries = spread_into(qkv, spec, norms, turns, rows, table)?;
    let name = spec.type_name(dtype)?;
    let main = kernel(Key::Chunk(*spec, dtype), || Program {
        name: "maquette_chunk_attention",
        inputs: ["queries", "keys", "values", "rows"]
            .map(str::to_owned)
            .into(),
        outputs: vec!["out", "parts", "sums"],
        constants: format!(
            "{}constexpr bool HALF = {};\n",
            spec.constants(name),
            dtype == Dtype::Float16
        ),
        functions: FUNCTIONS,
        body: "const maquette::Row row = maquette::row_of(rows, 0);\n\
               maquette::chunk::chunk_attention(queries, keys, values, row, queries_shape[1], \
               row.before, out, parts, sums);"
            .to_owned(),
    })?;
    let keys = (rows.position + count).min(rows.window.saturating_add(count));
    let parts = parts(spec, count as usize, keys as usize) as i32;
    let out = [count, spec.heads * spec.dim];
    let (many, sums) = match parts {
        1 => ([1, 1, 1, 1], [1, 1, 1, 1]),
        _ => (
            [count, spec.heads, parts, spec.dim],
            [count, spec.heads, parts, 2],
        ),
    };
    let of_key_head = (count * (spec.heads / spec.kv_heads)) as usize;
    let launch = Launch {
        outputs: &[
            (&out, dtype),
            (&many, Dtype::Float32),
            (&sums, Dtype::Float32),
        ],
        blocks: [parts, spec.kv_heads, of_key_head.div_ceil(MANY) as i32],
        threads: THREADS,
    };
    let results = main.launch(&[&queries, &rows.keys, &rows.values, table], &launch)?;
    let [whole, many, sums] = <[Array; 3]>::try_from(results)
        .map_err(|_| Exception::custom("MLX gave other results than a kernel has"))?;
    match parts {
        1 => Ok(whole),
        _ => spec.merge(&many, &sums, dtype),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cut_so_that_all_blocks_run_at_once() {
        let spec = DecodeSpec::new([32, 8, 128], None, false, 0.1);
        let of = |rows, keys| parts(&spec, rows, keys);
        assert_eq!(
            [17, 33, 64, 100, 256].map(|rows| of(rows, 8192)),
            [16, 11, 8, 4, 2]
        );
        assert_eq!(of(33, 33), 1);
        assert_eq!(of(33, 300), 5);
        let small = DecodeSpec::new([4, 1, 64], None, false, 0.1);
        assert_eq!(parts(&small, 2, 100_000), MOST_PARTS);
        // More queries than run at once.
        assert_eq!(of(256, 10), 1);
    }

    #[test]
    fn other_forms_are_left_to_mlx() {
        for (rows, form, dtype) in [
            (0, [8, 2, 128], Dtype::Float16),
            (MOST_CHUNK_ROWS + 1, [8, 2, 128], Dtype::Float16),
            (20, [8, 2, 256], Dtype::Float16),
            (20, [8, 2, 128], Dtype::Float32),
        ] {
            assert!(!supports_chunk(rows, form, dtype));
        }
    }
}
