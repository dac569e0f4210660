//! Rows of numbers in few bits each: keys and values that have to be small.
//!
//! A row becomes a record of 32-bit words: the codes, from the lowest bit up,
//! then what turns codes back into numbers.
//!
//! | packing | after the codes |
//! |---|---|
//! | half | nothing: the codes are f16 |
//! | affine | a word a group: scale (low half) and bias as f16; x = scale · code + bias |
//! | sphere | the row's length, f32; x = length / √width · codebook\[code\] |
//! | sphere with sketch | a bit a number (its sign word by word), length, length of what the codes miss |
//!
//! The sphere packing is TurboQuant (arXiv 2504.19874): rows that were rotated
//! at random look like points of a sphere, whose coordinates have one known
//! distribution, so that one codebook serves them all. Rotating is the
//! caller's part ([`rotation`]).
//!
//! Invariant: a record depends on its own row alone.

mod codebook;
mod normal;
mod rotation;
mod sketch;

use half::f16;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

pub use codebook::codebook;
pub use rotation::rotation;
pub use sketch::Sketch;

use crate::{dense::widen, simd::fma};

/// Rows packed or unpacked by one thread at a time.
const ROWS_AT_ONCE: usize = 64;

/// How rows of `width` numbers are packed.
#[derive(Debug, Clone, PartialEq)]
pub struct Packing {
    width: usize,
    bits: usize,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Half,
    Affine {
        group: usize,
    },
    Sphere {
        codebook: Vec<f32>,
        sketch: Option<Sketch>,
    },
}

impl Packing {
    /// Numbers as f16; beyond its range they become its greatest.
    pub fn half(width: usize) -> Self {
        Self {
            width,
            bits: 16,
            kind: Kind::Half,
        }
    }

    /// Codes of `bits` bits (1 to 6, or 8) between the least and the greatest number
    /// of each group of 64, or of as many as divide the width.
    pub fn affine(width: usize, bits: usize) -> Self {
        let group = [64, 32, 16].into_iter().find(|g| width.is_multiple_of(*g));
        let group = group.unwrap_or(width).max(1);
        Self {
            width,
            bits,
            kind: Kind::Affine { group },
        }
    }

