//! Attention of few rows of each of several sequences, in one kernel: norms,
//! rotation, writing the rows' keys and values, and the mix.

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{Key, Launch, Program, kernel, type_name};
use crate::mlx::{Backend, backend};

/// Sequences whose buffers one kernel takes; more take several.
const MOST_SEQUENCES: usize = 64;
/// Blocks that keep a large GPU busy (two for each of an H200's 132 units).
const ENOUGH_BLOCKS: usize = 264;
/// Keys that a block should have at least, and parts of a row at most.
const FEWEST_KEYS: usize = 64;
const MOST_PARTS: usize = 32;

pub(super) const THREADS: i32 = 128;

pub(super) const FUNCTIONS: &str = include_str!("decode_attention.cu");

/// What the layers of a model have in common. Floats by their bits, so that
/// specs can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DecodeSpec {
    pub heads: i32,
    pub kv_heads: i32,
    pub dim: i32,
    /// Epsilon of the norms of queries and keys, if there are any.
    norm_eps: Option<u32>,
    /// Whether neighbours are rotated together instead of halves.
    pub interleaved: bool,
    scale: u32,
}

impl DecodeSpec {
    pub fn new(
        [heads, kv_heads, dim]: [i32; 3],
        norm_eps: Option<f32>,
        interleaved: bool,
        scale: f32,
    ) -> Self {
        Self {
            heads,
            kv_heads,
            dim,
            norm_eps: norm_eps.map(f32::to_bits),
            interleaved,
            scale: scale.to_bits(),
        }
    }

    /// Query heads that a block serves: they share a key head, and what a
    /// thread holds for them has to fit into its registers.
    pub(super) fn group(&self) -> i32 {
        let share = self.heads / self.kv_heads;
        let most = (512 / self.dim).clamp(1, 4);
        (1..=most.min(share))
            .rev()
            .find(|group| share % group == 0)
            .unwrap_or(1)
    }

    /// Into how many parts the keys of rows are cut, so that all of the GPU
    /// has something to do.
    pub(super) fn parts(&self, rows: usize, longest: usize) -> usize {
        let blocks = rows * (self.heads / self.group()) as usize;
        let wanted = ENOUGH_BLOCKS.div_ceil(blocks.max(1));
        wanted
            .min(longest.div_ceil(FEWEST_KEYS))
            .clamp(1, MOST_PARTS)
    }

    pub(super) fn constants(&self, dtype: &str) -> String {
        let eps = f32::from_bits(self.norm_eps.unwrap_or(0));
        format!(
            "using T = {dtype};\nconstexpr int HEADS = {};\nconstexpr int KV_HEADS = {};\n\
             constexpr int DIM = {};\nconstexpr int GROUP = {};\nconstexpr bool NORM = {};\n\
             constexpr bool INTERLEAVED = {};\nconstexpr float EPS = {eps:e}f;\n\
             constexpr float SCALE = {:e}f;\n",
            self.heads,
            self.kv_heads,
            self.dim,
            self.group(),
            self.norm_eps.is_some(),
            self.interleaved,
            f32::from_bits(self.scale),
        )
    }

    /// Names of the inputs that all kernels share, and the two norms among them.
    pub(super) fn inputs(&self) -> (Vec<String>, &'static str) {
        let mut inputs = vec!["qkv", "turns", "rows"];
        let mut norms = "qkv, qkv";
        if self.norm_eps.is_some() {
            inputs.extend(["q_norm", "k_norm"]);
            norms = "q_norm, k_norm";
        }
        (inputs.into_iter().map(str::to_owned).collect(), norms)
    }

