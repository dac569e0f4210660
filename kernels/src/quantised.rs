//! Products with affine-quantised weights in MLX's packing.
//!
//! A row is `cols` integers of `bits` bits, packed from the lowest bit up; each
//! group of `group` columns has a scale and a bias: w = scale · q + bias. So
//! Σ w x = Σ_groups scale · Σ q x + bias · Σ x, and the last sum is shared by
//! all rows.

use pulp::{Arch, Simd, WithSimd};

use crate::{
    product::{PreparedVector, VectorWeights, Weights, product, vector_product},
    simd::{LANES, dot, fma, horizontal_sum},
};

/// Weights of `[rows, cols]`: `packed` has `cols * bits / 32` words a row,
/// `scales` and `biases` one value a group.
#[derive(Clone, Copy)]
pub struct Quantised<'a> {
    pub packed: &'a [u32],
    pub scales: &'a [f32],
    pub biases: &'a [f32],
    pub rows: usize,
    pub cols: usize,
    pub group: usize,
    pub bits: usize,
}

/// `out[t, n] = Σ_k x[t, k] w[n, k]`.
///
/// # Panics
/// If a slice's length does not fit the shapes, or for a packing that MLX does
/// not have (bits 2, 3, 4, 5, 6, 8; groups of 32, 64, 128).
pub fn quantized_matmul(x: &[f32], w: Quantised, out: &mut [f32]) {
    let groups = w.rows * w.cols / w.group;
    assert_eq!(w.cols % w.group, 0, "columns are not whole groups");
    assert_eq!(
        w.packed.len() * 32,
        w.rows * w.cols * w.bits,
        "packed weights do not fit their shape"
    );
    assert_eq!(
        (w.scales.len(), w.biases.len()),
        (groups, groups),
        "scales do not fit the weights"
    );
    assert_eq!(
        x.len() * w.rows,
        out.len() * w.cols,
        "input and output do not fit"
    );
    match w.bits {
        2 => packed::<2>(x, w, out),
        3 => packed::<3>(x, w, out),
        4 => packed::<4>(x, w, out),
        5 => packed::<5>(x, w, out),
        6 => packed::<6>(x, w, out),
        8 => packed::<8>(x, w, out),
        bits => panic!("weights of {bits} bits are unknown"),
    }
}

fn packed<const BITS: usize>(x: &[f32], w: Quantised, out: &mut [f32]) {
    match w.group {
        32 => grouped::<BITS, 32>(x, w, out),
        64 => grouped::<BITS, 64>(x, w, out),
        128 => grouped::<BITS, 128>(x, w, out),
        group => panic!("groups of {group} are unknown"),
    }
}

fn grouped<const BITS: usize, const GROUP: usize>(x: &[f32], w: Quantised, out: &mut [f32]) {
    let weights = Packed::<BITS, GROUP> { w };
    if x.len() == w.cols {
        vector_product(x, &weights, out);
    } else {
        product(x, &weights, out);
    }
}

impl Quantised<'_> {
    fn words_per_row(&self) -> usize {
        self.cols * self.bits / 32
    }

    fn row(&self, row: usize) -> Row<'_> {
        let (words, groups) = (self.words_per_row(), self.cols / self.group);
        Row {
            words: &self.packed[row * words..][..words],
            scales: &self.scales[row * groups..][..groups],
            biases: &self.biases[row * groups..][..groups],
        }
    }
}

#[derive(Clone, Copy)]
struct Row<'a> {
    words: &'a [u32],
    scales: &'a [f32],
    biases: &'a [f32],
}

/// Sixteen lanes unpack side by side. A lane is the least run of whole words
/// that holds whole elements: one word where `BITS` divides 32, else `BITS`
/// words with 32 elements. Element `j` of all lanes sits at the same shift.
///
/// The kernel's order of a block of columns is therefore: element 0 of every
/// lane, then element 1, and so on.
struct Packed<'a, const BITS: usize, const GROUP: usize> {
    w: Quantised<'a>,
}

