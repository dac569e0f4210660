//! What layers are given besides hidden states: for each token and layer, the
//! mean of an embedding and of a projection of the model's embedding, times √2.

use std::f32::consts::FRAC_1_SQRT_2;

use mlx_rs::{Array, error::Exception};

use super::{Linear, Matrix, Norm};
use crate::models::spec::Activation;

/// Of all layers.
#[derive(Debug, Clone)]
pub struct LayerInputs {
    /// `[vocab, layers · width]`
    pub table: Matrix,
    pub projection: Linear,
    /// Of the projection's part of each layer.
    pub norm: Norm,
    pub width: i32,
}

impl LayerInputs {
    /// `[T, layers, width]` for tokens `[T]` and their embeddings `x [T, hidden]`;
    /// without tokens the projection alone.
    ///
    /// # Errors
    /// When MLX refuses the shapes.
    pub fn forward(&self, tokens: Option<&Array>, x: &Array) -> Result<Array, Exception> {
        let (dtype, width) = (x.dtype(), self.width);
        let by_layer = |x: &Array| x.reshape(&[x.dim(0), x.dim(1) / width, width]);
        let times = |x: &Array, factor: f32| x.multiply(Array::from_f32(factor).as_dtype(dtype)?);
        let projected = times(
            &self.projection.forward(x)?,
            (x.dim(1) as f32).sqrt().recip(),
        )?;
        let projected = self.norm.forward(&by_layer(&projected)?)?;
        let Some(tokens) = tokens else {
            return Ok(projected);
        };
        let own = times(&self.table.rows(tokens, dtype)?, (width as f32).sqrt())?;
        times(&projected.add(by_layer(&own)?)?, FRAC_1_SQRT_2)
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = self.table.arrays();
        arrays.extend(self.projection.arrays());
        arrays.extend(self.norm.arrays());
        arrays
    }
}

/// What one layer adds of its input: `projection(gelu(gate x) · input)`.
#[derive(Debug, Clone)]
pub struct LayerInput {
    pub gate: Linear,
    pub projection: Linear,
}

impl LayerInput {
    /// From `x [T, hidden]` and the layer's input `[T, width]` to `[T, hidden]`.
    ///
    /// # Errors
    /// When MLX refuses the shapes.
    pub fn forward(&self, x: &Array, input: &Array) -> Result<Array, Exception> {
        let gate = Activation::Gelu.of(&self.gate.forward(x)?)?;
        self.projection.forward(&gate.multiply(input)?)
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = self.gate.arrays();
        arrays.extend(self.projection.arrays());
        arrays
    }
}
