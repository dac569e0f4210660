//! Products with one of many matrices, chosen row by row: what a mixture of
//! experts is made of. Only the chosen matrices are read.

use maquette_kernels as kernels;
use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{
    host::{self, ViewMut},
    ops::on_cpu,
};

type Result<T> = std::result::Result<T, Exception>;

/// Rows from which on unpacking all experts once is faster than multiplying
/// with packed ones (docs/performance.md).
const UNPACK_FROM: i32 = 300;

/// Which expert each row of the result is for.
#[derive(Debug, Clone, Copy)]
pub struct ExpertRows<'a> {
    /// Experts `[R]`, u32.
    pub experts: &'a Array,
    /// Rows of the result that one row of the input serves: `R` is a multiple
    /// of it.
    pub share: i32,
    /// The experts come in rising order, which GPUs make use of.
    pub sorted: bool,
}

/// `x[r / share] · w[experts[r]]ᵀ`: `x` is `[R / share, K]`, `w` `[E, N, K]`.
/// Gives `[R, N]` in the type of `x`. On the CPU `x` is `f32` and `w` may be
/// `f32`, `f16` or `bf16`.
pub fn expert_matmul_t(x: &Array, w: &Array, rows: ExpertRows) -> Result<Array> {
    let [experts, out, cols] = fitting(x, w.shape(), rows)?;
    if !on_cpu() || x.dtype() != Dtype::Float32 {
        return gather_dense(x, w, rows);
    }
    let dtype = w.dtype();
    if !matches!(dtype, Dtype::Float32 | Dtype::Float16 | Dtype::Bfloat16) {
        let problem = format!("expert_matmul_t: weights of {dtype:?} are not floats");
        return Err(Exception::custom(problem));
    }
    let shape = [rows.experts.dim(0), out];
    let share = rows.share as usize;
    let (experts, out, cols) = (experts as usize, out as usize, cols as usize);
    host::node(
        &[x, w, rows.experts],
        &shape,
        Dtype::Float32,
        move |inputs, result| {
            let [x, w, ids] = inputs else { return };
            let (x, ids) = (x.contiguous::<f32>(), ids.contiguous::<u32>());
            let size = out * cols;
            if dtype == Dtype::Float32 {
                let w = w.contiguous::<f32>();
                by_expert(&x, &ids, share, experts, cols, result, |expert, x, y| {
                    let w = kernels::Dense::F32(&w[expert * size..][..size]);
                    kernels::dense_matmul(x, w, out, cols, y);
                });
                return;
            }
            let w = w.contiguous::<u16>();
            by_expert(&x, &ids, share, experts, cols, result, |expert, x, y| {
                let w = &w[expert * size..][..size];
                let w = match dtype {
                    Dtype::Float16 => kernels::Dense::F16(w),
                    _ => kernels::Dense::Bf16(w),
                };
                kernels::dense_matmul(x, w, out, cols, y);
            });
        },
    )
}

/// [`expert_matmul_t`] with affine-quantised weights: `w` packs `[E, N, K]`
/// integers of `bits` bits; `scales` and `biases` are `[E, N, K / group]`.
pub fn expert_quantized_matmul(
    x: &Array,
    [w, scales, biases]: [&Array; 3],
    group: i32,
    bits: i32,
    rows: ExpertRows,
) -> Result<Array> {
    let cols = scales.dim(-1) * group;
    let [experts, out, cols] = fitting(x, &[w.dim(0), w.dim(1), cols], rows)?;
    let shape = [rows.experts.dim(0), out];
    if !on_cpu() || x.dtype() != Dtype::Float32 || scales.dtype() != Dtype::Float32 {
        return gather_packed(x, [w, scales, biases], group, bits, rows);
    }
    let share = rows.share as usize;
    let (experts, out, cols) = (experts as usize, out as usize, cols as usize);
    let (group, bits) = (group as usize, bits as usize);
    host::node(
        &[x, w, scales, biases, rows.experts],
        &shape,
        Dtype::Float32,
        move |inputs, result| {
            let [x, w, scales, biases, ids] = inputs else {
                return;
            };
            let (x, ids) = (x.contiguous::<f32>(), ids.contiguous::<u32>());
            let w = w.contiguous::<u32>();
            let (scales, biases) = (scales.contiguous::<f32>(), biases.contiguous::<f32>());
            let (words, groups) = (out * cols * bits / 32, out * cols / group);
            by_expert(&x, &ids, share, experts, cols, result, |expert, x, y| {
                let w = kernels::Quantised {
                    packed: &w[expert * words..][..words],
                    scales: &scales[expert * groups..][..groups],
                    biases: &biases[expert * groups..][..groups],
                    rows: out,
                    cols,
                    group,
                    bits,
                };
                kernels::quantized_matmul(x, w, y);
            });
        },
    )
}