impl<const BITS: usize, const GROUP: usize> Packed<'_, BITS, GROUP> {
    const LANE_WORDS: usize = if 32 % BITS == 0 { 1 } else { BITS };
    const LANE_COLS: usize = 32 * Self::LANE_WORDS / BITS;
    const BLOCK_WORDS: usize = LANES * Self::LANE_WORDS;
    const BLOCK_COLS: usize = LANES * Self::LANE_COLS;
    const BLOCK_GROUPS: usize = Self::BLOCK_COLS.div_ceil(GROUP);
    /// A multiple of one, because groups of 32 hold whole lanes.
    const GROUP_LANES: usize = GROUP / Self::LANE_COLS;
    const MASK: u32 = (1 << BITS) - 1;

    /// Integer `j` of every lane.
    #[inline(always)]
    fn integers(words: &[u32], j: usize) -> [f32; LANES] {
        let (word, shift) = (j * BITS / 32, j * BITS % 32);
        let crosses = shift + BITS > 32;
        let mut integers = [0.0; LANES];
        for (lane, integer) in integers.iter_mut().enumerate() {
            let mut bits = words[lane * Self::LANE_WORDS + word] >> shift;
            if crosses {
                bits |= words[lane * Self::LANE_WORDS + word + 1] << (32 - shift);
            }
            // Signed conversion is one instruction everywhere.
            *integer = (bits & Self::MASK) as i32 as f32;
        }
        integers
    }

    /// One value a group, spread over the group's lanes.
    #[inline(always)]
    fn spread(groups: &[f32]) -> [f32; LANES] {
        std::array::from_fn(|lane| groups[lane / Self::GROUP_LANES])
    }

    fn whole_blocks(row: Row) -> usize {
        row.words.len() / Self::BLOCK_WORDS
    }

    #[inline(always)]
    fn block(row: Row<'_>, i: usize) -> Row<'_> {
        let group = i * Self::BLOCK_COLS / GROUP;
        Row {
            words: &row.words[i * Self::BLOCK_WORDS..][..Self::BLOCK_WORDS],
            scales: &row.scales[group..][..Self::BLOCK_GROUPS],
            biases: &row.biases[group..][..Self::BLOCK_GROUPS],
        }
    }

    /// The words behind the last whole block, filled up with zeros.
    fn last_block<'a>(
        row: Row,
        words: &'a mut [u32; 8 * LANES],
        groups: &'a mut [[f32; LANES]; 2],
    ) -> Option<Row<'a>> {
        let whole = Self::whole_blocks(row);
        let rest = &row.words[whole * Self::BLOCK_WORDS..];
        if rest.is_empty() {
            return None;
        }
        words[..rest.len()].copy_from_slice(rest);
        let group = whole * Self::BLOCK_COLS / GROUP;
        for (to, from) in groups.iter_mut().zip([row.scales, row.biases]) {
            to[..from.len() - group].copy_from_slice(&from[group..]);
        }
        Some(Row {
            words: &words[..Self::BLOCK_WORDS],
            scales: &groups[0][..Self::BLOCK_GROUPS],
            biases: &groups[1][..Self::BLOCK_GROUPS],
        })
    }
}

impl<const BITS: usize, const GROUP: usize> Weights for Packed<'_, BITS, GROUP> {
    fn rows(&self) -> usize {
        self.w.rows
    }

    fn cols(&self) -> usize {
        self.w.cols
    }

    fn expanded_cols(&self) -> usize {
        self.w.cols.next_multiple_of(Self::BLOCK_COLS)
    }

    fn reorder(&self, x: &[f32], out: &mut [f32]) {
        for (block, x) in out
            .chunks_exact_mut(Self::BLOCK_COLS)
            .zip(x.chunks(Self::BLOCK_COLS))
        {
            for (lane, x) in x.chunks_exact(Self::LANE_COLS).enumerate() {
                for (j, value) in x.iter().enumerate() {
                    block[j * LANES + lane] = *value;
                }
            }
        }
    }

    fn expand(&self, row: usize, out: &mut [f32]) {
        Arch::new().dispatch(Expand::<BITS, GROUP> {
            row: self.w.row(row),
            out,
        });
    }
}

impl<const BITS: usize, const GROUP: usize> VectorWeights for Packed<'_, BITS, GROUP> {
    fn group_sums(&self, x: &[f32]) -> Vec<f32> {
        x.chunks_exact(GROUP)
            .map(|group| group.iter().sum())
            .collect()
    }

    fn times_vector(&self, x: &PreparedVector, first: usize, out: &mut [f32]) {
        Arch::new().dispatch(TimesVector::<BITS, GROUP> {
            w: &self.w,
            x,
            first,
            out,
        });
    }
}

struct TimesVector<'a, 'b, const BITS: usize, const GROUP: usize> {
    w: &'a Quantised<'b>,
    x: &'a PreparedVector,
    first: usize,
    out: &'a mut [f32],
}

impl<const BITS: usize, const GROUP: usize> WithSimd for TimesVector<'_, '_, BITS, GROUP> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { w, x, first, out } = self;
        for (i, out) in out.chunks_mut(TOGETHER).enumerate() {
            let row = first + i * TOGETHER;
            if let Ok(out) = <&mut [f32; TOGETHER]>::try_from(&mut *out) {
                let rows = std::array::from_fn(|r| w.row(row + r));
                *out = rows_times_vector::<S, BITS, GROUP, TOGETHER>(rows, x);
            } else {
                for (i, out) in out.iter_mut().enumerate() {
                    [*out] = rows_times_vector::<S, BITS, GROUP, 1>([w.row(row + i)], x);
                }
            }
        }
    }
}

/// Rows worked on together: they share the loads of `x`, and their sums hide
/// the latency of the multiply-add.
const TOGETHER: usize = 4;

