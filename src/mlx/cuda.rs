//! Kernels in CUDA C++, compiled by MLX at their first use.
//!
//! Not responsible for what they compute: the texts beside this file say it.
//! Invariant: called on a CUDA device only, by the thread that owns the arrays.

use std::{cell::RefCell, collections::HashMap, ffi::CString, rc::Rc};

use mlx_rs::{Array, Dtype, Stream, error::Exception};

mod chunk;
mod decode;
mod dense;
mod fused;
mod packed;
mod records;
mod segments;
mod spread;
mod tiles;
mod transfer;
mod unpacked;

pub use chunk::{ChunkRows, MOST_CHUNK_ROWS, chunk_attention, supports_chunk};
pub use decode::{
    DecodeRow, DecodeSpec, MOST_ROWS, ROW_FIELDS, decode_attention, row_table, supports_decode,
};
pub(super) use dense::dense_row;
pub(super) use fused::{add_norm, swiglu};
pub(super) use packed::packed_matmul;
pub(super) use records::{pack, unpack};
pub(super) use segments::segment_attention;
pub use spread::spread_heads;
pub(super) use transfer::{Piece, join, upload, warm_up};
pub use unpacked::unpacks;

/// What makes two kernels the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    /// With room for so many sequences.
    Decode(DecodeSpec, Dtype, usize),
    Merge(DecodeSpec, Dtype),
    Spread(DecodeSpec, Dtype),
    SpreadInto(DecodeSpec, Dtype),
    Chunk(DecodeSpec, Dtype),
    Segments(segments::SegmentsSpec),
    /// Of so many pieces.
    Upload(usize),
    /// With room for so many pieces.
    Join(usize),
    Packed(packed::PackedSpec),
    Tiles(packed::PackedSpec),
    AddSplits(Dtype),
    Unpack(unpacked::UnpackSpec),
    Records(records::RecordSpec),
    AddNorm {
        width: i32,
        eps: u32,
        dtype: Dtype,
    },
    DenseRow {
        columns: i32,
        lines: i32,
        dtype: Dtype,
    },
    Swiglu {
        width: i32,
        dtype: Dtype,
    },
}

/// The text of a kernel.
struct Program {
    name: &'static str,
    inputs: Vec<String>,
    outputs: Vec<&'static str>,
    /// C++ constants, one a line, and functions that use them.
    constants: String,
    functions: &'static str,
    /// What the kernel itself does, in terms of inputs and outputs.
    body: String,
}

/// MLX's handle of a kernel; compiled when it first runs.
struct Kernel {
    raw: mlx_sys::mlx_fast_cuda_kernel,
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // SAFETY: the handle came from `mlx_fast_cuda_kernel_new` and is freed
        // once.
        unsafe { mlx_sys::mlx_fast_cuda_kernel_free(self.raw) }
    }
}

thread_local! {
    static KERNELS: RefCell<HashMap<Key, Rc<Kernel>>> = RefCell::default();
}

/// A kernel whose inputs are row-major: others are copied first.
fn kernel(key: Key, program: impl FnOnce() -> Program) -> Result<Rc<Kernel>, Exception> {
    kernel_of(key, true, program)
}

/// A kernel that minds the strides of its inputs.
fn views_kernel(key: Key, program: impl FnOnce() -> Program) -> Result<Rc<Kernel>, Exception> {
    kernel_of(key, false, program)
}

fn kernel_of(
    key: Key,
    row_major: bool,
    program: impl FnOnce() -> Program,
) -> Result<Rc<Kernel>, Exception> {
    if let Some(known) = KERNELS.with_borrow(|kernels| kernels.get(&key).cloned()) {
        return Ok(known);
    }
    let made = Rc::new(program().make(row_major)?);
    KERNELS.with_borrow_mut(|kernels| kernels.insert(key, made.clone()));
    Ok(made)
}

impl Program {
    /// Everything that stands before the kernel, in a namespace of its own.
    fn header(&self) -> String {
        format!(
            "namespace maquette {{\n{}{}}}\n",
            self.constants,
            compact(self.functions)
        )
    }