    pub(super) fn type_name(&self, dtype: Dtype) -> Result<&'static str, Exception> {
        type_name(dtype)
            .filter(|_| fits(self.heads, self.kv_heads, self.dim))
            .ok_or_else(|| Exception::custom(format!("no kernel for {self:?} of {dtype:?}")))
    }

    fn program(&self, dtype: &str, sequences: usize) -> Program {
        let (mut inputs, norms) = self.inputs();
        let mut cases = String::new();
        for index in 0..sequences {
            inputs.extend([format!("keys{index}"), format!("values{index}")]);
            cases += &format!("case {index}: keys = keys{index}; values = values{index}; break;\n");
        }
        Program {
            name: "maquette_decode_attention",
            inputs,
            outputs: vec!["out", "parts", "sums"],
            constants: self.constants(dtype),
            functions: FUNCTIONS,
            body: format!(
                "using maquette::T;\nconst T* keys = nullptr;\nconst T* values = nullptr;\n\
                 switch (blockIdx.z) {{\n{cases}}}\n\
                 maquette::decode(qkv, {norms}, turns, maquette::row_of(rows, blockIdx.z), \
                 const_cast<T*>(keys), const_cast<T*>(values), out, parts, sums);\n"
            ),
        }
    }

    fn merge_program(&self, dtype: &str) -> Program {
        Program {
            name: "maquette_merge_attention",
            inputs: ["parts", "sums"].map(str::to_owned).into(),
            outputs: vec!["out"],
            constants: self.constants(dtype),
            functions: FUNCTIONS,
            body: "maquette::merge(parts, sums, out, sums_shape[2]);".to_owned(),
        }
    }

    /// `[T, heads · dim]` from parts `[T, heads, parts, dim]` and their sums.
    ///
    /// # Errors
    /// When MLX refuses the kernel.
    pub(super) fn merge(
        &self,
        parts: &Array,
        sums: &Array,
        dtype: Dtype,
    ) -> Result<Array, Exception> {
        let (total, name) = (parts.dim(0), self.type_name(dtype)?);
        let merge = kernel(Key::Merge(*self, dtype), || self.merge_program(name))?;
        let launch = Launch {
            outputs: &[(&[total, self.heads * self.dim], dtype)],
            blocks: [1, self.heads, total],
            threads: self.dim,
        };
        let merged = merge.launch(&[parts, sums], &launch)?;
        let first = merged.into_iter().next();
        first.ok_or_else(|| Exception::custom("MLX gave no result of a kernel"))
    }
}

/// Whether the kernels serve heads of this form on this device.
pub fn supports_decode(heads: i32, kv_heads: i32, dim: i32, dtype: Dtype) -> bool {
    backend() == Backend::Cuda && fits(heads, kv_heads, dim) && type_name(dtype).is_some()
}

fn fits(heads: i32, kv_heads: i32, dim: i32) -> bool {
    kv_heads > 0 && heads % kv_heads == 0 && [64, 128, 192, 256].contains(&dim)
}

/// Rows of one sequence that may follow one another in a step.
pub const MOST_ROWS: usize = 16;

/// A row of the step.
#[derive(Debug)]
pub struct DecodeRow {
    /// Where its token stands, and the first position that it may see.
    pub position: i32,
    pub first: i32,
    /// Rows of the same sequence just before it, fewer than [`MOST_ROWS`].
    pub before: i32,
    /// The position that its buffers begin with, at most `first`.
    pub start: i32,
    /// `[1, kv_heads, capacity, dim]` each; the row's own key and value are
    /// written into them in place, for its position.
    pub keys: Array,
    pub values: Array,
}

/// Numbers of a row in a [`row_table`].
pub const ROW_FIELDS: usize = 5;

/// What the kernel wants to know of the rows: the same for all layers that see
/// equally far.
pub fn row_table(rows: &[DecodeRow]) -> Vec<i32> {
    let fields = |row: &DecodeRow| {
        let capacity = row.keys.dim(2);
        [row.position, capacity, row.first, row.before, row.start]
    };
    rows.iter().flat_map(fields).collect()
}

/// Attention of rows `qkv [T, (heads + 2 kv_heads) · dim]`, described by `rows`,
/// with their [`row_table`] as `table [T, 5]`. `norms` are the weights `[dim]` of the norms
/// of queries and keys; `turns [dim / 2]` the angle, in radians, by which each
/// pair turns from one position to the next. Gives `[T, heads · dim]`.
///
/// # Errors
/// When MLX refuses the kernel.
pub fn decode_attention(
    qkv: &Array,
    spec: &DecodeSpec,
    norms: Option<(&Array, &Array)>,
    turns: &Array,
    rows: &[DecodeRow],
    table: &Array,
) -> Result<Array, Exception> {
    let ends = part_ends(rows);
    if ends.len() == 1 {
        return run(qkv, spec, norms, turns, rows, table);
    }
    let cuts: Vec<i32> = ends[..ends.len() - 1]
        .iter()
        .map(|end| *end as i32)
        .collect();
    let inputs = qkv.split_at_indices(&cuts, 0)?;
    let tables = table.split_at_indices(&cuts, 0)?;
    let mut mixed = Vec::with_capacity(ends.len());
    let mut start = 0;
    for ((end, qkv), table) in ends.into_iter().zip(inputs).zip(tables) {
        let rows = &rows[start..end];
        mixed.push(run(&qkv, spec, norms, turns, rows, &table)?);
        start = end;
    }
    ops::concatenate(&mixed, 0)
}

/// Buffers that the kernel for so many rows has room for: few kernels serve all
/// numbers of rows.
fn room(rows: usize) -> usize {
    let fits = |room: &usize| rows <= *room;
    [1, 4, 16].into_iter().find(fits).unwrap_or(MOST_SEQUENCES)
}

/// Where to cut rows so that a kernel takes each part, with whole sequences.
fn part_ends(rows: &[DecodeRow]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut start = 0;
    while rows.len() - start > MOST_SEQUENCES {
        let most = start + MOST_SEQUENCES;
        // No sequence has as many rows as a part.
        let end = (start + 1..=most).rev().find(|end| rows[*end].before == 0);
        start = end.unwrap_or(most);
        ends.push(start);
    }
    ends.push(rows.len());
    ends
}

