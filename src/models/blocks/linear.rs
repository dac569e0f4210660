//! Linear layers, alone and several over the same input.

use mlx_rs::{Array, error::Exception, ops};

use super::Matrix;

/// `x Wᵀ + b`.
#[derive(Debug, Clone)]
pub struct Linear {
    pub weight: Matrix,
    /// `[rows]`
    pub bias: Option<Array>,
}

impl Linear {
    /// From `[T, columns]` to `[T, rows]`.
    pub fn forward(&self, x: &Array) -> Result<Array, Exception> {
        let y = self.weight.project(x)?;
        match &self.bias {
            Some(bias) => y.add(bias),
            None => Ok(y),
        }
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = self.weight.arrays();
        arrays.extend(&self.bias);
        arrays
    }
}

/// Several linear layers of one input whose results stand side by side: one
/// multiplication where the weights are stored alike, which means fewer
/// launches and better use of the machine than one each.
#[derive(Debug, Clone)]
pub struct Projections(Vec<Linear>);

impl Projections {
    /// Stacks the parts if they are stored alike. Either all have a bias or
    /// none.
    ///
    /// # Errors
    /// When MLX refuses to concatenate.
    pub fn new(parts: Vec<Linear>) -> Result<Self, Exception> {
        let weights: Vec<&Matrix> = parts.iter().map(|part| &part.weight).collect();
        let Some(weight) = Matrix::stack(&weights)? else {
            return Ok(Self(parts));
        };
        let biases: Vec<&Array> = parts.iter().filter_map(|part| part.bias.as_ref()).collect();
        let bias = match biases.len() {
            0 => None,
            _ => Some(ops::concatenate(&biases, 0)?),
        };
        Ok(Self(vec![Linear { weight, bias }]))
    }

    /// From `[T, columns]` to `[T, sum of rows]`.
    pub fn forward(&self, x: &Array) -> Result<Array, Exception> {
        if let [only] = &self.0[..] {
            return only.forward(x);
        }
        let parts: Result<Vec<Array>, _> = self.0.iter().map(|part| part.forward(x)).collect();
        ops::concatenate(&parts?, 1)
    }

    pub fn arrays(&self) -> Vec<&Array> {
        self.0.iter().flat_map(Linear::arrays).collect()
    }
}
