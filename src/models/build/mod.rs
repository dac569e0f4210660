//! Puts a [`Model`] together: asks a source for the tensors that a description
//! names, stacks what is used together, and computes layer after layer, so that
//! loading needs little more memory than the model.

mod latent;
mod mixers;
mod mlps;
mod recurrent;

use mlx_rs::{Array, Dtype};

use super::{
    Model, ModelError, ModelSpec,
    blocks::{LayerInput, LayerInputs, Linear, Matrix, Norm, Precision},
    model::{Block, Branch, Layer},
    spec::{LayerInputs as LayerInputsSpec, NormOffset},
    weights::Source,
};

/// # Errors
/// Whatever the source finds wrong with a tensor.
pub fn build(
    spec: ModelSpec,
    precision: Precision,
    quantisation: String,
    source: &mut dyn Source,
) -> Result<Model, ModelError> {
    let names = spec.names;
    let embedding = source.matrix(names.embedding, spec.vocab, spec.hidden)?;
    source.settle(&embedding.arrays())?;
    let mut builder = Builder {
        spec: &spec,
        precision,
        source,
        index: 0,
        norm_offset: 0.0,
    };
    builder.norm_offset = builder.norm_offset();
    let inputs = builder.layer_inputs()?;
    let mut layers = Vec::with_capacity(spec.layers.len());
    for index in 0..spec.layers.len() {
        builder.index = index;
        let layer = builder.layer()?;
        builder.source.settle(&layer.arrays())?;
        layers.push(layer);
    }
    let norm = builder.norm(names.norm.to_owned(), spec.hidden)?;
    builder.source.settle(&norm.arrays().collect::<Vec<_>>())?;
    let head = match spec.tied {
        true => None,
        false => {
            let mut head = builder.named(names.head, spec.vocab, spec.hidden, spec.head_bias)?;
            if let (true, Matrix::Dense(weight)) = (spec.head_columns_normed, &mut head.weight) {
                *weight = with_columns_normed(weight)?;
            }
            builder.source.settle(&head.arrays())?;
            Some(head)
        }
    };
    let table = |rows| builder.source.matrix(names.positions, rows, spec.hidden);
    let positions = spec.positions.map(table).transpose()?;
    Ok(Model {
        spec,
        precision,
        quantisation,
        embedding,
        inputs,
        layers,
        positions,
        norm,
        head,
    })
}

/// Each column divided by its length.
fn with_columns_normed(weight: &Array) -> Result<Array, ModelError> {
    let exact = weight.as_dtype(Dtype::Float32)?;
    let lengths = exact.square()?.sum_axis(0, true)?.sqrt()?;
    let lengths = lengths.add(Array::from_f32(1e-7))?;
    Ok(exact.divide(lengths)?.as_dtype(weight.dtype())?)
}

struct Builder<'a> {
    spec: &'a ModelSpec,
    precision: Precision,
    source: &'a mut dyn Source,
    /// Of the layer that is being built.
    index: usize,
    /// Added to the weights of norms.
    norm_offset: f32,
}

