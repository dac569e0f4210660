//! The gated MLP: `down(activation(gate x, up x))`, gate and up in one product;
//! and the plain one: `down(activation(up x))`.

use mlx_rs::{Array, error::Exception};

use super::{Linear, Projections, XieLu};
use crate::models::spec::Activation;

#[derive(Debug, Clone)]
pub struct GatedMlp {
    pub gate_up: Projections,
    pub down: Linear,
    pub activation: Activation,
}

impl GatedMlp {
    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array) -> Result<Array, Exception> {
        let inner = self.activation.forward(&self.gate_up.forward(x)?)?;
        self.down.forward(&inner)
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = self.gate_up.arrays();
        arrays.extend(self.down.arrays());
        arrays
    }
}

#[derive(Debug, Clone)]
pub struct PlainMlp {
    pub up: Linear,
    pub down: Linear,
    pub activation: Activation,
    /// The activation, where it is learned.
    pub learned: Option<XieLu>,
}

impl PlainMlp {
    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array) -> Result<Array, Exception> {
        let inner = self.up.forward(x)?;
        let inner = match &self.learned {
            Some(learned) => learned.forward(&inner)?,
            None => self.activation.of(&inner)?,
        };
        self.down.forward(&inner)
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = self.up.arrays();
        arrays.extend(self.down.arrays());
        arrays.extend(self.learned.iter().flat_map(XieLu::arrays));
        arrays
    }
}
