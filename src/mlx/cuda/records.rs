//! Rows as records and back, one kernel each.

use maquette_kernels::Packing;
use mlx_rs::{Array, Dtype, error::Exception};

use super::{Key, Launch, Program, kernel, type_name};

const THREADS: i32 = 256;
/// Rows that a block packs, a warp each.
const ROWS_OF_BLOCK: i32 = 4;

/// What makes two kernels the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordSpec {
    packs: bool,
    dtype: Dtype,
    bits: usize,
    width: usize,
    group: Option<usize>,
}

impl RecordSpec {
    /// `None` where the kernels do not serve.
    fn new(packs: bool, packing: &Packing, dtype: Dtype) -> Option<Self> {
        let served = packing.sketch().is_none() && !packing.is_half();
        served.then(|| Self {
            packs,
            dtype,
            bits: packing.bits(),
            width: packing.width(),
            group: packing.group(),
        })
    }
}

/// Records of `rows`, `[1, heads, T, width]` to `[1, heads, T, words]`; `None`
/// where the kernel does not serve.
pub fn pack(rows: &Array, packing: &Packing) -> Option<Result<Array, Exception>> {
    let dtype = rows.dtype();
    let name = type_name(dtype)?;
    let spec = RecordSpec::new(true, packing, dtype)?;
    let whole_lanes = spec.width % 32 == 0 && spec.group.is_none_or(|group| group % 32 == 0);
    let count = rows.dim(1).checked_mul(rows.dim(2));
    let count = count.filter(|count| *count > 0 && whole_lanes)?;
    let shape = [1, rows.dim(1), rows.dim(2), packing.words() as i32];
    let launch = Launch {
        outputs: &[(&shape, Dtype::Uint32)],
        blocks: [(count - 1) / ROWS_OF_BLOCK + 1, 1, 1],
        threads: ROWS_OF_BLOCK * 32,
    };
    let kernel = kernel(Key::Records(spec), || Program {
        name: "maquette_pack",
        inputs: vec!["rows".to_owned()],
        outputs: vec!["records"],
        constants: constants(name, packing),
        functions: include_str!("pack.cu"),
        body: "maquette::pack(rows, records, rows_shape[1] * int64_t(rows_shape[2]));".to_owned(),
    });
    Some(only(
        kernel.and_then(|kernel| kernel.launch(&[rows], &launch)),
    ))
}

fn only(arrays: Result<Vec<Array>, Exception>) -> Result<Array, Exception> {
    let first = arrays?.into_iter().next();
    first.ok_or_else(|| Exception::custom("MLX gave no result of a kernel"))
}

/// The rows of `records`, `[1, heads, T, words]` to `[1, heads, T, width]`;
/// `None` where the kernel does not serve.
pub fn unpack(
    records: &Array,
    packing: &Packing,
    dtype: Dtype,
) -> Option<Result<Array, Exception>> {
    let name = type_name(dtype)?;
    let shape = [1, records.dim(1), records.dim(2), packing.width() as i32];
    let size = shape
        .iter()
        .try_fold(1i32, |size, dim| size.checked_mul(*dim));
    let size = size.filter(|size| *size > 0)?;
    let spec = RecordSpec::new(false, packing, dtype)?;
    let launch = Launch {
        outputs: &[(&shape, dtype)],
        blocks: [(size - 1) / THREADS + 1, 1, 1],
        threads: THREADS,
    };
    let kernel = kernel(Key::Records(spec), || Program {
        name: "maquette_unpack",
        inputs: vec!["records".to_owned()],
        outputs: vec!["out"],
        constants: constants(name, packing),
        functions: include_str!("unpack.cu"),
        body: "maquette::unpack(records, out, records_shape[1] * records_shape[2] * \
               int64_t(maquette::WIDTH));"
            .to_owned(),
    });
    Some(only(
        kernel.and_then(|kernel| kernel.launch(&[records], &launch)),
    ))
}

fn constants(name: &str, packing: &Packing) -> String {
    // On the row's own sphere instead of that of radius √width.
    let radius = (packing.width() as f32).sqrt();
    let codebook = packing.codebook().unwrap_or(&[0.0]);
    let entries: Vec<String> = codebook
        .iter()
        .map(|c| format!("{:e}f", c / radius))
        .collect();
    format!(
        "using T = {name};\nconstexpr int WIDTH = {};\nconstexpr int BITS = {};\n\
         constexpr int WORDS = {};\nconstexpr int CODE_WORDS = {};\nconstexpr int GROUP = {};\n\
         __device__ const float CODEBOOK[] = {{{}}};\n",
        packing.width(),
        packing.bits(),
        packing.words(),
        packing.code_words(),
        packing.group().unwrap_or(0),
        entries.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_every_constant() {
        let text = constants("__half", &Packing::sphere(128, 3, None));
        for constant in [
            "WIDTH = 128;",
            "BITS = 3;",
            "WORDS = 13;",
            "CODE_WORDS = 12;",
            "GROUP = 0;",
        ] {
            assert!(text.contains(constant), "{constant} is missing");
        }
        assert_eq!(text.matches("e-").count(), 8);
        assert!(constants("float", &Packing::affine(128, 4)).contains("GROUP = 64;"));
    }
}
