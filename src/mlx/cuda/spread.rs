//! Rows of one sequence as queries, keys and values, normed and rotated.

use mlx_rs::{Array, error::Exception};

use super::{
    ChunkRows, Key, Launch, Program,
    decode::{DecodeSpec, FUNCTIONS, THREADS},
    kernel,
};

/// A kernel of `spread` with inputs and outputs beside the common ones. `after`
/// are the last arguments of the function.
fn program(
    spec: &DecodeSpec,
    dtype: &str,
    name: &'static str,
    [inputs, outputs]: [&[&'static str]; 2],
    after: &str,
) -> Program {
    let (mut all, norms) = spec.inputs();
    all.extend(inputs.iter().map(|input| (*input).to_owned()));
    Program {
        name,
        inputs: all,
        outputs: outputs.to_vec(),
        constants: spec.constants(dtype),
        functions: FUNCTIONS,
        body: format!(
            "using maquette::T;\nconst maquette::Row row = maquette::row_of(rows, 0);\n\
             maquette::spread(qkv, {norms}, turns, row.position, queries, {after});"
        ),
    }
}

/// Blocks for all heads of so many rows, a warp each.
fn blocks(spec: &DecodeSpec, rows: i32) -> [i32; 3] {
    let warps = THREADS / 32;
    let heads = spec.heads + 2 * spec.kv_heads;
    [rows, (heads + warps - 1) / warps, 1]
}

/// Rows `qkv [T, (heads + 2 kv_heads) · dim]` of one sequence, the first at the
/// position that `table [1, 5]` begins with, as queries `[1, heads, T, dim]`,
/// keys and values `[1, kv_heads, T, dim]`; queries and keys normed and rotated
/// as in [`super::decode_attention`].
///
/// # Errors
/// When MLX refuses the kernel.
pub fn spread_heads(
    qkv: &Array,
    spec: &DecodeSpec,
    norms: Option<(&Array, &Array)>,
    turns: &Array,
    table: &Array,
) -> Result<[Array; 3], Exception> {
    let (dtype, rows) = (qkv.dtype(), qkv.dim(0));
    let name = spec.type_name(dtype)?;
    let kernel = kernel(Key::Spread(*spec, dtype), || {
        let outputs = &["queries", "keys", "values"];
        let after = "keys, values, qkv_shape[0], 0";
        program(spec, name, "maquette_spread_heads", [&[], outputs], after)
    })?;
    let mut inputs = vec![qkv, turns, table];
    inputs.extend(norms.into_iter().flat_map(|(q, k)| [q, k]));
    let queries = [1, spec.heads, rows, spec.dim];
    let keys = [1, spec.kv_heads, rows, spec.dim];
    let launch = Launch {
        outputs: &[(&queries, dtype), (&keys, dtype), (&keys, dtype)],
        blocks: blocks(spec, rows),
        threads: THREADS,
    };
    let results = kernel.launch(&inputs, &launch)?;
    <[Array; 3]>::try_from(results)
        .map_err(|_| Exception::custom("MLX gave other results than a kernel has"))
}

/// Queries `[heads, T, dim]`, normed and rotated; keys and values go to where
/// the sequence keeps them.
///
/// # Errors
/// When MLX refuses the kernel.
pub(super) fn spread_into(
    qkv: &Array,
    spec: &DecodeSpec,
    norms: Option<(&Array, &Array)>,
    turns: &Array,
    rows: &ChunkRows,
    table: &Array,
) -> Result<Array, Exception> {
    let (dtype, count) = (qkv.dtype(), qkv.dim(0));
    let name = spec.type_name(dtype)?;
    let kernel = kernel(Key::SpreadInto(*spec, dtype), || {
        let forms: [&[&str]; 2] = [&["keys", "values"], &["queries"]];
        let after = "const_cast<T*>(keys), const_cast<T*>(values), row.capacity, \
                     row.position - row.start";
        program(spec, name, "maquette_spread_into", forms, after)
    })?;
    let mut inputs = vec![qkv, turns, table];
    inputs.extend(norms.into_iter().flat_map(|(q, k)| [q, k]));
    inputs.extend([&rows.keys, &rows.values]);
    let queries = [spec.heads, count, spec.dim];
    let launch = Launch {
        outputs: &[(&queries, dtype)],
        blocks: blocks(spec, count),
        threads: THREADS,
    };
    let first = kernel.launch(&inputs, &launch)?.into_iter().next();
    first.ok_or_else(|| Exception::custom("MLX gave no result of a kernel"))
}
