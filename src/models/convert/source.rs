//! A [`Source`] that writes what a model is built of instead of keeping it.
//!
//! Building asks for every tensor by the name that converted models have, in
//! the layout that they have, whatever the folder's own is: so going through it
//! once plans the files, and a second time fills them. What the builder gets are
//! zeros that nobody computes.

use mlx_rs::{Array, Dtype, ops, transforms::eval};

use super::{
    recipe::Recipe,
    shards::{Entry, Shards},
};
use crate::{
    mlx,
    models::{
        ModelError,
        blocks::Matrix,
        spec::{Joined, ModelSpec, MoeNames, NormOffset},
        weights::{Affine, ExpertNames, FileSource, Source},
    },
};

/// Where tensors go.
pub enum Output {
    Plan(Vec<Entry>),
    Write(Shards),
}

pub struct Converter<'a> {
    pub spec: &'a ModelSpec,
    pub files: FileSource<'a>,
    pub recipe: Option<Recipe>,
    /// Of what is not quantised.
    pub dtype: Dtype,
    /// Before every name.
    pub prefix: &'static str,
    pub output: Output,
    /// Modules that are quantised in another way than most.
    pub others: Vec<(String, Affine)>,
}

impl Converter<'_> {
    /// Plans or writes a tensor.
    fn put(&mut self, name: &str, tensor: &Array) -> Result<(), ModelError> {
        let entry = Entry {
            name: format!("{}{name}", self.prefix),
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
        };
        match &mut self.output {
            Output::Plan(plan) => plan.push(entry),
            Output::Write(shards) => {
                let tensor = tensor.contiguous()?;
                eval([&tensor])?;
                shards.write(&entry, &mlx::bytes(&tensor)?)?;
            }
        }
        Ok(())
    }

    /// Lets go of what was read, and of memory that it took.
    fn release(&mut self) -> Result<(), ModelError> {
        if let Output::Write(_) = self.output {
            self.files.settle(&[])?;
            mlx_rs::memory::clear_cache()?;
        }
        Ok(())
    }

    /// Plans or writes the weight `[.., rows, columns]` of a module.
    fn put_weight(&mut self, module: &str, weight: &Array) -> Result<(), ModelError> {
        let weight = weight.as_dtype(self.dtype)?;
        let last = |axis: i32| weight.dim(axis) as usize;
        let shape = [last(-2), last(-1)];
        let affine = self.recipe.and_then(|it| it.of(self.spec, module, shape));
        let Some(affine) = affine else {
            self.put(&format!("{module}.weight"), &weight)?;
            return self.release();
        };
        let general = self.recipe.map(|recipe| recipe.general());
        if general != Some(affine) {
            let module = format!("{}{module}", self.prefix);
            self.others.push((module, affine));
        }
        let (packed, scales, biases) = match self.output {
            Output::Write(_) => {
                let (group, bits) = (affine.group as i32, affine.bits as i32);
                let quantised = ops::quantize(&weight, group, bits)?;
                eval([&quantised.0, &quantised.1, &quantised.2])?;
                quantised
            }
            Output::Plan(_) => planned(&weight, affine)?,
        };
        for (part, tensor) in [("weight", packed), ("scales", scales), ("biases", biases)] {
            self.put(&format!("{module}.{part}"), &tensor)?;
        }
        self.release()
    }

    /// The names of the experts that are joined in `name`, what stands before
    /// them, and whether these are gates and ups rather than downs.
    fn experts_in(&self, name: &str) -> Option<(String, &'static MoeNames, bool)> {
        self.spec.layers.iter().find_map(|layer| {
            let moe = layer.mlp.as_ref()?.moe()?;
            let Joined { gate_up, down, .. } = moe.names.joined;
            [(gate_up, true), (down, false)]
                .into_iter()
                .find_map(|(part, both)| {
                    let before = name.strip_suffix(part)?;
                    Some((before.to_owned(), moe.names, both))
                })
        })
    }

    /// A tensor of all experts under the names that it is converted to: gates
    /// and ups apart, along the axis `axis` from the end.
    fn apart(
        &self,
        name: &str,
        tensor: Array,
        axis: i32,
    ) -> Result<Vec<(String, Array)>, ModelError> {
        let Some((before, names, both)) = self.experts_in(name) else {
            return Ok(vec![(name.to_owned(), tensor)]);
        };
        let [gate, up, down] = names.stacked.map(|part| format!("{before}{part}"));
        if !both {
            return Ok(vec![(down, tensor)]);
        }
        let rows = tensor.dim(axis);
        let pick = |first: bool| -> Result<Array, ModelError> {
            let index = |row: i32| match (names.joined.interleaved, first) {
                (true, _) => 2 * row + i32::from(!first),
                (false, true) => row,
                (false, false) => rows / 2 + row,
            };
            let ids: Vec<i32> = (0..rows / 2).map(index).collect();
            let ids = Array::from_slice(&ids, &[rows / 2]);
            Ok(tensor.take_axis(ids, axis)?)
        };
        Ok(vec![(gate, pick(true)?), (up, pick(false)?)])
    }
}

