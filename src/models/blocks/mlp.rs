//! The gated MLP: `down(silu(gate x) · up x)`, gate and up in one product.

use mlx_rs::{Array, error::Exception};

use super::{Linear, Projections};
use crate::mlx;

#[derive(Debug, Clone)]
pub struct Mlp {
    pub gate_up: Projections,
    pub down: Linear,
}

impl Mlp {
    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array) -> Result<Array, Exception> {
        self.down.forward(&mlx::swiglu(&self.gate_up.forward(x)?)?)
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = self.gate_up.arrays();
        arrays.extend(self.down.arrays());
        arrays
    }
}
