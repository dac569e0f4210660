//! Packed rows as numbers, in one kernel.

use maquette_kernels::Packing;
use mlx_rs::{Array, Dtype, error::Exception};

use super::{Key, Launch, Program, kernel, type_name};

const THREADS: i32 = 256;

/// What makes two kernels the same: type, bits, width, group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnpackSpec {
    dtype: Dtype,
    bits: usize,
    width: usize,
    group: Option<usize>,
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
    let size = size.filter(|size| *size > 0 && packing.sketch().is_none() && !packing.is_half())?;
    let spec = UnpackSpec {
        dtype,
        bits: packing.bits(),
        width: packing.width(),
        group: packing.group(),
    };
    let launch = Launch {
        outputs: &[(&shape, dtype)],
        blocks: [(size - 1) / THREADS + 1, 1, 1],
        threads: THREADS,
    };
    let kernel = kernel(Key::Unpack(spec), || program(name, packing));
    let done = kernel.and_then(|kernel| kernel.launch(&[records], &launch));
    Some(done.and_then(|arrays| {
        let first = arrays.into_iter().next();
        first.ok_or_else(|| Exception::custom("MLX gave no result of a kernel"))
    }))
}

fn program(name: &str, packing: &Packing) -> Program {
    // On the row's own sphere instead of that of radius √width.
    let radius = (packing.width() as f32).sqrt();
    let codebook = packing.codebook().unwrap_or(&[0.0]);
    let entries: Vec<String> = codebook
        .iter()
        .map(|c| format!("{:e}f", c / radius))
        .collect();
    Program {
        name: "maquette_unpack",
        inputs: vec!["records".to_owned()],
        outputs: vec!["out"],
        constants: format!(
            "using T = {name};\nconstexpr int WIDTH = {};\nconstexpr int BITS = {};\n\
             constexpr int WORDS = {};\nconstexpr int CODE_WORDS = {};\nconstexpr int GROUP = {};\n\
             __device__ const float CODEBOOK[] = {{{}}};\n",
            packing.width(),
            packing.bits(),
            packing.words(),
            packing.code_words(),
            packing.group().unwrap_or(0),
            entries.join(", ")
        ),
        functions: include_str!("unpack.cu"),
        body: "maquette::unpack(records, out, records_shape[1] * records_shape[2] * \
               int64_t(maquette::WIDTH));"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_every_constant() {
        let text = program("__half", &Packing::sphere(128, 3, None)).constants;
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
        assert!(
            program("float", &Packing::affine(128, 4))
                .constants
                .contains("GROUP = 64;")
        );
    }
}