impl Builder<'_> {
    fn norm_offset(&self) -> f32 {
        match self.spec.norm.offset {
            NormOffset::None => 0.0,
            NormOffset::One | NormOffset::Fifths => 1.0,
            NormOffset::OneIfStored(part) => {
                let named = |index| self.spec.names.in_layer(index, part);
                let mut names = (0..self.spec.layers.len()).map(named);
                match names.any(|name| self.source.stored(&name).is_some()) {
                    true => 1.0,
                    false => 0.0,
                }
            }
            NormOffset::OneIfPublished => {
                let convolution = |index| {
                    let name = self.spec.names.in_layer(index, recurrent::DELTA_CONV);
                    self.source.stored(&format!("{name}.weight"))
                };
                let stored = (0..self.spec.layers.len()).find_map(convolution);
                // PyTorch: [channels, 1, kernel].
                match stored.as_deref() {
                    Some([_, 1, _]) => 1.0,
                    _ => 0.0,
                }
            }
        }
    }

    fn layer_inputs(&mut self) -> Result<Option<LayerInputs>, ModelError> {
        let Some(LayerInputsSpec { vocab, width }) = self.spec.layer_inputs else {
            return Ok(None);
        };
        let all = self.spec.layers.len() * width;
        let projection = "model.per_layer_model_projection";
        let inputs = LayerInputs {
            table: self
                .source
                .matrix("model.embed_tokens_per_layer", vocab, all)?,
            projection: self.named(projection, all, self.spec.hidden, false)?,
            norm: self.norm("model.per_layer_projection_norm".to_owned(), width)?,
            width: width as i32,
        };
        self.source.settle(&inputs.arrays())?;
        Ok(Some(inputs))
    }

    fn layer(&mut self) -> Result<Layer, ModelError> {
        let (spec, names) = (self.spec, &self.spec.names);
        let layer = &spec.layers[self.index];
        let places = layer.norms.unwrap_or(spec.norms);
        let [before_mixer, before_mlp] = places.before();
        let mut branches = Vec::with_capacity(2);
        if let Some(mixer) = &layer.mixer {
            let mixer = Block::Mixer(Box::new(self.mixer(mixer)?));
            let around = [names.before_mixer, names.after_mixer];
            branches.push(self.branch(mixer, [before_mixer, places.after()], around)?);
        }
        if let Some(mlp) = &layer.mlp {
            let mlp = Block::Mlp(self.mlp(mlp)?);
            let around = [names.before_mlp, names.after_mlp];
            branches.push(self.branch(mlp, [before_mlp, places.after()], around)?);
        }
        if let Some(inputs) = spec.layer_inputs {
            let (hidden, width) = (spec.hidden, inputs.width);
            let input = Block::Input(LayerInput {
                gate: self.linear("per_layer_input_gate", width, hidden, false)?,
                projection: self.linear("per_layer_projection", hidden, width, false)?,
            });
            let norm = "post_per_layer_input_norm";
            branches.push(self.branch(input, [false, true], [norm, norm])?);
        }
        let scalar = match spec.layer_scalars {
            true => Some(self.tensor("layer_scalar", &[1])?),
            false => None,
        };
        Ok(Layer {
            branches,
            parallel: places.is_parallel(),
            scalar,
        })
    }

    fn branch(
        &mut self,
        block: Block,
        [is_before, is_after]: [bool; 2],
        [before, after]: [&str; 2],
    ) -> Result<Branch, ModelError> {
        let hidden = self.spec.hidden;
        let offset = match (self.spec.norm.offset, &block) {
            (NormOffset::Fifths, Block::Mixer(_)) => 1.0 / 5.0,
            (NormOffset::Fifths, Block::Mlp(_)) => 1.0 / 5f32.powf(1.5),
            _ => self.norm_offset,
        };
        let usual = self.norm_offset;
        let mut norm = |wanted: bool, name: &str, offset: f32| {
            let module = self.in_layer(name);
            let norm = wanted.then(|| self.norm_from(module, hidden, offset));
            norm.transpose()
        };
        Ok(Branch {
            before: norm(is_before, before, usual)?,
            block,
            after: norm(is_after, after, offset)?,
        })
    }

    /// The full name of a part of the layer that is being built.
    fn in_layer(&self, part: &str) -> String {
        self.spec.names.in_layer(self.index, part)
    }

    /// A linear layer of the layer that is being built.
    fn linear(
        &mut self,
        part: &str,
        rows: usize,
        columns: usize,
        bias: bool,
    ) -> Result<Linear, ModelError> {
        let module = self.in_layer(part);
        self.named(&module, rows, columns, bias)
    }

    /// A linear layer by its full name.
    fn named(
        &mut self,
        module: &str,
        rows: usize,
        columns: usize,
        bias: bool,
    ) -> Result<Linear, ModelError> {
        let weight = self.source.matrix(module, rows, columns)?;
        let bias: Option<Array> = match bias {
            true => Some(self.source.tensor(&format!("{module}.bias"), &[rows])?),
            false => None,
        };
        Ok(Linear { weight, bias })
    }

    /// A tensor of the layer that is being built, in the activations' type.
    fn tensor(&mut self, part: &str, shape: &[usize]) -> Result<Array, ModelError> {
        let name = self.in_layer(part);
        self.source.tensor(&name, shape)
    }

    /// A norm of the model's kind.
    fn norm(&mut self, module: String, length: usize) -> Result<Norm, ModelError> {
        self.norm_from(module, length, self.norm_offset)
    }

    /// A norm of the model's kind, its weights being distances from `offset`.
    fn norm_from(
        &mut self,
        module: String,
        length: usize,
        offset: f32,
    ) -> Result<Norm, ModelError> {
        let spec = self.spec.norm;
        let mut part = |wanted: bool, part: &str| {
            let name = format!("{module}.{part}");
            wanted
                .then(|| self.source.tensor(&name, &[length]))
                .transpose()
        };
        let (mut weight, bias) = (part(spec.weight, "weight")?, part(spec.bias, "bias")?);
        if let Some(weight) = &mut weight
            && offset != 0.0
        {
            let offset = Array::from_f32(offset);
            *weight = weight.add(offset.as_dtype(weight.dtype())?)?;
        }
        Ok(Norm {
            weight,
            bias,
            eps: spec.eps,
            centred: spec.centred,
        })
    }
}
