//! Which number type activations, keys and values have, and what is done to
//! weights to meet it.
//!
//! On the CPU everything that flows is f32, and matrices stay in the type of
//! their file: the kernels widen them as they read. On GPUs everything has the
//! model's own type.

use mlx_rs::{Array, Dtype, error::Exception};

use crate::mlx::{Backend, backend};

/// Whether models are computed on a GPU.
pub fn on_gpu() -> bool {
    backend() != Backend::Cpu
}

/// The number types of a model in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precision {
    pub activations: Dtype,
    /// `None`: matrices keep the type of their file.
    matrices: Option<Dtype>,
}

impl Precision {
    /// For a model whose files hold `stored` (F32, F16 or BF16).
    pub fn new(stored: Dtype) -> Self {
        if on_gpu() {
            return Self {
                activations: stored,
                matrices: Some(stored),
            };
        }
        Self {
            activations: Dtype::Float32,
            matrices: None,
        }
    }

    /// Everything stays as it is stored.
    pub fn as_is(stored: Dtype) -> Self {
        Self {
            activations: stored,
            matrices: None,
        }
    }

    /// A dense matrix, as the kernels want it.
    pub fn matrix(&self, array: &Array) -> Result<Array, Exception> {
        match self.matrices {
            Some(dtype) => array.as_dtype(dtype),
            None => Ok(array.clone()),
        }
    }

    /// Norm weights, biases, quantisation scales: in the activations' type.
    pub fn vector(&self, array: &Array) -> Result<Array, Exception> {
        array.as_dtype(self.activations)
    }
}
