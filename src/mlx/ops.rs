//! The operations a transformer is made of, each by the fastest kernel the
//! device has; those inside the heads are in `heads`.

use maquette_kernels as kernels;
use mlx_rs::{Array, Dtype, error::Exception, fast, ops};

use super::{
    cuda,
    device::{Backend, backend},
    host::{self, View},
};

type Result<T> = std::result::Result<T, Exception>;

pub(super) fn on_cpu() -> bool {
    backend() == Backend::Cpu
}

pub(super) fn on_cuda() -> bool {
    backend() == Backend::Cuda
}

/// x · wᵀ with affine-quantised weights.
///
/// `x` is `[T, K]`; `w` packs `[N, K]` integers of `bits` bits; `scales` and
/// `biases` are `[N, K / group]`. Gives `[T, N]` in the type of `x`. On the
/// CPU everything but `w` is `f32`.
pub fn quantized_matmul(
    x: &Array,
    w: &Array,
    scales: &Array,
    biases: &Array,
    group: i32,
    bits: i32,
) -> Result<Array> {
    let ours = || cuda::packed_matmul(x, w, scales, biases, group, bits);
    if let Some(done) = on_cuda().then(ours).flatten() {
        return done;
    }
    if !on_cpu() || x.dtype() != Dtype::Float32 || scales.dtype() != Dtype::Float32 {
        return ops::quantized_matmul(x, w, scales, biases, true, group, bits);
    }
    let (tokens, cols) = two_dims(x, "quantized_matmul")?;
    let rows = w.dim(0);
    if w.dim(-1) * 32 != cols * bits
        || scales.shape() != [rows, cols / group]
        || biases.shape() != scales.shape()
    {
        return Err(Exception::custom(format!(
            "quantized_matmul: input {:?}, weights {:?} of {bits} bits, scales {:?} in groups of {group} do not fit",
            x.shape(),
            w.shape(),
            scales.shape()
        )));
    }
    host::node(
        &[x, w, scales, biases],
        &[tokens, rows],
        Dtype::Float32,
        move |inputs, out| {
            let [x, w, scales, biases] = inputs else {
                return;
            };
            kernels::quantized_matmul(
                &x.contiguous::<f32>(),
                kernels::Quantised {
                    packed: &w.contiguous::<u32>(),
                    scales: &scales.contiguous::<f32>(),
                    biases: &biases.contiguous::<f32>(),
                    rows: rows as usize,
                    cols: cols as usize,
                    group: group as usize,
                    bits: bits as usize,
                },
                out.elements::<f32>(),
            );
        },
    )
}

/// x · wᵀ for `x` of `[T, K]` and dense `w` of `[N, K]`; `[T, N]` in the type of
/// `x`. On the CPU `x` is `f32` and `w` may be `f32`, `f16` or `bf16`.
pub fn matmul_t(x: &Array, w: &Array) -> Result<Array> {
    if let Some(done) = on_cuda().then(|| cuda::dense_row(x, w)).flatten() {
        return done;
    }
    if !on_cpu() || x.dtype() != Dtype::Float32 {
        return ops::matmul(x, w.t());
    }
    let (tokens, cols) = two_dims(x, "matmul_t")?;
    let (rows, w_cols) = two_dims(w, "matmul_t")?;
    if w_cols != cols {
        return Err(Exception::custom(format!(
            "matmul_t: input {:?} and weights {:?} do not fit",
            x.shape(),
            w.shape()
        )));
    }
    let dtype = w.dtype();
    if !matches!(dtype, Dtype::Float32 | Dtype::Float16 | Dtype::Bfloat16) {
        return Err(Exception::custom(format!(
            "matmul_t: weights of {dtype:?} are not floats"
        )));
    }
    host::node(
        &[x, w],
        &[tokens, rows],
        Dtype::Float32,
        move |inputs, out| {
            let [x, w] = inputs else { return };
            let (rows, cols) = (rows as usize, cols as usize);
            let (floats, halves);
            let dense = match dtype {
                Dtype::Float32 => {
                    floats = w.contiguous::<f32>();
                    kernels::Dense::F32(&floats)
                }
                _ => {
                    halves = w.contiguous::<u16>();
                    if dtype == Dtype::Float16 {
                        kernels::Dense::F16(&halves)
                    } else {
                        kernels::Dense::Bf16(&halves)
                    }
                }
            };
            let x = x.contiguous::<f32>();
            kernels::dense_matmul(&x, dense, rows, cols, out.elements());
        },
    )
}

/// Root-mean-square normalisation of the last axis, times `weight` if given.
pub fn rms_norm(x: &Array, weight: Option<&Array>, eps: f32) -> Result<Array> {
    let plain = |a: &Array| a.dtype() == Dtype::Float32;
    if !on_cpu() || !plain(x) || !weight.is_none_or(plain) || x.ndim() == 0 {
        return fast::rms_norm(x, weight, eps);
    }
    let inputs: Vec<&Array> = std::iter::once(x).chain(weight).collect();
    let width = x.dim(-1) as usize;
    if weight.is_some_and(|w| w.shape() != [width as i32]) {
        return Err(Exception::custom(format!(
            "rms_norm: {:?} has no weight of that width",
            x.shape()
        )));
    }
    host::node(&inputs, x.shape(), Dtype::Float32, move |inputs, out| {
        let x = inputs[0].contiguous::<f32>();
        let weight = inputs.get(1).map(|w| w.contiguous::<f32>());
        kernels::rms_norm(&x, weight.as_deref(), eps, width, out.elements::<f32>());
    })
}