    fn make(&self, row_major: bool) -> Result<Kernel, Exception> {
        let text =
            |text: &str| CString::new(text).map_err(|error| Exception::custom(error.to_string()));
        let (name, header, body) = (text(self.name)?, text(&self.header())?, text(&self.body)?);
        let inputs = Strings::new(self.inputs.iter().map(String::as_str))?;
        let outputs = Strings::new(self.outputs.iter().copied())?;
        // SAFETY: all strings live until the call returns; it copies them.
        let raw = unsafe {
            mlx_sys::mlx_fast_cuda_kernel_new(
                name.as_ptr(),
                inputs.0,
                outputs.0,
                body.as_ptr(),
                header.as_ptr(),
                row_major,
                0,
            )
        };
        match raw.ctx.is_null() {
            true => Err(Exception::custom(format!(
                "MLX refused the kernel `{}`",
                self.name
            ))),
            false => Ok(Kernel { raw }),
        }
    }
}

/// C++ without comments and indentation: MLX puts the text together anew each
/// time that a kernel is launched.
fn compact(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let code = line.split_once("//").map_or(line, |(code, _)| code);
        code.trim()
    });
    lines
        .filter(|line| !line.is_empty())
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// How a kernel is run once.
struct Launch<'a> {
    outputs: &'a [(&'a [i32], Dtype)],
    blocks: [i32; 3],
    /// Of a block, all along the first axis.
    threads: i32,
}

impl Kernel {
    /// Adds the kernel to the graph.
    fn launch(&self, inputs: &[&Array], launch: &Launch) -> Result<Vec<Array>, Exception> {
        let [x, y, z] = launch.blocks;
        let stream = Stream::thread_local_or_default();
        // SAFETY: every handle is made, used and freed here; inputs outlive the
        // call, which takes references of its own.
        unsafe {
            let config = mlx_sys::mlx_fast_cuda_kernel_config_new();
            let mut status =
                mlx_sys::mlx_fast_cuda_kernel_config_set_grid(config, x * launch.threads, y, z);
            status |=
                mlx_sys::mlx_fast_cuda_kernel_config_set_thread_group(config, launch.threads, 1, 1);
            for (shape, dtype) in launch.outputs {
                status |= mlx_sys::mlx_fast_cuda_kernel_config_add_output_arg(
                    config,
                    shape.as_ptr(),
                    shape.len(),
                    (*dtype).into(),
                );
            }
            let handles: Vec<_> = inputs.iter().map(|array| array.as_ptr()).collect();
            let given = mlx_sys::mlx_vector_array_new_data(handles.as_ptr(), handles.len());
            let mut results = mlx_sys::mlx_vector_array_new();
            status |= mlx_sys::mlx_fast_cuda_kernel_apply(
                &mut results,
                self.raw,
                given,
                config,
                stream.as_ptr(),
            );
            let mut arrays = Vec::with_capacity(launch.outputs.len());
            for index in 0..launch.outputs.len() {
                let mut array = mlx_sys::mlx_array_new();
                if status == 0 {
                    status |= mlx_sys::mlx_vector_array_get(&mut array, results, index);
                }
                arrays.push(Array::from_ptr(array));
            }
            mlx_sys::mlx_vector_array_free(results);
            mlx_sys::mlx_vector_array_free(given);
            mlx_sys::mlx_fast_cuda_kernel_config_free(config);
            match status {
                0 => Ok(arrays),
                _ => Err(Exception::custom("MLX refused to run a CUDA kernel")),
            }
        }
    }
}

/// MLX's vector of strings.
struct Strings(mlx_sys::mlx_vector_string);

impl Strings {
    fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Self, Exception> {
        // SAFETY: the vector is freed by `drop`, once.
        let strings = Self(unsafe { mlx_sys::mlx_vector_string_new() });
        for text in texts {
            let text = CString::new(text).map_err(|error| Exception::custom(error.to_string()))?;
            // SAFETY: the vector is valid and copies the text.
            unsafe { mlx_sys::mlx_vector_string_append_value(strings.0, text.as_ptr()) };
        }
        Ok(strings)
    }
}

impl Drop for Strings {
    fn drop(&mut self) {
        // SAFETY: made by `new` and freed once.
        unsafe { mlx_sys::mlx_vector_string_free(self.0) };
    }
}

/// The C++ name of an element type that kernels are made for.
fn type_name(dtype: Dtype) -> Option<&'static str> {
    match dtype {
        Dtype::Float32 => Some("float"),
        Dtype::Float16 => Some("__half"),
        Dtype::Bfloat16 => Some("__nv_bfloat16"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_indentation_are_left_out() {
        let text = "// What it does.\n\nint f() {\n  return 1; // one\n}\n";
        assert_eq!(compact(text), "int f() {\nreturn 1;\n}\n");
    }
}
