//! Takes tensors out of safetensors files, checked and in the right type.
//!
//! MLX opens the files lazily and reads a tensor when it is computed, straight
//! into its own memory. The headers were checked before (see `files`), so a
//! read cannot run past the end of a file.

use std::collections::{BTreeSet, HashMap};

use mlx_rs::{Array, Dtype, error::Exception, transforms::eval};
use safetensors::Dtype as FileDtype;

use super::{
    Affine, ExpertNames, Finite, Packing, Quantisation, Source, TensorInfo, WeightFiles,
    floats::{SmallFloat, from_fp8, from_small_floats},
    from_mxfp4,
    grouped::{Packer, Stored},
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
        if let (Some(packer), [rows, columns]) = (self.quantisation.packer, shape)
            && self.files.resolve(&format!("{module}.qweight")).is_some()
        {
            return self.grouped(packer, module, [*rows, *columns]);
        }
        if self.files.resolve(&format!("{module}.scales")).is_some() {
            return self.quantised(module, shape);
        }
        let name = format!("{module}.weight");
        let (stored, info) = self.info(&name)?;
        if let (FileDtype::F8_E4M3, [rows, columns]) = (info.dtype, shape) {
            return self.fp8(module, [*rows, *columns]);
        }
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

    /// FP8 weights with a scale for each block, each row or all of them.
    fn fp8(&mut self, module: &str, shape: [usize; 2]) -> Result<Matrix, ModelError> {
        let names = ["weight_scale_inv", "weight_scale"];
        let mut names = names.iter().map(|part| format!("{module}.{part}"));
        let name = names.find(|name| self.files.resolve(name).is_some());
        let name = name.unwrap_or_else(|| format!("{module}.weight_scale_inv"));
        let (_, info) = self.info(&name)?;
        let [rows, columns] = shape;
        let block = match (self.quantisation.fp8_block, &info.shape[..]) {
            (_, [] | [1]) => shape,
            (_, [own] | [own, 1]) if *own == rows => [1, columns],
            ([b, c], [_, _]) if b > 0 && c > 0 => [b, c],
            (_, [own, across]) if *own > 0 && *across > 0 => {
                [rows.div_ceil(*own), columns.div_ceil(*across)]
            }
            (block, _) => block.map(|size| size.max(1)),
        };
        let scales_shape = match &info.shape[..] {
            shape @ ([] | [_] | [_, 1]) => shape.to_vec(),
            _ => vec![rows.div_ceil(block[0]), columns.div_ceil(block[1])],
        };
        let codes = self.take(&format!("{module}.weight"), &shape, Kind::Fp8)?;
        let scales = self.take(&name, &scales_shape, Kind::Float)?;
        let weight = from_fp8(&codes, &scales, block)?;
        Ok(Matrix::Dense(self.precision.matrix(&weight)?))
    }

    /// Weights that AWQ or GPTQ packed.
    fn grouped(
        &mut self,
        packer: Packer,
        module: &str,
        [rows, columns]: [usize; 2],
    ) -> Result<Matrix, ModelError> {
        let (_, info) = self.info(&format!("{module}.qweight"))?;
        let affine = match self.quantisation.general {
            Some(Packing::Affine(affine)) => affine,
            _ => Affine {
                bits: 4,
                group: 128,
            },
        };
        let each = 32 / affine.bits;
        if !columns.is_multiple_of(affine.group) || !rows.is_multiple_of(each) {
            let problem = format!("{affine} does not divide its {rows} x {columns} weights");
            return Err(self.contradiction(info, module, problem));
        }
        let [words, zeros, scales] = Stored::shapes(packer, affine, rows, columns);
        let name = |part: &str| format!("{module}.{part}");
        self.check_order(&name("g_idx"), columns, affine)?;
        let unsigned = |array: Array| -> Result<Array, ModelError> {
            Ok(array.view_dtype(Dtype::Uint32)?.contiguous()?)
        };
        let words = unsigned(self.take(&name("qweight"), &words, Kind::Words)?)?;
        let zeros = match self.files.resolve(&name("qzeros")) {
            Some(_) => Some(unsigned(self.take(
                &name("qzeros"),
                &zeros,
                Kind::Words,
            )?)?),
            None => None,
        };
        let scales = self.take(&name("scales"), &scales, Kind::Float)?;
        let scales = scales.as_dtype(Dtype::Float32)?.contiguous()?;
        eval([&words, &scales].into_iter().chain(&zeros))?;
        let read = |error| Exception::custom(format!("MLX gave no numbers: {error}"));
        let zeros = zeros.as_ref().map(|it| it.try_as_slice::<u32>());
        let stored = Stored {
            packer,
            affine,
            rows,
            columns,
            words: words.try_as_slice::<u32>().map_err(read)?,
            zeros: zeros.transpose().map_err(read)?,
            scales: scales.try_as_slice::<f32>().map_err(read)?,
        };
        let repacked = stored.repack();
        let shape = |width: usize| [rows as i32, width as i32];
        let groups = shape(columns / affine.group);
        let vector = |numbers: &[f32]| self.precision.vector(&Array::from_slice(numbers, &groups));
        Ok(Matrix::Quantised {
            packed: Array::from_slice(&repacked.words, &shape(affine.words(columns))),
            scales: vector(&repacked.scales)?,
            biases: vector(&repacked.biases)?,
            affine,
        })
    }

    /// Checks that GPTQ has left columns where they were.
    fn check_order(
        &mut self,
        name: &str,
        columns: usize,
        affine: Affine,
    ) -> Result<(), ModelError> {
        if self.files.resolve(name).is_none() {
            return Ok(());
        }
        let (_, info) = self.info(name)?;
        let order = self.take(name, &[columns], Kind::Words)?.contiguous()?;
        eval([&order])?;
        let read = |error| Exception::custom(format!("MLX gave no numbers: {error}"));
        let order = order.try_as_slice::<i32>().map_err(read)?;
        let mut places = order.iter().enumerate();
        if places.all(|(column, group)| *group == (column / affine.group) as i32) {
            return Ok(());
        }
        let problem = "its columns were put into another order (desc_act), which is not supported";
        Err(self.contradiction(info, name, problem.to_owned()))
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
            true => small_packing(columns, words, groups),
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
            Packing::Small(kind) => {
                let packed = self.take(&name("weight"), &of(words), Kind::Packed)?;
                let scales = self.take(&name("scales"), &of(groups), Kind::Bytes)?;
                let weight = from_small_floats(kind, &packed, &scales)?;
                Ok(Matrix::Dense(self.precision.matrix(&weight)?))
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
        let flat = vec![stored[0] * stored[1], stored[2]];
        let mut weight = match self.stored(name) == Some(flat.clone()) {
            true => {
                let whole = stored.map(|dim| dim as i32);
                self.take(name, &flat, Kind::Float)?.reshape(&whole)?
            }
            false => self.take(name, &stored, Kind::Float)?,
        };
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

/// Which floats have `words` words and `groups` scales a row of `columns`.
fn small_packing(columns: usize, words: usize, groups: usize) -> Result<Packing, String> {
    let of = |bits: usize, group: usize| {
        words * 32 == columns * bits && groups * group == columns && columns > 0
    };
    let kinds = [SmallFloat::Mxfp8, SmallFloat::Nvfp4];
    let small = kinds.into_iter().find(|kind| of(kind.bits(), kind.group()));
    match small {
        Some(kind) => Ok(Packing::Small(kind)),
        None if of(4, 32) => Ok(Packing::Mxfp4),
        None => Err(format!(
            "{words} words and {groups} scales of a byte a row of {columns} columns are no floats that are known"
        )),
    }
}

/// Types a tensor may have.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Float,
    Packed,
    Bytes,
    Fp8,
    /// Packed, with or without a sign.
    Words,
}

impl Kind {
    fn allows(self, dtype: FileDtype) -> bool {
        match self {
            Self::Float => matches!(dtype, FileDtype::F32 | FileDtype::F16 | FileDtype::BF16),
            Self::Packed => dtype == FileDtype::U32,
            Self::Bytes => dtype == FileDtype::U8,
            Self::Fp8 => dtype == FileDtype::F8_E4M3,
            Self::Words => matches!(dtype, FileDtype::I32 | FileDtype::U32),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Float => "F32, F16 or BF16",
            Self::Packed => "U32 (packed weights)",
            Self::Bytes => "U8",
            Self::Fp8 => "F8_E4M3",
            Self::Words => "I32 (packed weights)",
        }
    }
}
