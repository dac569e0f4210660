//! Linear layers, alone and several over the same input.

use mlx_rs::{Array, error::Exception, ops};

use super::Matrix;
use crate::mlx::ExpertRows;

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

    /// The layer that gives only these numbers of the result, in this order.
    ///
    /// # Errors
    /// When MLX refuses to gather.
    pub fn select(&self, rows: &[i32]) -> Result<Self, Exception> {
        let ids = Array::from_slice(rows, &[rows.len() as i32]);
        let bias = self.bias.as_ref().map(|bias| bias.take_axis(ids, 0));
        Ok(Self {
            weight: self.weight.select(rows)?,
            bias: bias.transpose()?,
        })
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = self.weight.arrays();
        arrays.extend(&self.bias);
        arrays
    }
}

/// Two linear layers one after the other, by way of few numbers.
#[derive(Debug, Clone)]
pub struct Through {
    pub down: Linear,
    pub up: Linear,
}

impl Through {
    /// From `[T, columns]` to `[T, rows]`.
    pub fn forward(&self, x: &Array) -> Result<Array, Exception> {
        self.up.forward(&self.down.forward(x)?)
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = self.down.arrays();
        arrays.extend(self.up.arrays());
        arrays
    }
}

/// `x Wᵀ + b` with one of many weights for each row.
#[derive(Debug, Clone)]
pub struct ExpertLinear {
    /// `[experts, rows, columns]`
    pub weight: Matrix,
    /// `[experts, rows]`
    pub bias: Option<Array>,
}

impl ExpertLinear {
    /// From `[R / share, columns]` to `[R, rows]`.
    pub fn forward(&self, x: &Array, rows: ExpertRows) -> Result<Array, Exception> {
        let y = self.weight.project_by_expert(x, rows)?;
        match &self.bias {
            Some(bias) => y.add(bias.take_axis(rows.experts, 0)?),
            None => Ok(y),
        }
    }

    /// As [`Linear::select`], for every expert.
    ///
    /// # Errors
    /// When MLX refuses to gather.
    pub fn select(&self, rows: &[i32]) -> Result<Self, Exception> {
        let ids = Array::from_slice(rows, &[rows.len() as i32]);
        let bias = self.bias.as_ref().map(|bias| bias.take_axis(ids, -1));
        Ok(Self {
            weight: self.weight.select(rows)?,
            bias: bias.transpose()?,
        })
    }

    /// Those that are stored alike in one. Either all have a bias or none.
    ///
    /// # Errors
    /// When MLX refuses to concatenate.
    pub fn stack(parts: Vec<Self>) -> Result<Vec<Self>, Exception> {
        let weights: Vec<&Matrix> = parts.iter().map(|part| &part.weight).collect();
        let Some(weight) = Matrix::stack(&weights)? else {
            return Ok(parts);
        };
        let biases: Vec<&Array> = parts.iter().filter_map(|part| part.bias.as_ref()).collect();
        let bias = match biases.len() {
            0 => None,
            _ => Some(ops::concatenate(&biases, -1)?),
        };
        Ok(vec![Self { weight, bias }])
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
