//! The signs of what codes miss (QJL, arXiv 2406.03482): one bit a number that
//! makes products with the row right on average.

use super::normal::Normal;

/// Random directions, `[width, width]` of standard normal numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch {
    width: usize,
    directions: Vec<f32>,
}

impl Sketch {
    pub fn new(width: usize, seed: u64) -> Self {
        let mut random = Normal::new(seed);
        let directions = (0..width * width).map(|_| random.next() as f32).collect();
        Self { width, directions }
    }

    /// `[width, width]`, row-major: a direction a row.
    pub fn directions(&self) -> &[f32] {
        &self.directions
    }

    /// What a set bit adds along its direction, for a row of which the codes
    /// miss a vector of length 1: √(π/2) / width.
    pub fn weight(&self) -> f32 {
        std::f32::consts::FRAC_PI_2.sqrt() / self.width as f32
    }

    /// Bit i says whether `missed` goes along direction i.
    pub fn signs(&self, missed: &[f32], words: &mut [u32]) {
        for (i, direction) in self.directions.chunks_exact(self.width).enumerate() {
            let along: f32 = direction.iter().zip(missed).map(|(a, b)| a * b).sum();
            if along >= 0.0 {
                words[i / 32] |= 1 << (i % 32);
            }
        }
    }

    /// Adds to `row` what the signs say of a missed vector of that `length`.
    pub fn add(&self, words: &[u32], length: f32, row: &mut [f32]) {
        let weight = self.weight() * length;
        for (i, direction) in self.directions.chunks_exact(self.width).enumerate() {
            let set = words[i / 32] >> (i % 32) & 1 == 1;
            let weight = if set { weight } else { -weight };
            row.iter_mut()
                .zip(direction)
                .for_each(|(x, d)| *x += weight * d);
        }
    }
}
