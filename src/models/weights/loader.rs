//! Takes tensors out of safetensors files, checked and in the right type.
//!
//! MLX opens the files lazily and reads a tensor when it is computed, straight
//! into its own memory. The headers were checked before (see `files`), so a
//! read cannot run past the end of a file.

use std::collections::{BTreeSet, HashMap};

use mlx_rs::{Array, transforms::eval};
use safetensors::Dtype as FileDtype;

use super::{Affine, Finite, Quantisation, Source, TensorInfo, WeightFiles};
use crate::models::{
    ModelError,
    blocks::{Matrix, Precision},
};

/// Tensors of a folder.
pub struct FileSource<'a> {
    files: &'a WeightFiles,
    quantisation: &'a Quantisation,
    precision: Precision,
    finite: Option<Finite>,
    arrays: HashMap<String, Array>,
    taken: BTreeSet<String>,
    /// Read since the last `settle`: name and lazy array, for the check.
    fresh: Vec<(String, Array)>,
    done: u64,
    progress: &'a mut dyn FnMut(f32),
}

impl<'a> FileSource<'a> {
    /// # Errors
    /// When MLX cannot open one of the files.
    pub fn open(
        files: &'a WeightFiles,
        quantisation: &'a Quantisation,
        precision: Precision,
        check_finite: bool,
        progress: &'a mut dyn FnMut(f32),
    ) -> Result<Self, ModelError> {
        let mut arrays = HashMap::new();
        for path in &files.files {
            let tensors = Array::load_safetensors(path).map_err(|e| ModelError::BadFile {
                path: path.clone(),
                reason: e.to_string(),
            })?;
            arrays.extend(tensors);
        }
        Ok(Self {
            files,
            quantisation,
            precision,
            finite: check_finite.then(Finite::on_device),
            arrays,
            taken: BTreeSet::new(),
            fresh: Vec::new(),
            done: 0,
            progress,
        })
    }

    fn info(&self, name: &str) -> Result<(String, &'a TensorInfo), ModelError> {
        let missing = || ModelError::MissingTensor {
            folder: self.files.folder.clone(),
            tensor: name.to_owned(),
            reason: "config.json describes a model that has it".into(),
        };
        let name = self.files.resolve(name).ok_or_else(missing)?;
        let info = self.files.get(name).ok_or_else(missing)?;
        Ok((name.to_owned(), info))
    }

    /// Takes `name`, which must have `shape` and one of the types `allowed`.
    fn take(&mut self, name: &str, shape: &[usize], kind: Kind) -> Result<Array, ModelError> {
        let (name, info) = self.info(name)?;
        let path = || self.files.path(info).to_owned();
        if !kind.allows(info.dtype) {
            return Err(ModelError::Type {
                path: path(),
                tensor: name,
                found: format!("{:?}", info.dtype),
                expected: kind.expected(),
            });
        }
        if info.shape != shape {
            return Err(ModelError::Shape {
                path: path(),
                tensor: name,
                found: info.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        let array = self
            .arrays
            .remove(&name)
            .ok_or_else(|| ModelError::MissingTensor {
                folder: self.files.folder.clone(),
                tensor: name.clone(),
                reason: "it is used twice or MLX did not read it".into(),
            })?;
        self.fresh.push((name.clone(), array.clone()));
        self.taken.insert(name);
        Ok(array)
    }

    fn quantised(
        &mut self,
        module: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Matrix, ModelError> {
        let (_, scales) = self.info(&format!("{module}.scales"))?;
        let (weight_name, weight) = self.info(&format!("{module}.weight"))?;
        let contradiction = |problem| ModelError::Quantisation {
            path: self.files.path(weight).to_owned(),
            module: module.to_owned(),
            problem,
        };
        let (&[_, words], &[_, groups]) = (&weight.shape[..], &scales.shape[..]) else {
            return Err(ModelError::Shape {
                path: self.files.path(weight).to_owned(),
                tensor: weight_name,
                found: weight.shape.clone(),
                expected: vec![rows, columns],
            });
        };
        let affine = Affine::from_shapes(columns, words, groups).map_err(contradiction)?;
        self.quantisation
            .agree(module, Some(affine))
            .map_err(contradiction)?;
        let packed = self.take(&format!("{module}.weight"), &[rows, words], Kind::Packed)?;
        let scales = self.take(&format!("{module}.scales"), &[rows, groups], Kind::Float)?;
        let biases = self.take(&format!("{module}.biases"), &[rows, groups], Kind::Float)?;
        Ok(Matrix::Quantised {
            packed,
            scales: self.precision.vector(&scales)?,
            biases: self.precision.vector(&biases)?,
            affine,
        })
    }

    /// Complains about tensors that the model did not ask for. `ignored` says
    /// which may be left over.
    ///
    /// # Errors
    /// When there are any.
    pub fn finish(self, ignored: impl Fn(&str) -> bool) -> Result<(), ModelError> {
        let mut left = self
            .files
            .tensors()
            .filter(|(name, _)| !self.taken.contains(*name) && !ignored(name));
        let Some((tensor, info)) = left.next() else {
            return Ok(());
        };
        let others = match left.count() {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        Err(ModelError::UnexpectedTensor {
            path: self.files.path(info).to_owned(),
            tensor: tensor.to_owned(),
            others,
        })
    }
}

impl Source for FileSource<'_> {
    fn matrix(&mut self, module: &str, rows: usize, columns: usize) -> Result<Matrix, ModelError> {
        if self.files.resolve(&format!("{module}.scales")).is_some() {
            return self.quantised(module, rows, columns);
        }
        let name = format!("{module}.weight");
        let (_, info) = self.info(&name)?;
        let agreed = self.quantisation.agree(module, None);
        agreed.map_err(|problem| ModelError::Quantisation {
            path: self.files.path(info).to_owned(),
            module: module.to_owned(),
            problem,
        })?;
        let weight = self.take(&name, &[rows, columns], Kind::Float)?;
        Ok(Matrix::Dense(self.precision.matrix(&weight)?))
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Array, ModelError> {
        let vector = self.take(name, &[length], Kind::Float)?;
        Ok(self.precision.vector(&vector)?)
    }

    fn settle(&mut self, arrays: &[&Array]) -> Result<(), ModelError> {
        let fresh = std::mem::take(&mut self.fresh);
        eval(fresh.iter().map(|(_, array)| array))?;
        for (name, array) in &fresh {
            let (_, info) = self.info(name)?;
            if let Some(finite) = self.finite
                && !finite.check(array)?
            {
                return Err(ModelError::NotFinite {
                    path: self.files.path(info).to_owned(),
                    tensor: name.clone(),
                });
            }
            self.done += info.bytes;
        }
        eval(arrays.iter().copied())?;
        (self.progress)(self.done as f32 / self.files.bytes().max(1) as f32);
        Ok(())
    }
}

/// Types a tensor may have.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Float,
    Packed,
}

impl Kind {
    fn allows(self, dtype: FileDtype) -> bool {
        match self {
            Self::Float => matches!(dtype, FileDtype::F32 | FileDtype::F16 | FileDtype::BF16),
            Self::Packed => dtype == FileDtype::U32,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Float => "F32, F16 or BF16",
            Self::Packed => "U32 (packed weights)",
        }
    }
}
