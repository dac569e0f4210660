//! Takes tensors out of safetensors files, checked and in the right type.
//!
//! MLX opens the files lazily and reads a tensor when it is computed, straight
//! into its own memory. The headers were checked before (see `files`), so a
//! read cannot run past the end of a file.

use std::collections::{BTreeSet, HashMap};

use mlx_rs::{Array, Dtype, transforms::eval};
use safetensors::Dtype as FileDtype;

use super::{
    Affine, ExpertNames, Finite, Packing, Quantisation, Source, TensorInfo, WeightFiles, from_mxfp4,
};
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

    /// The weight `[.., rows, columns]` of `module`.
    fn weight(&mut self, module: &str, shape: &[usize]) -> Result<Matrix, ModelError> {
        if self.files.resolve(&format!("{module}.scales")).is_some() {
            return self.quantised(module, shape);
        }
        let name = format!("{module}.weight");
        let (stored, info) = self.info(&name)?;
        let agreed = self.quantisation.agree(module, None);
        agreed.map_err(|problem| self.contradiction(info, module, problem))?;
        let weight = match (self.files.is_transposed(&stored), shape) {
            (true, [rows, columns]) => {
                let weight = self.take(&name, &[*columns, *rows], Kind::Float)?;
                weight.t().contiguous()?
            }
            _ => self.take(&name, shape, Kind::Float)?,
        };
        Ok(Matrix::Dense(self.precision.matrix(&weight)?))
    }

    fn contradiction(&self, info: &TensorInfo, module: &str, problem: String) -> ModelError {
        ModelError::Quantisation {
            path: self.files.path(info).to_owned(),
            module: module.to_owned(),
            problem,
        }
    }

    fn quantised(&mut self, module: &str, shape: &[usize]) -> Result<Matrix, ModelError> {
        let (_, scales) = self.info(&format!("{module}.scales"))?;
        let (weight_name, weight) = self.info(&format!("{module}.weight"))?;
        let axes = shape.len() - 1;
        let columns = shape[axes];
        if weight.shape.len() != shape.len() || scales.shape.len() != shape.len() {
            return Err(ModelError::Shape {
                path: self.files.path(weight).to_owned(),
                tensor: weight_name,
                found: weight.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        let (words, groups) = (weight.shape[axes], scales.shape[axes]);
        let is_float = scales.dtype == FileDtype::U8;
        let packing = match is_float {
            true => Ok(Packing::Mxfp4),
            false => Affine::from_shapes(columns, words, groups).map(Packing::Affine),
        };
        let agreed = packing.and_then(|packing| {
            let agreed = self.quantisation.agree(module, Some(packing));
            agreed.map(|()| packing)
        });
        let packing = agreed.map_err(|problem| self.contradiction(weight, module, problem))?;
        let of = |last: usize| [&shape[..axes], &[last]].concat();
        let name = |part: &str| format!("{module}.{part}");
        match packing {
            Packing::Mxfp4 => {
                let packed = self.take(&name("weight"), &of(columns / 8), Kind::Packed)?;
                let scales = self.take(&name("scales"), &of(columns / 32), Kind::Bytes)?;
                from_mxfp4(&packed, &scales, self.precision)
            }
            Packing::Affine(affine) => {
                let packed = self.take(&name("weight"), &of(words), Kind::Packed)?;
                let scales = self.take(&name("scales"), &of(groups), Kind::Float)?;
                let biases = self.take(&name("biases"), &of(groups), Kind::Float)?;
                Ok(Matrix::Quantised {
                    packed,
                    scales: self.precision.vector(&scales)?,
                    biases: self.precision.vector(&biases)?,
                    affine,
                })
            }
        }
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
        self.weight(module, &[rows, columns])
    }

    fn experts(&mut self, names: &ExpertNames, shape: [usize; 3]) -> Result<Matrix, ModelError> {
        let [experts, rows, columns] = shape;
        let first = names.each.replace("{}", "0");
        if self.stored(&format!("{first}.weight")).is_none() {
            return self.weight(&names.stacked, &shape);
        }
        let mut parts = Vec::with_capacity(experts);
        for expert in 0..experts {
            let module = names.each.replace("{}", &expert.to_string());
            parts.push(self.weight(&module, &[rows, columns])?.expand()?);
        }
        let parts: Vec<&Matrix> = parts.iter().collect();
        match Matrix::join(&parts, 0)? {
            Some(stack) => Ok(stack),
            None => {
                let (_, info) = self.info(&format!("{first}.weight"))?;
                let problem = "the experts are not all stored alike".to_owned();
                Err(self.contradiction(info, &first, problem))
            }
        }
    }

    fn joined(
        &mut self,
        name: &str,
        shape: [usize; 3],
        transposed: bool,
    ) -> Result<Option<Matrix>, ModelError> {
        let [experts, rows, columns] = shape;
        let blocks = format!("{name}_blocks");
        if self.stored(&blocks).is_some() {
            // 32 codes of four bits.
            let packed = self.take(&blocks, &[experts, rows, columns / 32, 16], Kind::Bytes)?;
            let scales = [experts, rows, columns / 32];
            let scales = self.take(&format!("{name}_scales"), &scales, Kind::Bytes)?;
            return from_mxfp4(&packed, &scales, self.precision).map(Some);
        }
        if self.stored(name).is_none() {
            return Ok(None);
        }
        let stored = match transposed {
            true => [experts, columns, rows],
            false => shape,
        };
        let mut weight = self.take(name, &stored, Kind::Float)?;
        if transposed {
            weight = weight.swap_axes(-1, -2)?.contiguous()?;
        }
        Ok(Some(Matrix::Dense(self.precision.matrix(&weight)?)))
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Array, ModelError> {
        let tensor = self.take(name, shape, Kind::Float)?;
        Ok(self.precision.vector(&tensor)?)
    }

    fn exact(&mut self, name: &str, shape: &[usize]) -> Result<Array, ModelError> {
        let tensor = self.take(name, shape, Kind::Float)?;
        Ok(tensor.as_dtype(Dtype::Float32)?)
    }

    fn stored(&self, name: &str) -> Option<Vec<usize>> {
        let info = self.files.get(self.files.resolve(name)?)?;
        Some(info.shape.clone())
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
    Bytes,
}

impl Kind {
    fn allows(self, dtype: FileDtype) -> bool {
        match self {
            Self::Float => matches!(dtype, FileDtype::F32 | FileDtype::F16 | FileDtype::BF16),
            Self::Packed => dtype == FileDtype::U32,
            Self::Bytes => dtype == FileDtype::U8,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Float => "F32, F16 or BF16",
            Self::Packed => "U32 (packed weights)",
            Self::Bytes => "U8",
        }
    }
}
