//! Many pieces copied by one kernel: pages have hundreds of arrays, and a launch
//! or a copy of its own for each takes longer than the bytes do.

use std::sync::LazyLock;

use mlx_rs::{Array, Dtype, error::Exception};

use super::{Key, Launch, Program, kernel};
use crate::mlx::Part;

/// Bytes of an item.
const ITEM: usize = 16;
/// Pieces that a kernel takes: it has an argument for each.
const MOST_PIECES: usize = 256;
/// What there are kernels for.
const ROOMS: [usize; 3] = [8, 64, MOST_PIECES];
const THREADS: i32 = 256;
/// Blocks that copy a piece from the host.
const BLOCKS: i32 = 8;
/// Numbers that describe a part to join.
const FIELDS: i32 = 6;

const FUNCTIONS: &str = include_str!("transfer.cu");

/// Names of pieces.
static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..MOST_PIECES).map(|at| format!("piece{at}")).collect());

/// C++ that makes `pointer` the piece that `index` counts to.
fn choice(pointer: &str, index: &str, pieces: usize) -> String {
    let cases = NAMES[..pieces].iter().enumerate();
    let cases: String = cases
        .map(|(at, name)| format!("case {at}: {pointer} = {name}; break;\n"))
        .collect();
    format!("switch ({index}) {{\n{cases}}}\n")
}

/// Bytes in host memory that the GPU can read, and the array that they are.
pub struct Piece<'a> {
    pub bytes: &'a [u8],
    pub shape: &'a [i32],
    pub dtype: Dtype,
}