fn run(
    qkv: &Array,
    spec: &DecodeSpec,
    norms: Option<(&Array, &Array)>,
    turns: &Array,
    rows: &[DecodeRow],
    table: &Array,
) -> Result<Array, Exception> {
    let (dtype, total) = (qkv.dtype(), qkv.dim(0));
    let name = spec.type_name(dtype)?;
    let longest = rows.iter().map(|row| row.position + 1 - row.first).max();
    let parts = spec.parts(rows.len(), longest.unwrap_or(1).max(1) as usize) as i32;
    let room = room(rows.len());
    let main = kernel(Key::Decode(*spec, dtype, room), || spec.program(name, room))?;
    let mut inputs = vec![qkv, turns, table];
    inputs.extend(norms.into_iter().flat_map(|(q, k)| [q, k]));
    // The last fills up what the kernel has room for.
    let buffers = (0..room).filter_map(|index| rows.get(index).or(rows.last()));
    inputs.extend(buffers.flat_map(|row| [&row.keys, &row.values]));
    let out = [total, spec.heads * spec.dim];
    let (many, sums) = match parts {
        1 => ([1, 1, 1, 1], [1, 1, 1, 1]),
        _ => (
            [total, spec.heads, parts, spec.dim],
            [total, spec.heads, parts, 2],
        ),
    };
    let launch = Launch {
        outputs: &[
            (&out, dtype),
            (&many, Dtype::Float32),
            (&sums, Dtype::Float32),
        ],
        blocks: [parts, spec.heads / spec.group(), total],
        threads: THREADS,
    };
    let results = main.launch(&inputs, &launch)?;
    let [whole, many, sums] = <[Array; 3]>::try_from(results)
        .map_err(|_| Exception::custom("MLX gave other results than a kernel has"))?;
    if parts == 1 {
        return Ok(whole);
    }
    spec.merge(&many, &sums, dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(heads: i32, kv_heads: i32, dim: i32) -> DecodeSpec {
        DecodeSpec::new([heads, kv_heads, dim], Some(1e-6), false, 0.125)
    }

    #[test]
    fn a_block_serves_heads_of_one_key_head() {
        assert_eq!(spec(16, 8, 128).group(), 2);
        assert_eq!(spec(32, 8, 128).group(), 4);
        assert_eq!(spec(40, 8, 128).group(), 1);
        assert_eq!(spec(6, 2, 64).group(), 3);
        assert_eq!(spec(16, 2, 256).group(), 2);
        assert_eq!(spec(8, 8, 64).group(), 1);
    }

    #[test]
    fn few_long_rows_are_cut_into_parts_and_many_are_not() {
        let spec = spec(32, 8, 128);
        assert_eq!(spec.parts(1, 1), 1);
        assert_eq!(spec.parts(1, 130), 3);
        assert_eq!(spec.parts(1, 100_000), 32);
        assert_eq!(spec.parts(64, 100_000), 1);
        assert_eq!(spec.parts(8, 8192), 5);
    }

    #[test]
    fn few_kernels_have_room_for_all() {
        assert_eq!(
            [1, 2, 4, 5, 16, 17, 64].map(room),
            [1, 4, 4, 16, 16, 64, 64]
        );
    }

    #[test]
    fn sequences_are_not_cut_apart() {
        let row = |before| DecodeRow {
            position: 9,
            first: 0,
            before,
            start: 0,
            keys: Array::from_f32(0.0),
            values: Array::from_f32(0.0),
        };
        let rows: Vec<DecodeRow> = (0..130).map(|at| row(at % 5)).collect();
        assert_eq!(part_ends(&rows), [60, 120, 130]);
        assert_eq!(part_ends(&rows[..64]), [64]);
        let single: Vec<DecodeRow> = (0..129).map(|_| row(0)).collect();
        assert_eq!(part_ends(&single), [64, 128, 129]);
    }

    #[test]
    fn the_text_names_every_buffer_and_constant() {
        let program = spec(32, 8, 128).program("__half", 2);
        assert_eq!(
            program.inputs,
            [
                "qkv", "turns", "rows", "q_norm", "k_norm", "keys0", "values0", "keys1", "values1"
            ]
        );
        assert!(program.body.contains("case 1: keys = keys1"));
        assert!(!program.body.contains("case 2"));
        let header = program.header();
        for constant in [
            "using T = __half;",
            "HEADS = 32;",
            "KV_HEADS = 8;",
            "GROUP = 4;",
            "EPS = 1e-6f;",
            "SCALE = 1.25e-1f;",
        ] {
            assert!(header.contains(constant), "{constant} is missing");
        }
    }
}