impl Converter<'_> {
    /// Whether `name` is a norm that its maker published as distances from 1.
    fn is_distance(&self, name: &str) -> bool {
        let NormOffset::OneIfStored(part) = self.spec.norm.offset else {
            return false;
        };
        let stored = |index| self.files.stored(&self.spec.names.in_layer(index, part));
        let mut layers = 0..self.spec.layers.len();
        name.ends_with("norm.weight") && layers.any(|index| stored(index).is_some())
    }

    /// Plans or writes all experts' weights `[experts, rows, columns]` one by one,
    /// where that is how they are converted; says whether it is.
    fn put_each(&mut self, module: &str, weights: &Array) -> Result<bool, ModelError> {
        let each = self.spec.layers.iter().find_map(|layer| {
            let moe = layer.mlp.as_ref()?.moe()?;
            let in_a_row = moe.names.in_a_row?;
            let mut parts = (0..3).flat_map(|i| [(moe.names.stacked[i], i), (in_a_row[i], i)]);
            parts.find_map(|(part, i)| {
                let before = module.strip_suffix(part)?;
                Some(format!("{before}{}", moe.names.each[i]))
            })
        });
        let Some(each) = each else {
            return Ok(false);
        };
        for expert in 0..weights.dim(0) {
            let id = Array::from_slice(&[expert], &[1]);
            let weight = weights.take_axis(id, 0)?.squeeze_axes(&[0])?;
            self.put_weight(&each.replace("{}", &expert.to_string()), &weight)?;
        }
        Ok(true)
    }
}

/// What a quantised weight will be, by types and shapes.
fn planned(weight: &Array, affine: Affine) -> Result<(Array, Array, Array), ModelError> {
    let columns = weight.dim(-1) as usize;
    let part = |width: usize, dtype: Dtype| {
        let mut shape = weight.shape().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = width as i32;
        }
        ops::zeros_dtype(&shape, dtype)
    };
    let groups = columns / affine.group;
    Ok((
        part(affine.words(columns), Dtype::Uint32)?,
        part(groups, weight.dtype())?,
        part(groups, weight.dtype())?,
    ))
}

fn dense(matrix: Matrix, module: &str) -> Result<Array, ModelError> {
    match matrix {
        Matrix::Dense(weight) => Ok(weight),
        Matrix::Quantised { .. } => Err(mlx_rs::error::Exception::custom(format!(
            "{module} is packed already: convert the model that it was made from"
        ))
        .into()),
    }
}

/// Stands for a weight.
fn stand_in(shape: &[usize]) -> Result<Array, ModelError> {
    let shape: Vec<i32> = shape.iter().map(|dim| *dim as i32).collect();
    Ok(ops::zeros_dtype(&shape, Dtype::Float32)?)
}

impl Source for Converter<'_> {
    fn matrix(&mut self, module: &str, rows: usize, columns: usize) -> Result<Matrix, ModelError> {
        let weight = dense(self.files.matrix(module, rows, columns)?, module)?;
        self.put_weight(module, &weight)?;
        stand_in(&[rows, columns]).map(Matrix::Dense)
    }

    fn experts(&mut self, names: &ExpertNames, shape: [usize; 3]) -> Result<Matrix, ModelError> {
        let weight = dense(self.files.experts(names, shape)?, &names.stacked)?;
        if !self.put_each(&names.stacked, &weight)? {
            self.put_weight(&names.stacked, &weight)?;
        }
        stand_in(&shape).map(Matrix::Dense)
    }

    fn joined(
        &mut self,
        name: &str,
        shape: [usize; 3],
        transposed: bool,
    ) -> Result<Option<Matrix>, ModelError> {
        let Some(weight) = self.files.joined(name, shape, transposed)? else {
            return Ok(None);
        };
        let weight = dense(weight, name)?;
        if self.put_each(name, &weight)? {
            return stand_in(&shape).map(Matrix::Dense).map(Some);
        }
        for (module, part) in self.apart(name, weight, -2)? {
            self.put_weight(&module, &part)?;
        }
        stand_in(&shape).map(Matrix::Dense).map(Some)
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Array, ModelError> {
        let tensor = self.files.tensor(name, shape)?.as_dtype(self.dtype)?;
        let tensor = match self.is_distance(name) {
            true => tensor.add(Array::from_f32(1.0).as_dtype(tensor.dtype())?)?,
            false => tensor,
        };
        let joined = name.strip_suffix("_bias");
        match joined.filter(|joined| self.experts_in(joined).is_some()) {
            Some(joined) => {
                for (module, part) in self.apart(joined, tensor, -1)? {
                    self.put(&format!("{module}.bias"), &part)?;
                }
            }
            None => self.put(name, &tensor)?,
        }
        self.release()?;
        stand_in(shape)
    }

    fn exact(&mut self, name: &str, shape: &[usize]) -> Result<Array, ModelError> {
        let tensor = self.files.exact(name, shape)?;
        self.put(name, &tensor)?;
        self.release()?;
        stand_in(shape)
    }

    fn stored(&self, name: &str) -> Option<Vec<usize>> {
        self.files.stored(name)
    }

    fn settle(&mut self, _: &[&Array]) -> Result<(), ModelError> {
        Ok(())
    }
}