/// [`expert_matmul_t`] by MLX.
fn gather_dense(x: &Array, w: &Array, rows: ExpertRows) -> Result<Array> {
    let (count, out) = (rows.experts.dim(0), w.dim(1));
    let (x, ids) = gathering(x, rows)?;
    let w = w.swap_axes(-1, -2)?;
    ops::gather_mm(&x, &w, None, &ids, rows.sorted)?.reshape(&[count, out])
}

/// [`expert_quantized_matmul`] by MLX.
fn gather_packed(
    x: &Array,
    [w, scales, biases]: [&Array; 3],
    group: i32,
    bits: i32,
    rows: ExpertRows,
) -> Result<Array> {
    let (count, out) = (rows.experts.dim(0), w.dim(1));
    if rows.sorted && count >= UNPACK_FROM {
        let w = ops::dequantize(w, scales, biases, group, bits)?.as_dtype(x.dtype())?;
        return gather_dense(x, &w, rows);
    }
    let (x, ids) = gathering(x, rows)?;
    let (ids, sorted) = (&ids, rows.sorted);
    let y = ops::gather_qmm(&x, w, scales, biases, None, ids, true, group, bits, sorted)?;
    y.reshape(&[count, out])
}

/// Experts, rows and columns of a stack that fits the input.
fn fitting(x: &Array, stack: &[i32], rows: ExpertRows) -> Result<[i32; 3]> {
    match *stack {
        [experts, out, cols]
            if x.ndim() == 2
                && x.dim(1) == cols
                && rows.experts.ndim() == 1
                && rows.experts.dim(0) == x.dim(0) * rows.share =>
        {
            Ok([experts, out, cols])
        }
        _ => Err(Exception::custom(format!(
            "experts: input {:?}, weights {stack:?} and {:?} choices do not fit",
            x.shape(),
            rows.experts.shape()
        ))),
    }
}

/// Input and choices as MLX's gathering products want them.
fn gathering(x: &Array, rows: ExpertRows) -> Result<(Array, Array)> {
    let (count, cols) = (x.dim(0), x.dim(1));
    if rows.sorted && rows.share == 1 {
        return Ok((x.reshape(&[count, 1, cols])?, rows.experts.clone()));
    }
    let ids = rows.experts.reshape(&[count, rows.share])?;
    Ok((x.reshape(&[count, 1, 1, cols])?, ids))
}