#[inline(always)]
fn rows_times_vector<S: Simd, const BITS: usize, const GROUP: usize, const ROWS: usize>(
    rows: [Row; ROWS],
    x: &PreparedVector,
) -> [f32; ROWS] {
    let cols = Packed::<BITS, GROUP>::BLOCK_COLS;
    let mut totals = [[0.0; LANES]; ROWS];
    let whole = Packed::<BITS, GROUP>::whole_blocks(rows[0]);
    for i in 0..whole {
        let x = &x.values[i * cols..][..cols];
        for r in 0..ROWS {
            add_block::<S, BITS, GROUP>(
                Packed::<BITS, GROUP>::block(rows[r], i),
                x,
                &mut totals[r],
            );
        }
    }
    for r in 0..ROWS {
        let (mut words, mut groups) = ([0; 8 * LANES], [[0.0; LANES]; 2]);
        if let Some(block) = Packed::<BITS, GROUP>::last_block(rows[r], &mut words, &mut groups) {
            add_block::<S, BITS, GROUP>(block, &x.values[whole * cols..], &mut totals[r]);
        }
    }
    std::array::from_fn(|r| horizontal_sum(totals[r]) + dot::<S>(rows[r].biases, &x.group_sums))
}

/// `totals += scale · Σ q x`, lane by lane.
#[inline(always)]
fn add_block<S: Simd, const BITS: usize, const GROUP: usize>(
    block: Row,
    x: &[f32],
    totals: &mut [f32; LANES],
) {
    let mut sums = [0.0; LANES];
    for (j, x) in x.as_chunks::<LANES>().0.iter().enumerate() {
        let q = Packed::<BITS, GROUP>::integers(block.words, j);
        for lane in 0..LANES {
            sums[lane] = fma::<S>(q[lane], x[lane], sums[lane]);
        }
    }
    let scales = Packed::<BITS, GROUP>::spread(block.scales);
    for lane in 0..LANES {
        totals[lane] = fma::<S>(sums[lane], scales[lane], totals[lane]);
    }
}

struct Expand<'a, const BITS: usize, const GROUP: usize> {
    row: Row<'a>,
    out: &'a mut [f32],
}

impl<const BITS: usize, const GROUP: usize> WithSimd for Expand<'_, BITS, GROUP> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut blocks = self.out.chunks_exact_mut(Packed::<BITS, GROUP>::BLOCK_COLS);
        for (i, out) in (0..Packed::<BITS, GROUP>::whole_blocks(self.row)).zip(&mut blocks) {
            expand_block::<S, BITS, GROUP>(Packed::<BITS, GROUP>::block(self.row, i), out);
        }
        let (mut words, mut groups) = ([0; 8 * LANES], [[0.0; LANES]; 2]);
        let last = Packed::<BITS, GROUP>::last_block(self.row, &mut words, &mut groups);
        if let (Some(block), Some(out)) = (last, blocks.next()) {
            expand_block::<S, BITS, GROUP>(block, out);
        }
    }
}

#[inline(always)]
fn expand_block<S: Simd, const BITS: usize, const GROUP: usize>(block: Row, out: &mut [f32]) {
    let scales = Packed::<BITS, GROUP>::spread(block.scales);
    let biases = Packed::<BITS, GROUP>::spread(block.biases);
    for (j, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let q = Packed::<BITS, GROUP>::integers(block.words, j);
        for lane in 0..LANES {
            out[lane] = fma::<S>(q[lane], scales[lane], biases[lane]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bit by bit, as the packing is defined.
    fn dequantise(w: &Quantised) -> Vec<f32> {
        (0..w.rows * w.cols)
            .map(|i| {
                let (row, col) = (i / w.cols, i % w.cols);
                let q: u32 = (0..w.bits)
                    .map(|b| {
                        let bit = col * w.bits + b;
                        ((w.packed[row * w.words_per_row() + bit / 32] >> (bit % 32)) & 1) << b
                    })
                    .sum();
                let group = row * (w.cols / w.group) + col / w.group;
                q as f32 * w.scales[group] + w.biases[group]
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn agrees_with_the_definition(
            bits in prop::sample::select(vec![2usize, 3, 4, 5, 6, 8]),
            group in prop::sample::select(vec![32usize, 64, 128]),
            groups in 1usize..6,
            rows in 1usize..40,
            tokens in 1usize..20,
            seed in any::<u32>(),
        ) {
            let cols = group * groups;
            let mut state = seed | 1;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state
            };
            let packed: Vec<u32> = (0..rows * cols * bits / 32).map(|_| next()).collect();
            let mut small = |count: usize| -> Vec<f32> {
                (0..count).map(|_| (next() >> 8) as f32 / 8_388_608.0 - 1.0).collect()
            };
            let (scales, biases) = (small(rows * groups), small(rows * groups));
            let x = small(tokens * cols);
            let w = Quantised { packed: &packed, scales: &scales, biases: &biases, rows, cols, group, bits };
            let dense = dequantise(&w);
            let mut out = vec![f32::NAN; tokens * rows];
            quantized_matmul(&x, w, &mut out);
            let magnitude = (1 << bits) as f32 * (cols as f32).sqrt();
            for t in 0..tokens {
                for n in 0..rows {
                    let exact: f64 = (0..cols)
                        .map(|k| f64::from(x[t * cols + k]) * f64::from(dense[n * cols + k]))
                        .sum();
                    let got = out[t * rows + n];
                    prop_assert!((f64::from(got) - exact).abs() <= 1e-6 * f64::from(magnitude) + 1e-5, "{got} is not {exact}");
                }
            }
        }
    }
}
