//! Random weights in the shape of a config.json, for measuring speed without a
//! download.
//!
//! Made on the device: a few random rows, repeated. Time and memory are those
//! of a real model; what it says is noise.

use std::path::Path;

use mlx_rs::{Array, Dtype, ops, random, transforms::eval};

use super::{
    Config, Model, ModelError,
    blocks::{Matrix, Precision},
    build::build,
    families,
    weights::{Affine, ExpertNames, Packing, Quantisation, SmallFloat, Source},
};

/// Random rows of a matrix before they repeat; prime, so that no head or group
/// boundary falls in step with it.
const ROWS: usize = 61;
/// The group size of `bits`, as mlx-lm's default.
const GROUP: usize = 64;

/// Makes a model of random weights. `bits` quantises every matrix, in groups of
/// 64; without it config.json's own quantisation holds, or its `dtype`.
///
/// # Errors
/// When config.json does not describe a supported model, or its matrices
/// cannot be quantised so.
pub fn random(
    config: &Path,
    bits: Option<u32>,
    progress: &mut dyn FnMut(f32),
) -> Result<Model, ModelError> {
    let config = Config::read(config)?;
    let spec = families::describe(&config)?;
    let affine = match bits {
        Some(bits) => {
            let affine = Affine::new(bits as usize, GROUP);
            Some(affine.map_err(|problem| config.error("bits", format!("asks for {problem}")))?)
        }
        None => match Quantisation::read(&config)?.general {
            Some(Packing::Affine(affine)) => Some(affine),
            // As many bytes, nearly.
            Some(Packing::Mxfp4 | Packing::Small(SmallFloat::Nvfp4)) => {
                Some(Affine { bits: 4, group: 32 })
            }
            Some(Packing::Small(SmallFloat::Mxfp8)) => Some(Affine { bits: 8, group: 32 }),
            None => None,
        },
    };
    let (dtype, name) = stored_dtype(&config)?;
    let precision = Precision::new(dtype);
    let label = affine.map_or(name.to_owned(), |affine| affine.to_string());
    let mut source = RandomSource {
        config: &config,
        affine,
        dtype,
        precision,
        key: random::key(0)?,
        steps: spec.layers.len() + 2,
        done: 0,
        progress,
    };
    build(spec, precision, label, &mut source)
}

fn stored_dtype(config: &Config) -> Result<(Dtype, &'static str), ModelError> {
    let key = if config.get("dtype").is_some() {
        "dtype"
    } else {
        "torch_dtype"
    };
    match config.text_or_none(key)? {
        None | Some("bfloat16") => Ok((Dtype::Bfloat16, "bf16")),
        Some("float16") => Ok((Dtype::Float16, "f16")),
        Some("float32") => Ok((Dtype::Float32, "f32")),
        Some(other) => {
            let expected = "expected \"float32\", \"float16\" or \"bfloat16\"";
            Err(config.error(key, format!("is \"{other}\": {expected}")))
        }
    }
}

struct RandomSource<'a> {
    config: &'a Config,
    affine: Option<Affine>,
    dtype: Dtype,
    precision: Precision,
    key: Array,
    steps: usize,
    done: usize,
    progress: &'a mut dyn FnMut(f32),
}