    /// Codes of `bits` bits (1 to 4) on the sphere; with `sketch`, one bit of
    /// each goes to the signs of what the codes miss, which makes products with
    /// the unpacked rows unbiased.
    pub fn sphere(width: usize, bits: usize, sketch: Option<Sketch>) -> Self {
        let bits = bits - usize::from(sketch.is_some());
        Self {
            width,
            bits,
            kind: Kind::Sphere {
                codebook: codebook(width, bits).iter().map(|c| *c as f32).collect(),
                sketch,
            },
        }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether the codes are the numbers themselves, as f16.
    pub fn is_half(&self) -> bool {
        self.kind == Kind::Half
    }

    /// Bits of a code.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Numbers that share a scale and a bias, in affine packings.
    pub fn group(&self) -> Option<usize> {
        match self.kind {
            Kind::Affine { group } => Some(group),
            Kind::Half | Kind::Sphere { .. } => None,
        }
    }

    /// What codes stand for, on a sphere of radius √width.
    pub fn codebook(&self) -> Option<&[f32]> {
        match &self.kind {
            Kind::Half | Kind::Affine { .. } => None,
            Kind::Sphere { codebook, .. } => Some(codebook),
        }
    }

    pub fn sketch(&self) -> Option<&Sketch> {
        match &self.kind {
            Kind::Sphere { sketch, .. } => sketch.as_ref(),
            Kind::Half | Kind::Affine { .. } => None,
        }
    }

    /// Words of the codes.
    pub fn code_words(&self) -> usize {
        (self.width * self.bits).div_ceil(32)
    }

    /// Words of the signs of a sketch.
    pub fn sign_words(&self) -> usize {
        self.sketch().map_or(0, |_| self.width.div_ceil(32))
    }

    /// Words of a row's record.
    pub fn words(&self) -> usize {
        let numbers = match &self.kind {
            Kind::Half => 0,
            Kind::Affine { group } => self.width / group,
            Kind::Sphere { sketch, .. } => 1 + usize::from(sketch.is_some()),
        };
        self.code_words() + self.sign_words() + numbers
    }

    /// Packs `rows`, one after the other.
    ///
    /// # Panics
    /// If the lengths are not those of equally many rows and records.
    pub fn pack(&self, rows: &[f32], records: &mut [u32]) {
        self.check(rows.len(), records.len());
        let numbers = rows.par_chunks(ROWS_AT_ONCE * self.width);
        let records = records.par_chunks_mut(ROWS_AT_ONCE * self.words());
        numbers.zip(records).for_each(|(rows, records)| {
            let rows = rows.chunks_exact(self.width);
            for (row, record) in rows.zip(records.chunks_exact_mut(self.words())) {
                self.pack_row(row, record);
            }
        });
    }

    /// Unpacks `records`, one after the other.
    ///
    /// # Panics
    /// As for [`Self::pack`].
    pub fn unpack(&self, records: &[u32], rows: &mut [f32]) {
        self.check(rows.len(), records.len());
        let records = records.par_chunks(ROWS_AT_ONCE * self.words());
        let rows = rows.par_chunks_mut(ROWS_AT_ONCE * self.width);
        records
            .zip(rows)
            .for_each(|(records, rows)| self.unpack_here(records, rows));
    }

    /// [`Self::unpack`] on the caller's thread.
    pub(crate) fn unpack_here(&self, records: &[u32], rows: &mut [f32]) {
        let unpacked = Unpack {
            packing: self,
            records,
            rows,
        };
        Arch::new().dispatch(unpacked);
    }

    fn check(&self, numbers: usize, words: usize) {
        assert_eq!(
            numbers * self.words(),
            words * self.width,
            "rows of {} numbers do not fit records of {} words",
            self.width,
            self.words()
        );
    }

    fn pack_row(&self, row: &[f32], record: &mut [u32]) {
        record.fill(0);
        let (codes, rest) = record.split_at_mut(self.code_words());
        match &self.kind {
            Kind::Half => {
                for (at, x) in row.iter().enumerate() {
                    self.put(codes, at, u32::from(finite(*x).to_bits()));
                }
            }
            Kind::Affine { group } => {
                let groups = row.chunks_exact(*group).zip(rest).enumerate();
                for (at, (numbers, word)) in groups {
                    *word = self.pack_group(numbers, at * group, codes);
                }
            }
            Kind::Sphere { codebook, sketch } => {
                let length = norm(row);
                let (scale, inverse) = self.scales(length);
                let mut missed = vec![0.0; row.len()];
                for (at, x) in row.iter().enumerate() {
                    let y = x * inverse;
                    // Codebooks ascend: as many middles as lie below.
                    let below = |pair: &&[f32]| y > 0.5 * (pair[0] + pair[1]);
                    let code = codebook.windows(2).filter(below).count();
                    missed[at] = x - scale * codebook[code];
                    self.put(codes, at, code as u32);
                }
                let (signs, numbers) = rest.split_at_mut(self.sign_words());
                numbers[0] = length.to_bits();
                if let Some(sketch) = sketch {
                    sketch.signs(&missed, signs);
                    numbers[1] = norm(&missed).to_bits();
                }
            }
        }
    }

    /// Packs a group of an affine row; its scale and bias as a word.
    fn pack_group(&self, numbers: &[f32], first: usize, codes: &mut [u32]) -> u32 {
        let most = ((1u32 << self.bits) - 1) as f32;
        let least = numbers.iter().copied().fold(f32::INFINITY, f32::min);
        let greatest = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (bias, scale) = (finite(least), finite((greatest - least) / most));
        let inverse = match scale.to_f32() {
            0.0 => 0.0,
            scale => scale.recip(),
        };
        for (at, x) in numbers.iter().enumerate() {
            let code = ((x - bias.to_f32()) * inverse).round().clamp(0.0, most);
            self.put(codes, first + at, code as u32);
        }
        u32::from(scale.to_bits()) | u32::from(bias.to_bits()) << 16
    }

    /// A row's scale, and what takes it to the codebook's sphere.
    fn scales(&self, length: f32) -> (f32, f32) {
        let radius = (self.width as f32).sqrt();
        match length {
            0.0 => (0.0, 0.0),
            length => (length / radius, radius / length),
        }
    }

    fn put(&self, codes: &mut [u32], at: usize, code: u32) {
        let (word, bit) = (at * self.bits / 32, at * self.bits % 32);
        codes[word] |= code << bit;
        if bit + self.bits > 32 {
            codes[word + 1] |= code >> (32 - bit);
        }
    }
}

/// The f16 next to `x`.
fn finite(x: f32) -> f16 {
    f16::from_f32(x.clamp(-65504.0, 65504.0))
}

fn norm(row: &[f32]) -> f32 {
    row.iter().map(|x| x * x).sum::<f32>().sqrt()
}

struct Unpack<'a> {
    packing: &'a Packing,
    records: &'a [u32],
    rows: &'a mut [f32],
}

impl WithSimd for Unpack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        match self.packing.bits {
            1 => self.with_bits::<S, 1>(),
            2 => self.with_bits::<S, 2>(),
            3 => self.with_bits::<S, 3>(),
            4 => self.with_bits::<S, 4>(),
            5 => self.with_bits::<S, 5>(),
            6 => self.with_bits::<S, 6>(),
            8 => self.with_bits::<S, 8>(),
            16 => self.halves(),
            bits => panic!("codes of {bits} bits are unknown"),
        }
    }
}

