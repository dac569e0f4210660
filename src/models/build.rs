//! Puts a [`Model`] together: asks a source for the tensors that a description
//! names, stacks what is used together, and computes layer after layer, so that
//! loading needs little more memory than the model.

use mlx_rs::Array;

use super::{
    Model, ModelError, ModelSpec,
    blocks::{Attention, Linear, Mlp, Norm, Precision, Projections},
    model::Layer,
    spec::{AttentionSpec, MlpSpec},
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
        source,
    };
    let mut layers = Vec::with_capacity(spec.layers.len());
    for index in 0..spec.layers.len() {
        let layer = builder.layer(index)?;
        builder.source.settle(&layer.arrays())?;
        layers.push(layer);
    }
    let norm = builder.norm(names.norm.to_owned(), spec.hidden)?;
    builder.source.settle(&[&norm.weight])?;
    let head = match spec.tied {
        true => None,
        false => {
            let head = builder.source.matrix(names.head, spec.vocab, spec.hidden)?;
            builder.source.settle(&head.arrays())?;
            Some(head)
        }
    };
    Ok(Model {
        spec,
        precision,
        quantisation,
        embedding,
        layers,
        norm,
        head,
    })
}

struct Builder<'a> {
    spec: &'a ModelSpec,
    source: &'a mut dyn Source,
}

impl Builder<'_> {
    fn layer(&mut self, index: usize) -> Result<Layer, ModelError> {
        let (spec, names) = (self.spec, &self.spec.names);
        let layer = &spec.layers[index];
        Ok(Layer {
            attention_norm: self.norm(names.in_layer(index, names.attention_norm), spec.hidden)?,
            attention: self.attention(index, &layer.attention)?,
            mlp_norm: self.norm(names.in_layer(index, names.mlp_norm), spec.hidden)?,
            mlp: self.mlp(index, layer.mlp)?,
        })
    }

    fn attention(&mut self, index: usize, spec: &AttentionSpec) -> Result<Attention, ModelError> {
        let (hidden, names) = (self.spec.hidden, self.spec.names);
        let module = |part| names.in_layer(index, part);
        let widths = [spec.query_width(), spec.kv_width(), spec.kv_width()];
        let mut qkv = Vec::with_capacity(3);
        for (part, width) in names.qkv.into_iter().zip(widths) {
            qkv.push(self.linear(module(part), width, hidden, spec.qkv_bias)?);
        }
        let output = self.linear(
            module(names.output),
            hidden,
            spec.query_width(),
            spec.output_bias,
        )?;
        let qk_norm = match spec.qk_norm {
            true => Some((
                self.norm(module(names.q_norm), spec.head_dim)?,
                self.norm(module(names.k_norm), spec.head_dim)?,
            )),
            false => None,
        };
        Ok(Attention::new(
            spec,
            Projections::new(qkv)?,
            output,
            qk_norm,
        ))
    }

    fn mlp(&mut self, index: usize, spec: MlpSpec) -> Result<Mlp, ModelError> {
        let (hidden, names) = (self.spec.hidden, self.spec.names);
        let mut gate_up = Vec::with_capacity(2);
        for part in names.gate_up {
            let module = names.in_layer(index, part);
            gate_up.push(self.linear(module, spec.intermediate, hidden, spec.bias)?);
        }
        let down = names.in_layer(index, names.down);
        Ok(Mlp {
            gate_up: Projections::new(gate_up)?,
            down: self.linear(down, hidden, spec.intermediate, spec.bias)?,
        })
    }

    fn linear(
        &mut self,
        module: String,
        rows: usize,
        columns: usize,
        bias: bool,
    ) -> Result<Linear, ModelError> {
        let weight = self.source.matrix(&module, rows, columns)?;
        let bias: Option<Array> = match bias {
            true => Some(self.source.vector(&format!("{module}.bias"), rows)?),
            false => None,
        };
        Ok(Linear { weight, bias })
    }

    fn norm(&mut self, module: String, length: usize) -> Result<Norm, ModelError> {
        let weight = self.source.vector(&format!("{module}.weight"), length)?;
        Ok(Norm {
            weight,
            eps: self.spec.norm_eps,
        })
    }
}
