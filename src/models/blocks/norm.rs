//! RMS norm: `x / sqrt(mean(x²) + eps) · w` over the last axis.

use mlx_rs::{Array, error::Exception};

use crate::mlx;

#[derive(Debug, Clone)]
pub struct Norm {
    pub weight: Array,
    pub eps: f32,
}

impl Norm {
    pub fn forward(&self, x: &Array) -> Result<Array, Exception> {
        mlx::rms_norm(x, Some(&self.weight), self.eps)
    }

    /// `x + branch`, and its norm.
    pub fn after(&self, x: &Array, branch: &Array) -> Result<(Array, Array), Exception> {
        mlx::add_norm(x, branch, &self.weight, self.eps)
    }
}