/// `x + branch`, and its [`rms_norm`]: what follows every branch of a layer.
pub fn add_norm(x: &Array, branch: &Array, weight: &Array, eps: f32) -> Result<(Array, Array)> {
    let fused = || cuda::add_norm(x, branch, weight, eps);
    if let Some(done) = on_cuda().then(fused).flatten() {
        return done;
    }
    let sum = x.add(branch)?;
    let normed = rms_norm(&sum, Some(weight), eps)?;
    Ok((sum, normed))
}

/// silu(gate) · up for rows `[gate | up]`: `[T, 2F]` gives `[T, F]`.
pub fn swiglu(gate_up: &Array) -> Result<Array> {
    let width = gate_up.dim(-1) / 2;
    if on_cpu() && gate_up.dtype() == Dtype::Float32 {
        let (tokens, _) = two_dims(gate_up, "swiglu")?;
        return host::node(
            &[gate_up],
            &[tokens, width],
            Dtype::Float32,
            move |inputs, out| {
                let gate_up = inputs[0].contiguous::<f32>();
                kernels::swiglu(&gate_up, width as usize, out.elements());
            },
        );
    }
    if let Some(done) = on_cuda().then(|| cuda::swiglu(gate_up)).flatten() {
        return done;
    }
    let parts = gate_up.split_equal(2, -1)?;
    ops::multiply(mlx_rs::nn::silu(&parts[0])?, &parts[1])
}

/// Writes `rows` into `dst` along `axis` from `start` on and gives the result;
/// other axes must agree. On the CPU `dst`'s own buffer is changed (it must be
/// row-major), so views of it may only be used for parts written earlier.
pub fn write_rows(dst: &Array, rows: &Array, axis: i32, start: i32) -> Result<Array> {
    let axis = if axis < 0 {
        axis + dst.ndim() as i32
    } else {
        axis
    } as usize;
    let fits = dst.ndim() == rows.ndim()
        && axis < dst.ndim()
        && dst.dtype() == rows.dtype()
        && dst
            .shape()
            .iter()
            .zip(rows.shape())
            .enumerate()
            .all(|(i, (d, r))| i == axis || d == r)
        && start >= 0
        && start + rows.dim(axis as i32) <= dst.dim(axis as i32);
    if !fits {
        return Err(Exception::custom(format!(
            "write_rows: {:?} do not fit into {:?} from {start} on along axis {axis}",
            rows.shape(),
            dst.shape()
        )));
    }
    if !on_cpu() || !matches!(dst.item_size(), 2 | 4) {
        return slice_update(dst, rows, axis, start);
    }
    let wide = dst.item_size() == 4;
    host::node_in_place(&[dst, rows], move |inputs, out| {
        if wide {
            copy_rows::<u32>(&inputs[1], out, axis, start as usize);
        } else {
            copy_rows::<u16>(&inputs[1], out, axis, start as usize);
        }
    })
}

fn copy_rows<T: host::Element>(rows: &View, out: &mut host::ViewMut, axis: usize, start: usize) {
    let row: usize = out.shape()[axis + 1..]
        .iter()
        .map(|d| *d as usize)
        .product();
    let (length, count) = (out.shape()[axis] as usize, rows.dim(axis));
    let rows = rows.contiguous::<T>();
    if row * count == 0 {
        return;
    }
    let blocks = out.elements::<T>().chunks_exact_mut(length * row);
    for (block, rows) in blocks.zip(rows.chunks_exact(count * row)) {
        block[start * row..][..count * row].copy_from_slice(rows);
    }
}

/// MLX's own update, without the reshapes of `index_mut`.
fn slice_update(dst: &Array, rows: &Array, axis: usize, start: i32) -> Result<Array> {
    let mut from = vec![0; dst.ndim()];
    let mut to = dst.shape().to_vec();
    let steps = vec![1; dst.ndim()];
    from[axis] = start;
    to[axis] = start + rows.dim(axis as i32);
    let stream = mlx_rs::Stream::thread_local_or_default();
    // SAFETY: all handles and slices are valid for the call, and the result is
    // taken over by an `Array` whatever the status.
    unsafe {
        let mut result = mlx_sys::mlx_array_new();
        let status = mlx_sys::mlx_slice_update(
            &mut result,
            dst.as_ptr(),
            rows.as_ptr(),
            from.as_ptr(),
            from.len(),
            to.as_ptr(),
            to.len(),
            steps.as_ptr(),
            steps.len(),
            stream.as_ptr(),
        );
        let result = Array::from_ptr(result);
        if status != 0 {
            return Err(Exception::custom("MLX refused to update a slice"));
        }
        Ok(result)
    }
}

fn two_dims(array: &Array, operation: &str) -> Result<(i32, i32)> {
    match array.shape() {
        [rows, cols] => Ok((*rows, *cols)),
        shape => Err(Exception::custom(format!(
            "{operation} wants two dimensions, not {shape:?}"
        ))),
    }
}

#[cfg(test)]
mod tests;