/// Calls `product(expert, rows of x, rows of the result)` once for each expert
/// that was chosen.
fn by_expert(
    x: &[f32],
    ids: &[u32],
    share: usize,
    experts: usize,
    cols: usize,
    result: &mut ViewMut,
    product: impl Fn(usize, &[f32], &mut [f32]),
) {
    let out = result.shape()[1] as usize;
    let result = result.elements::<f32>();
    let mut rows_of = vec![Vec::new(); experts];
    for (row, expert) in ids.iter().enumerate() {
        rows_of[*expert as usize].push(row);
    }
    let input = |row: usize| &x[row / share * cols..][..cols];
    for (expert, rows) in rows_of.iter().enumerate() {
        if let [row] = rows[..] {
            product(expert, input(row), &mut result[row * out..][..out]);
        } else if !rows.is_empty() {
            let x: Vec<f32> = rows.iter().flat_map(|row| input(*row)).copied().collect();
            let mut y = vec![0.0; rows.len() * out];
            product(expert, &x, &mut y);
            for (row, y) in rows.iter().zip(y.chunks_exact(out)) {
                result[row * out..][..out].copy_from_slice(y);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(shape: &[i32], seed: i32) -> Array {
        let size: i32 = shape.iter().product();
        let number = |i| ((i * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0;
        Array::from_iter((0..size).map(number), shape)
    }

    #[track_caller]
    fn assert_close(a: &Array, b: &Array) {
        assert_eq!(a.shape(), b.shape());
        let numbers = |x: &Array| x.to_vec_cast::<f32>().unwrap();
        for (a, b) in numbers(a).iter().zip(numbers(b)) {
            assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{a} is not {b}");
        }
    }

    #[test]
    fn every_row_meets_its_own_expert() {
        let (w, ids) = (values(&[5, 48, 64], 3), [4u32, 0, 1, 4, 4, 2]);
        let experts = Array::from_slice(&ids, &[6]);
        let (q, scales, biases) = ops::quantize(&w, 32, 4).unwrap();
        let unpacked = ops::dequantize(&q, &scales, &biases, 32, 4).unwrap();
        for share in [1, 2, 3] {
            let x = values(&[6 / share, 64], 7);
            let rows = ExpertRows {
                experts: &experts,
                share,
                sorted: false,
            };
            let each = |w: &Array| {
                let one = |(row, id): (usize, &u32)| {
                    let x = x.take_axis(Array::from_slice(&[row as i32 / share], &[1]), 0);
                    let w = w.take_axis(Array::from_int(*id as i32), 0).unwrap();
                    ops::matmul(x.unwrap(), w.t()).unwrap()
                };
                let parts: Vec<Array> = ids.iter().enumerate().map(one).collect();
                ops::concatenate(&parts, 0).unwrap()
            };
            assert_close(&expert_matmul_t(&x, &w, rows).unwrap(), &each(&w));
            let own = expert_quantized_matmul(&x, [&q, &scales, &biases], 32, 4, rows);
            assert_close(&own.unwrap(), &each(&unpacked));
            // What GPUs do.
            assert_close(&gather_dense(&x, &w, rows).unwrap(), &each(&w));
            let packed = gather_packed(&x, [&q, &scales, &biases], 32, 4, rows);
            assert_close(&packed.unwrap(), &each(&unpacked));
            let half = w.as_dtype(Dtype::Bfloat16).unwrap();
            let wide = half.as_dtype(Dtype::Float32).unwrap();
            assert_close(&expert_matmul_t(&x, &half, rows).unwrap(), &each(&wide));
        }
    }

    #[test]
    fn many_sorted_rows_are_multiplied_with_unpacked_experts() {
        let count = UNPACK_FROM + 20;
        let w = values(&[3, 16, 64], 3);
        let (q, scales, biases) = ops::quantize(&w, 32, 8).unwrap();
        let experts = (0..count).map(|row| (row * 3 / count) as u32);
        let experts = Array::from_iter(experts, &[count]);
        let rows = ExpertRows {
            experts: &experts,
            share: 1,
            sorted: true,
        };
        let x = values(&[count, 64], 5);
        let packed = [&q, &scales, &biases];
        let own = expert_quantized_matmul(&x, packed, 32, 8, rows).unwrap();
        assert_close(&gather_packed(&x, packed, 32, 8, rows).unwrap(), &own);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let experts = Array::from_slice(&[0u32, 1], &[2]);
        let rows = ExpertRows {
            experts: &experts,
            share: 1,
            sorted: false,
        };
        assert!(expert_matmul_t(&values(&[2, 8], 1), &values(&[3, 4, 9], 1), rows).is_err());
        assert!(expert_matmul_t(&values(&[3, 8], 1), &values(&[3, 4, 8], 1), rows).is_err());
    }
}