impl Unpack<'_> {
    #[inline(always)]
    fn halves(self) {
        let records = self.records.chunks_exact(self.packing.words());
        for (record, row) in records.zip(self.rows.chunks_exact_mut(self.packing.width)) {
            let (pairs, last) = row.as_chunks_mut::<2>();
            for (pair, word) in pairs.iter_mut().zip(record) {
                *pair = [widen(*word as u16), widen((word >> 16) as u16)];
            }
            for (x, word) in last.iter_mut().zip(record.last()) {
                *x = widen(*word as u16);
            }
        }
    }

    #[inline(always)]
    fn with_bits<S: Simd, const BITS: usize>(self) {
        let Self {
            packing,
            records,
            rows,
        } = self;
        let records = records.chunks_exact(packing.words());
        for (record, row) in records.zip(rows.chunks_exact_mut(packing.width)) {
            let (codes, rest) = record.split_at(packing.code_words());
            match &packing.kind {
                Kind::Half => {}
                Kind::Affine { group } => {
                    unpack_codes::<BITS>(codes, row, |code| code as f32);
                    for (numbers, word) in row.chunks_exact_mut(*group).zip(rest) {
                        let half = |bits: u32| f16::from_bits(bits as u16).to_f32();
                        let (scale, bias) = (half(*word), half(word >> 16));
                        for x in numbers {
                            *x = fma::<S>(*x, scale, bias);
                        }
                    }
                }
                Kind::Sphere { codebook, sketch } => {
                    let (signs, numbers) = rest.split_at(packing.sign_words());
                    let (scale, _) = packing.scales(f32::from_bits(numbers[0]));
                    // As long as any code is large: no bounds to check.
                    let mut table = [0.0; 16];
                    for (entry, value) in table.iter_mut().zip(codebook) {
                        *entry = scale * value;
                    }
                    unpack_codes::<BITS>(codes, row, |code| table[code as usize & 15]);
                    if let Some(sketch) = sketch {
                        sketch.add(signs, f32::from_bits(numbers[1]), row);
                    }
                }
            }
        }
    }
}

/// The numbers that a row's codes stand for.
#[inline(always)]
fn unpack_codes<const BITS: usize>(codes: &[u32], row: &mut [f32], number: impl Fn(u32) -> f32) {
    match BITS {
        1 => unpack_words::<BITS, 32>(codes, row, number),
        2 => unpack_words::<BITS, 16>(codes, row, number),
        4 => unpack_words::<BITS, 8>(codes, row, number),
        8 => unpack_words::<BITS, 4>(codes, row, number),
        _ => unpack_stream::<BITS>(codes, row, number),
    }
}

/// `EACH` codes a word.
#[inline(always)]
fn unpack_words<const BITS: usize, const EACH: usize>(
    codes: &[u32],
    row: &mut [f32],
    number: impl Fn(u32) -> f32,
) {
    let mask = ((1u64 << BITS) - 1) as u32;
    let code = |word: u32, at: usize| number(word >> (at * BITS) & mask);
    let (blocks, rest) = row.as_chunks_mut::<EACH>();
    for (block, word) in blocks.iter_mut().zip(codes) {
        for (i, x) in block.iter_mut().enumerate() {
            *x = code(*word, i);
        }
    }
    for (i, x) in rest.iter_mut().enumerate() {
        *x = code(codes[blocks.len()], i);
    }
}

/// Eight codes take `BITS` bytes: with at most 64 bits at hand, none is lost
/// for any `BITS` but 7.
#[inline(always)]
fn unpack_stream<const BITS: usize>(codes: &[u32], row: &mut [f32], number: impl Fn(u32) -> f32) {
    let mask = ((1u64 << BITS) - 1) as u32;
    let (mut bits, mut held) = (0u64, 0);
    let mut words = codes.iter();
    let mut next = |count: usize| {
        while held < count * BITS {
            bits |= u64::from(words.next().copied().unwrap_or(0)) << held;
            held += 32;
        }
        let taken = bits;
        bits >>= count * BITS;
        held -= count * BITS;
        taken
    };
    let (blocks, rest) = row.as_chunks_mut::<8>();
    for block in blocks {
        let taken = next(8);
        for (i, x) in block.iter_mut().enumerate() {
            *x = number((taken >> (i * BITS)) as u32 & mask);
        }
    }
    let taken = next(rest.len());
    for (i, x) in rest.iter_mut().enumerate() {
        *x = number((taken >> (i * BITS)) as u32 & mask);
    }
}

#[cfg(test)]
mod tests;
