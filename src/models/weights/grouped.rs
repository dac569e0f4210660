//! AWQ and GPTQ weights as MLX's affine ones, number for number: both say
//! `weight = (q − zero) · scale`, which is `scale · q + bias` with
//! `bias = −zero · scale`.
//!
//! They pack along other axes: AWQ eight output columns a word, in the order
//! 0 2 4 6 1 3 5 7; GPTQ the rows of the transposed matrix. Their scales stand
//! `[groups, rows]`, MLX's `[rows, groups]`.

use super::Affine;

/// The column that each nibble of an AWQ word holds.
const AWQ_ORDER: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];

/// Who packed the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packer {
    Awq,
    /// `zero_offset`: what was taken off the zeros when they were stored.
    Gptq {
        zero_offset: u32,
    },
}

/// Words and scales of a matrix `[rows, columns]` as they are stored, all but
/// the scales u32.
pub struct Stored<'a> {
    pub packer: Packer,
    pub affine: Affine,
    pub rows: usize,
    pub columns: usize,
    pub words: &'a [u32],
    /// `None`: the middle of the range.
    pub zeros: Option<&'a [u32]>,
    /// `[groups, rows]`
    pub scales: &'a [f32],
}

/// The same in MLX's order: words `[rows, columns · bits / 32]`, scales and
/// biases `[rows, groups]`.
pub struct Repacked {
    pub words: Vec<u32>,
    pub scales: Vec<f32>,
    pub biases: Vec<f32>,
}

impl Stored<'_> {
    /// Shapes of words, zeros and scales.
    pub fn shapes(packer: Packer, affine: Affine, rows: usize, columns: usize) -> [[usize; 2]; 3] {
        let (each, groups) = (32 / affine.bits, columns / affine.group);
        let words = match packer {
            Packer::Awq => [columns, rows / each],
            Packer::Gptq { .. } => [columns / each, rows],
        };
        [words, [groups, rows / each], [groups, rows]]
    }

    /// The number at a row and a column of the matrix.
    fn code(&self, row: usize, column: usize) -> u32 {
        let each = 32 / self.affine.bits;
        let (word, place) = match self.packer {
            Packer::Awq => (column * (self.rows / each) + row / each, awq(row % each)),
            Packer::Gptq { .. } => (column / each * self.rows + row, column % each),
        };
        self.cut(self.words[word], place)
    }

    fn zero(&self, group: usize, row: usize) -> u32 {
        let each = 32 / self.affine.bits;
        let Some(zeros) = self.zeros else {
            return 1 << (self.affine.bits - 1);
        };
        let word = zeros[group * (self.rows / each) + row / each];
        match self.packer {
            Packer::Awq => self.cut(word, awq(row % each)),
            Packer::Gptq { zero_offset } => self.cut(word, row % each) + zero_offset,
        }
    }

    fn cut(&self, word: u32, place: usize) -> u32 {
        word >> (place * self.affine.bits) & ((1 << self.affine.bits) - 1)
    }

    pub fn repack(&self) -> Repacked {
        let (bits, groups) = (self.affine.bits, self.columns / self.affine.group);
        let each = 32 / bits;
        let mut repacked = Repacked {
            words: Vec::with_capacity(self.rows * self.columns / each),
            scales: Vec::with_capacity(self.rows * groups),
            biases: Vec::with_capacity(self.rows * groups),
        };
        for row in 0..self.rows {
            for first in (0..self.columns).step_by(each) {
                let word = (0..each).fold(0, |word, place| {
                    word | self.code(row, first + place) << (place * bits)
                });
                repacked.words.push(word);
            }
            for group in 0..groups {
                let scale = self.scales[group * self.rows + row];
                repacked.scales.push(scale);
                repacked
                    .biases
                    .push(-(self.zero(group, row) as f32) * scale);
            }
        }
        repacked
    }
}

/// The nibble that holds a column of an AWQ word.
fn awq(column: usize) -> usize {
    AWQ_ORDER
        .iter()
        .position(|own| *own == column)
        .unwrap_or(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: usize = 16;
    const COLUMNS: usize = 64;

    fn code(row: usize, column: usize) -> u32 {
        (row * 7 + column * 3 + row * column) as u32 % 16
    }

    fn zero(group: usize, row: usize) -> u32 {
        (row + 5 * group) as u32 % 15 + 1
    }

    fn check(packer: Packer, words: &[u32], zeros: &[u32]) {
        let affine = Affine { bits: 4, group: 32 };
        let scales: Vec<f32> = (0..2 * ROWS).map(|i| 0.5 + i as f32).collect();
        let stored = Stored {
            packer,
            affine,
            rows: ROWS,
            columns: COLUMNS,
            words,
            zeros: Some(zeros),
            scales: &scales,
        };
        let [shape, zero_shape, _] = Stored::shapes(packer, affine, ROWS, COLUMNS);
        assert_eq!(shape[0] * shape[1], words.len());
        assert_eq!(zero_shape[0] * zero_shape[1], zeros.len());
        let repacked = stored.repack();
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                let word = repacked.words[row * COLUMNS / 8 + column / 8];
                let q = (word >> (column % 8 * 4) & 15) as f32;
                let group = column / 32;
                let at = row * 2 + group;
                let got = repacked.scales[at] * q + repacked.biases[at];
                let scale = scales[group * ROWS + row];
                let wanted = (code(row, column) as f32 - zero(group, row) as f32) * scale;
                assert!((got - wanted).abs() < 1e-3, "{packer:?} {row} {column}");
            }
        }
    }

    #[test]
    fn both_kinds_come_out_right() {
        let order = |place: usize| AWQ_ORDER[place];
        let pack = |number: &dyn Fn(usize) -> u32| {
            (0..8).fold(0, |word, place| word | number(place) << (4 * place))
        };
        let words: Vec<u32> = (0..COLUMNS)
            .flat_map(|column| (0..ROWS / 8).map(move |word| (column, word)))
            .map(|(column, word)| pack(&|place| code(word * 8 + order(place), column)))
            .collect();
        let zeros: Vec<u32> = (0..2)
            .flat_map(|group| (0..ROWS / 8).map(move |word| (group, word)))
            .map(|(group, word)| pack(&|place| zero(group, word * 8 + order(place))))
            .collect();
        check(Packer::Awq, &words, &zeros);
        let words: Vec<u32> = (0..COLUMNS / 8)
            .flat_map(|word| (0..ROWS).map(move |row| (word, row)))
            .map(|(word, row)| pack(&|place| code(row, word * 8 + place)))
            .collect();
        let zeros: Vec<u32> = (0..2)
            .flat_map(|group| (0..ROWS / 8).map(move |word| (group, word)))
            .map(|(group, word)| pack(&|place| zero(group, word * 8 + place) - 1))
            .collect();
        check(Packer::Gptq { zero_offset: 1 }, &words, &zeros);
    }
}