/// The arrays of all pieces, lazy: the bytes have to stay until they are
/// computed. `None` where the kernel does not serve.
pub fn upload(pieces: &[Piece]) -> Option<Result<Vec<Array>, Exception>> {
    let words = |piece: &Piece| {
        let address = piece.bytes.as_ptr().addr();
        let whole = address.is_multiple_of(ITEM) && piece.bytes.len().is_multiple_of(ITEM);
        let items = u32::try_from(piece.bytes.len() / ITEM).ok();
        let address = address as u64;
        let items = items.filter(|_| whole && !piece.bytes.is_empty())?;
        Some([address as u32, (address >> 32) as u32, items])
    };
    let tables: Option<Vec<[u32; 3]>> = pieces.iter().map(words).collect();
    let tables = tables?;
    let mut arrays = Vec::with_capacity(pieces.len());
    for (pieces, table) in pieces.chunks(MOST_PIECES).zip(tables.chunks(MOST_PIECES)) {
        match upload_some(pieces, table) {
            Ok(some) => arrays.extend(some),
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(arrays))
}

fn upload_some(pieces: &[Piece], table: &[[u32; 3]]) -> Result<Vec<Array>, Exception> {
    let count = pieces.len();
    let table = Array::from_slice(&table.concat(), &[count as i32, 3]);
    let kernel = kernel(Key::Upload(count), || Program {
        name: "maquette_upload",
        inputs: vec!["pieces".to_owned()],
        outputs: NAMES[..count].iter().map(String::as_str).collect(),
        constants: String::new(),
        functions: FUNCTIONS,
        body: format!(
            "void* to = nullptr;\n{}maquette::upload(pieces + 3 * blockIdx.y, to);",
            choice("to", "blockIdx.y", count)
        ),
    })?;
    let outputs: Vec<(&[i32], Dtype)> = pieces.iter().map(|p| (p.shape, p.dtype)).collect();
    let launch = Launch {
        outputs: &outputs,
        blocks: [BLOCKS, count as i32, 1],
        threads: THREADS,
    };
    kernel.launch(&[&table], &launch)
}

/// Runs all that pages of so many arrays need: kernels are compiled when they
/// first run. `bytes` are some that the GPU can read.
///
/// # Errors
/// When MLX refuses a kernel.
pub fn warm_up(pieces: usize, bytes: &[u8]) -> Result<(), Exception> {
    let pieces = (0..pieces).map(|_| Piece {
        bytes: &bytes[..ITEM],
        shape: &[1, 1, 1, 4],
        dtype: Dtype::Uint32,
    });
    let pieces: Vec<Piece> = pieces.collect();
    let mut arrays = upload(&pieces).transpose()?.unwrap_or_default();
    if let Some(array) = arrays.first().cloned() {
        for room in ROOMS {
            let part = Part {
                array: &array,
                start: 0,
                count: 1,
            };
            let shape = [1, 1, room as i32, 4];
            arrays.extend(join(&vec![part; room], &shape).transpose()?);
        }
    }
    mlx_rs::transforms::eval(&arrays)
}

/// As [`crate::mlx::join_rows`], for parts that fit together: `[1, heads, room,
/// width]`. `None` where the kernel does not serve.
pub fn join(parts: &[Part], shape: &[i32; 4]) -> Option<Result<Array, Exception>> {
    let first = parts.first()?.array;
    let row = first.dim(3) as usize * first.item_size();
    if parts.len() < 3 || !row.is_multiple_of(ITEM) || shape[1] == 0 {
        return None;
    }
    Some(match parts.len() {
        0..=MOST_PIECES => join_some(parts, shape, row / ITEM),
        _ => join_in_steps(parts, shape, row / ITEM),
    })
}

fn join_in_steps(parts: &[Part], shape: &[i32; 4], row: usize) -> Result<Array, Exception> {
    let mut joined = Vec::new();
    for parts in parts.chunks(MOST_PIECES) {
        let count: usize = parts.iter().map(|part| part.count).sum();
        let shape = [shape[0], shape[1], count as i32, shape[3]];
        joined.push(join_some(parts, &shape, row)?);
    }
    let whole = joined.iter().map(|array| Part {
        array,
        start: 0,
        count: array.dim(2) as usize,
    });
    let parts: Vec<Part> = whole.collect();
    match parts.len() {
        0..=MOST_PIECES => join_some(&parts, shape, row),
        _ => join_in_steps(&parts, shape, row),
    }
}

fn join_some(parts: &[Part], shape: &[i32; 4], row: usize) -> Result<Array, Exception> {
    let (dtype, row) = (parts[0].array.dtype(), row as i32);
    let mut at = 0;
    let fields = parts.iter().flat_map(|part| {
        at += part.count as i32;
        let (start, count) = (part.start as i32, part.count as i32);
        [start, count, at - count, part.array.dim(2), shape[2], row]
    });
    let fields: Vec<i32> = fields.collect();
    let table = Array::from_slice(&fields, &[parts.len() as i32, FIELDS]);
    let count = parts.len();
    let room = ROOMS.into_iter().find(|room| count <= *room);
    let room = room.unwrap_or(MOST_PIECES);
    let kernel = kernel(Key::Join(room), || Program {
        name: "maquette_join",
        inputs: [&["parts".to_owned()], &NAMES[..room]].concat(),
        outputs: vec!["out"],
        constants: String::new(),
        functions: FUNCTIONS,
        body: format!(
            "const void* from = nullptr;\n{}\
             maquette::join(from, parts + {FIELDS} * blockIdx.x, out);",
            choice("from", "blockIdx.x", room)
        ),
    })?;
    let mut inputs = vec![&table];
    let arrays = (0..room).filter_map(|at| parts.get(at).or(parts.last()));
    inputs.extend(arrays.map(|part| part.array));
    let launch = Launch {
        outputs: &[(shape, dtype)],
        blocks: [count as i32, shape[1], 1],
        threads: THREADS,
    };
    let first = kernel.launch(&inputs, &launch)?.into_iter().next();
    first.ok_or_else(|| Exception::custom("MLX gave no result of a kernel"))
}

#[cfg(test)]
mod tests {
    use mlx_rs::ops;

    use super::*;

    #[test]
    fn a_kernel_names_every_piece() {
        assert_eq!(
            choice("to", "blockIdx.y", 2),
            "switch (blockIdx.y) {\ncase 0: to = piece0; break;\ncase 1: to = piece1; break;\n}\n"
        );
    }

    #[test]
    fn bytes_that_are_not_whole_items_are_left_to_mlx() {
        let bytes = [0u32; 16];
        // SAFETY: any bytes of numbers may be read.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast::<u8>(), 64) };
        let from = bytes.as_ptr().align_offset(ITEM);
        let piece = |bytes| Piece {
            bytes,
            shape: &[2],
            dtype: Dtype::Uint32,
        };
        assert!(upload(&[piece(&bytes[from..from + 8])]).is_none());
        assert!(upload(&[piece(&bytes[from + 4..from + 20])]).is_none());
    }

    #[test]
    fn few_parts_and_odd_rows_are_left_to_mlx() {
        let whole = |array| Part {
            array,
            start: 0,
            count: 4,
        };
        let odd = ops::zeros_dtype(&[1, 2, 4, 3], Dtype::Float16).unwrap();
        assert!(join(&[whole(&odd); 3], &[1, 2, 12, 3]).is_none());
        let even = ops::zeros_dtype(&[1, 2, 4, 8], Dtype::Float16).unwrap();
        assert!(join(&[whole(&even); 2], &[1, 2, 8, 8]).is_none());
    }
}
