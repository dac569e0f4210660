//! A weight `[rows, columns]`, dense or affine-quantised along its rows, or a
//! stack `[experts, rows, columns]` of such.

use mlx_rs::{Array, Dtype, error::Exception, ops};

use crate::{
    mlx::{self, ExpertRows},
    models::weights::Affine,
};

#[derive(Debug, Clone)]
pub enum Matrix {
    /// `[rows, columns]` in f32, f16 or bf16.
    Dense(Array),
    /// `packed` u32 `[rows, columns · bits / 32]`; `scales` and `biases`
    /// `[rows, columns / group]`.
    Quantised {
        packed: Array,
        scales: Array,
        biases: Array,
        affine: Affine,
    },
}

impl Matrix {
    /// `x Wᵀ`: from `[T, columns]` to `[T, rows]`.
    pub fn project(&self, x: &Array) -> Result<Array, Exception> {
        match self {
            Self::Dense(weight) => mlx::matmul_t(x, weight),
            Self::Quantised {
                packed,
                scales,
                biases,
                affine,
            } => {
                let (group, bits) = (affine.group as i32, affine.bits as i32);
                mlx::quantized_matmul(x, packed, scales, biases, group, bits)
            }
        }
    }

    /// `x W[e]ᵀ`, where `rows` names the expert e of each row: from
    /// `[R / share, columns]` to `[R, rows]`.
    pub fn project_by_expert(&self, x: &Array, rows: ExpertRows) -> Result<Array, Exception> {
        match self {
            Self::Dense(weight) => mlx::expert_matmul_t(x, weight, rows),
            Self::Quantised {
                packed,
                scales,
                biases,
                affine,
            } => {
                let (group, bits) = (affine.group as i32, affine.bits as i32);
                mlx::expert_quantized_matmul(x, [packed, scales, biases], group, bits, rows)
            }
        }
    }

    /// The same numbers, not quantised, in `dtype`.
    pub fn dense(&self, dtype: Dtype) -> Result<Array, Exception> {
        match self {
            Self::Dense(weight) => weight.as_dtype(dtype),
            Self::Quantised {
                packed,
                scales,
                biases,
                affine,
            } => {
                let (group, bits) = (affine.group as i32, affine.bits as i32);
                ops::dequantize(packed, scales, biases, group, bits)?.as_dtype(dtype)
            }
        }
    }

    /// The rows that `ids` name, in their order, stored as they are.
    pub fn select(&self, ids: &[i32]) -> Result<Self, Exception> {
        let ids = Array::from_slice(ids, &[ids.len() as i32]);
        self.each(|array| array.take_axis(&ids, -2))
    }

    /// A matrix of what `change` makes of its parts, all of which have the same
    /// leading dimensions.
    fn each(&self, change: impl Fn(&Array) -> Result<Array, Exception>) -> Result<Self, Exception> {
        Ok(match self {
            Self::Dense(weight) => Self::Dense(change(weight)?),
            Self::Quantised {
                packed,
                scales,
                biases,
                affine,
            } => Self::Quantised {
                packed: change(packed)?,
                scales: change(scales)?,
                biases: change(biases)?,
                affine: *affine,
            },
        })
    }

    /// The rows that `ids [T]` name, as `[T, columns]` in `dtype`. Every id must
    /// be below the number of rows.
    pub fn rows(&self, ids: &Array, dtype: Dtype) -> Result<Array, Exception> {
        match self {
            Self::Dense(weight) => weight.take_axis(ids, 0)?.as_dtype(dtype),
            Self::Quantised {
                packed,
                scales,
                biases,
                affine,
            } => ops::dequantize(
                packed.take_axis(ids, 0)?,
                scales.take_axis(ids, 0)?,
                &biases.take_axis(ids, 0)?,
                affine.group as i32,
                affine.bits as i32,
            )?
            .as_dtype(dtype),
        }
    }

    /// One matrix of all rows of `parts`, when they are stored alike; groups
    /// run along rows, so quantised rows stack like dense ones.
    pub fn stack(parts: &[&Self]) -> Result<Option<Self>, Exception> {
        Self::join(parts, -2)
    }

    /// A stack of one matrix.
    pub fn expand(&self) -> Result<Self, Exception> {
        self.each(|array| array.expand_dims(0))
    }

    /// All `parts` one after another along an axis, when they are stored alike.
    pub fn join(parts: &[&Self], axis: i32) -> Result<Option<Self>, Exception> {
        let Some(first) = parts.first() else {
            return Ok(None);
        };
        if !parts.iter().all(|part| part.is_stored_like(first)) {
            return Ok(None);
        }
        let join = |index: usize| {
            let arrays: Vec<&Array> = parts.iter().map(|part| part.arrays()[index]).collect();
            ops::concatenate(&arrays, axis)
        };
        Ok(Some(match first {
            Self::Dense(_) => Self::Dense(join(0)?),
            Self::Quantised { affine, .. } => Self::Quantised {
                packed: join(0)?,
                scales: join(1)?,
                biases: join(2)?,
                affine: *affine,
            },
        }))
    }

    fn is_stored_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dense(a), Self::Dense(b)) => a.dtype() == b.dtype(),
            (Self::Quantised { affine: a, .. }, Self::Quantised { affine: b, .. }) => a == b,
            _ => false,
        }
    }

    /// The weight itself, or packed weights, scales and biases.
    pub fn arrays(&self) -> Vec<&Array> {
        match self {
            Self::Dense(weight) => vec![weight],
            Self::Quantised {
                packed,
                scales,
                biases,
                ..
            } => vec![packed, scales, biases],
        }
    }
}