impl RandomSource<'_> {
    fn next_key(&mut self) -> Result<Array, ModelError> {
        let (next, key) = random::split(&self.key, 2)?;
        self.key = next;
        Ok(key)
    }

    /// `block [n, columns]` repeated to `[rows, columns]`.
    fn repeat(block: &Array, rows: usize) -> Result<Array, ModelError> {
        let (n, columns) = (block.dim(0), block.dim(1));
        let (rows, times) = (rows as i32, (rows as i32 + n - 1) / n);
        let all = ops::broadcast_to(block, &[times, n, columns])?.reshape(&[times * n, columns])?;
        if times * n == rows {
            return Ok(all);
        }
        let mut parts = all.split_at_indices(&[rows], 0)?;
        Ok(parts.swap_remove(0))
    }

    fn quantised(
        &mut self,
        affine: Affine,
        rows: usize,
        columns: usize,
    ) -> Result<Matrix, ModelError> {
        let few = rows.min(ROWS) as i32;
        let words = affine.words(columns) as i32;
        let groups = (columns / affine.group) as i32;
        let key = self.next_key()?;
        let block = random::randint::<_, u32>(0, i32::MAX, &[few, words][..], &key)?;
        // The same spread as a dense weight: uniform within ± bound.
        let bound = 1.0 / (columns as f32).sqrt();
        let step = 2.0 * bound / ((1 << affine.bits) - 1) as f32;
        let constant = |value: f32| {
            let value = Array::from_f32(value).as_dtype(self.dtype)?;
            ops::broadcast_to(value, &[rows as i32, groups])?.contiguous()
        };
        Ok(Matrix::Quantised {
            packed: Self::repeat(&block, rows)?,
            scales: self.precision.vector(&constant(step)?)?,
            biases: self.precision.vector(&constant(-bound)?)?,
            affine,
        })
    }
}

impl Source for RandomSource<'_> {
    fn matrix(&mut self, module: &str, rows: usize, columns: usize) -> Result<Matrix, ModelError> {
        if let Some(affine) = self.affine {
            if !columns.is_multiple_of(affine.group) {
                let problem = format!(
                    "cannot be quantised: groups of {} do not divide its {columns} columns",
                    affine.group
                );
                return Err(self.config.error(module, problem));
            }
            return self.quantised(affine, rows, columns);
        }
        let few = rows.min(ROWS) as i32;
        let bound = 1.0 / (columns as f32).sqrt();
        let key = self.next_key()?;
        let block = random::uniform::<_, f32>(-bound, bound, &[few, columns as i32][..], &key)?;
        let weight = Self::repeat(&block.as_dtype(self.dtype)?, rows)?;
        Ok(Matrix::Dense(self.precision.matrix(&weight)?))
    }

    fn experts(&mut self, names: &ExpertNames, shape: [usize; 3]) -> Result<Matrix, ModelError> {
        let [experts, rows, columns] = shape;
        let one = self.matrix(&names.stacked, rows, columns)?;
        let stack = |array: &Array| {
            let shape = [experts as i32, array.dim(0), array.dim(1)];
            ops::broadcast_to(array, &shape)?.contiguous()
        };
        Ok(match one {
            Matrix::Quantised {
                packed,
                scales,
                biases,
                affine,
            } => Matrix::Quantised {
                packed: stack(&packed)?,
                scales: stack(&scales)?,
                biases: stack(&biases)?,
                affine,
            },
            Matrix::Dense(weight) => Matrix::Dense(stack(&weight)?),
        })
    }

    fn joined(&mut self, _: &str, _: [usize; 3], _: bool) -> Result<Option<Matrix>, ModelError> {
        Ok(None)
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Array, ModelError> {
        let dtype = self.precision.activations;
        Ok(self.exact(name, shape)?.as_dtype(dtype)?)
    }

    fn exact(&mut self, name: &str, shape: &[usize]) -> Result<Array, ModelError> {
        let shape: Vec<i32> = shape.iter().map(|n| *n as i32).collect();
        Ok(match name.ends_with("bias") {
            true => ops::zeros_dtype(&shape, Dtype::Float32)?,
            false => ops::ones_dtype(&shape, Dtype::Float32)?,
        })
    }

    fn stored(&self, _: &str) -> Option<Vec<usize>> {
        None
    }

    fn settle(&mut self, arrays: &[&Array]) -> Result<(), ModelError> {
        eval(arrays.iter().copied())?;
        self.done += 1;
        (self.progress)((self.done as f32 / self.steps as f32).min(1.0));
        Ok(())
    }
}
