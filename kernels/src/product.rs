//! `out = x · wᵀ` for rows of weights that are expanded to `f32` on the way.
//!
//! Rows of `x` share panels of expanded weights that stay in cache. Packed
//! weights have a kernel of their own for one row of `x`, which skips the
//! expansion.

use rayon::prelude::*;

use crate::pieces;

/// A weight matrix `[rows, cols]` that can be multiplied.
pub trait Weights: Sync {
    fn rows(&self) -> usize;
    fn cols(&self) -> usize;

    /// Values of an expanded row: `cols`, and zeros to fill its last block.
    fn expanded_cols(&self) -> usize {
        self.cols()
    }

    /// Writes one `x` in the order of an expanded row.
    fn reorder(&self, x: &[f32], out: &mut [f32]) {
        out.copy_from_slice(x);
    }

    /// Writes row `row` as `expanded_cols` values, in the kernel's own order:
    /// a sum over the columns does not mind it.
    fn expand(&self, row: usize, out: &mut [f32]);
}

/// Weights with a kernel for a single `x`.
pub trait VectorWeights: Weights {
    /// Sums of `x` that all rows share.
    fn group_sums(&self, x: &[f32]) -> Vec<f32>;

    /// `out[i] = w[first + i] · x`.
    fn times_vector(&self, x: &PreparedVector, first: usize, out: &mut [f32]);
}

/// A vector in the order of an expanded row, and its sums by group.
pub struct PreparedVector {
    pub values: Vec<f32>,
    pub group_sums: Vec<f32>,
}

/// Rows of weights expanded at a time: a panel of 4096 columns is 512 KiB.
const PANEL_ROWS: usize = 32;

/// `out[i] = w[i] · x`.
pub fn vector_product<W: VectorWeights>(x: &[f32], weights: &W, out: &mut [f32]) {
    let prepared = PreparedVector {
        values: reordered(x, weights),
        group_sums: weights.group_sums(x),
    };
    let pieces = pieces(weights.rows() * weights.cols());
    if pieces == 1 {
        return weights.times_vector(&prepared, 0, out);
    }
    // Whole cache lines of output per piece, and groups of rows that the
    // kernels work on together.
    let rows = weights.rows().div_ceil(pieces).next_multiple_of(16);
    out.par_chunks_mut(rows)
        .enumerate()
        .for_each(|(i, out)| weights.times_vector(&prepared, i * rows, out));
}

/// `out[t, n] = Σ_k x[t, k] w[n, k]`, `x` being `[tokens, cols]`.
pub fn product<W: Weights>(x: &[f32], weights: &W, out: &mut [f32]) {
    if weights.rows() == 0 || weights.cols() == 0 {
        return out.fill(0.0);
    }
    let tokens = x.len() / weights.cols();
    matrix(&reordered(x, weights), weights, out, tokens);
}

fn reordered<W: Weights>(x: &[f32], weights: &W) -> Vec<f32> {
    let tokens = x.len() / weights.cols();
    let mut values = vec![0.0; tokens * weights.expanded_cols()];
    let rows = x.chunks_exact(weights.cols());
    for (x, out) in rows.zip(values.chunks_exact_mut(weights.expanded_cols())) {
        weights.reorder(x, out);
    }
    values
}

/// `x` is reordered: `[tokens, expanded_cols]`.
fn matrix<W: Weights>(x: &[f32], weights: &W, out: &mut [f32], tokens: usize) {
    let (rows, cols) = (weights.rows(), weights.expanded_cols());
    let pieces = pieces(rows * cols * tokens);
    if pieces == 1 {
        return panels(x, weights, 0..rows, out, rows);
    }
    if tokens >= 16 * pieces {
        // Many tokens: expanding the weights once a thread costs little.
        let share = tokens.div_ceil(pieces);
        out.par_chunks_mut(share * rows)
            .zip(x.par_chunks(share * cols))
            .for_each(|(out, x)| panels(x, weights, 0..rows, out, rows));
        return;
    }
    let share = rows.div_ceil(pieces).next_multiple_of(PANEL_ROWS);
    let parts: Vec<Vec<f32>> = (0..rows.div_ceil(share))
        .into_par_iter()
        .map(|i| {
            let range = i * share..rows.min((i + 1) * share);
            let width = range.len();
            let mut part = vec![0.0; tokens * width];
            panels(x, weights, range, &mut part, width);
            part
        })
        .collect();
    for (i, part) in parts.iter().enumerate() {
        let width = part.len() / tokens;
        for (token, values) in part.chunks_exact(width).enumerate() {
            let start = token * rows + i * share;
            out[start..start + width].copy_from_slice(values);
        }
    }
}

/// Multiplies by the weight rows `range`; `out` has `stride` values a token and
/// begins with the first row of `range`.
fn panels<W: Weights>(
    x: &[f32],
    weights: &W,
    range: std::ops::Range<usize>,
    out: &mut [f32],
    stride: usize,
) {
    let cols = weights.expanded_cols();
    let mut panel = vec![0.0; PANEL_ROWS.min(range.len()) * cols];
    for first in range.clone().step_by(PANEL_ROWS) {
        let count = PANEL_ROWS.min(range.end - first);
        for (i, row) in panel.chunks_exact_mut(cols).take(count).enumerate() {
            weights.expand(first + i, row);
        }
        let panel = Matrix::row_major(&panel[..count * cols], count, cols);
        let x = Matrix::row_major(x, x.len() / cols, cols);
        let offset = first - range.start;
        multiply(x, panel.transposed(), &mut out[offset..], stride, 1.0);
    }
}

/// A matrix in a slice. Constructors prove that every element is inside it.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    pub fn row_major(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert!(data.len() >= rows * cols);
        Self {
            data,
            rows,
            cols,
            row_stride: cols,
            col_stride: 1,
        }
    }

    /// Rows of `cols` values that begin `stride` values apart.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(rows == 0 || data.len() >= (rows - 1) * stride + cols);
        Self {
            data,
            rows,
            cols,
            row_stride: stride,
            col_stride: 1,
        }
    }

    /// # Panics
    /// If it has fewer.
    pub fn first_rows(self, rows: usize) -> Self {
        assert!(rows <= self.rows);
        Self { rows, ..self }
    }

    pub fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }
}

/// `out = alpha a · b` on this thread; `out` has `stride` values a row.
pub fn multiply(a: Matrix, b: Matrix, out: &mut [f32], stride: usize, alpha: f32) {
    assert_eq!(a.cols, b.rows);
    if a.rows == 0 || b.cols == 0 {
        return;
    }
    assert!(out.len() >= (a.rows - 1) * stride + b.cols && stride >= b.cols);
    // SAFETY: the assertions above and the constructors of `Matrix` keep every
    // element that gemm reads or writes inside the three slices, and `out` is
    // borrowed exclusively.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            out.as_mut_ptr(),
            1,
            stride as isize,
            false,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            0.0,
            alpha,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
