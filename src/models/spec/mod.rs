//! What a model is: sizes, layers and tensor names, free of any weight.
//!
//! A family turns its config.json into a [`ModelSpec`]; everything after that
//! works from the description alone and never asks for the model's name.

use mlx_rs::Dtype;

use crate::cache::KvLayer;

mod check;
mod mixer;
mod mla;
mod mlp;
mod names;
mod norm;
mod recurrent;
mod rope;

pub use mixer::Temperature;
pub use mixer::{AttentionSpec, KvSource, MixerSpec, OutputGate, QkNorm, QkvLayout, Sight};
pub use mla::{IndexerSpec, MlaSpec};
pub use mlp::{
    Activation, GateUpLayout, GatedSpec, GroupScore, MlpSpec, MoeSpec, PlainSpec, Routing, Score,
};
pub use mlp::{SharedSpec, SharedWeight};
pub use names::{Joined, MoeNames, Names};
pub use norm::{NormOffset, NormPlaces, NormSpec};
pub use recurrent::{
    DeltaLayout, GatedDeltaSpec, LightningSpec, Mamba2Spec, MambaLayout, MambaSpec, RgLruSpec,
    ShortConvSpec, StepNorms,
};
pub use rope::{RopeScaling, RopeSpec};

/// Hidden states that a layer has at once: before and after adding, normed, and
/// what is added.
const RESIDUALS: usize = 4;

/// A decoder-only model: embedding, layers of a mixer and an MLP, a final norm
/// and a head.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// `model_type` of config.json.
    pub family: String,
    pub vocab: usize,
    pub hidden: usize,
    /// Tokens the model was made for.
    pub context: usize,
    pub layers: Vec<LayerSpec>,
    pub norm: NormSpec,
    /// Where the norms of a layer stand.
    pub norms: NormPlaces,
    pub factors: Factors,
    /// Embeddings are normed like hidden states, without weights.
    pub embedding_norm: bool,
    /// What every layer is given besides hidden states.
    pub layer_inputs: Option<LayerInputs>,
    /// What leaves a layer is multiplied with a number that it learned.
    pub layer_scalars: bool,
    /// Logits are `cap · tanh(logits / cap)`.
    pub logit_cap: Option<f32>,
    /// The head is the embedding, transposed.
    pub tied: bool,
    /// A head of its own has a bias.
    pub head_bias: bool,
    /// Each column of a head that is not packed is divided by its length.
    pub head_columns_normed: bool,
    /// Rows of the table of learned positions, which are added to the
    /// embeddings, if there is one.
    pub positions: Option<usize>,
    pub names: Names,
}

/// Inputs of layers: each has a part of a table of embeddings of its own and of
/// a projection of the model's, and adds what it makes of both (Gemma 3n).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerInputs {
    /// Tokens that the table knows.
    pub vocab: usize,
    /// Numbers for each layer.
    pub width: usize,
}

/// What mixes tokens, and what treats each alone; either may be missing.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSpec {
    pub mixer: Option<MixerSpec>,
    pub mlp: Option<MlpSpec>,
    /// Where its norms stand, if not where those of other layers do.
    pub norms: Option<NormPlaces>,
}

/// Constants that some families multiply with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factors {
    /// The embeddings.
    pub embedding: f32,
    /// What a mixer or MLP gives, before it is added.
    pub branch: f32,
    /// The input of the head.
    pub head: f32,
}

impl Factors {
    pub const NONE: Self = Self {
        embedding: 1.0,
        branch: 1.0,
        head: 1.0,
    };
}

impl LayerSpec {
    pub fn new(mixer: MixerSpec, mlp: MlpSpec) -> Self {
        Self {
            mixer: Some(mixer),
            mlp: Some(mlp),
            norms: None,
        }
    }

    /// A layer of nothing but a mixer.
    pub fn mixing(mixer: MixerSpec) -> Self {
        Self {
            mixer: Some(mixer),
            mlp: None,
            norms: None,
        }
    }

    pub fn attention(&self) -> Option<&AttentionSpec> {
        match &self.mixer {
            Some(MixerSpec::Attention(attention) | MixerSpec::Both(attention, _)) => {
                Some(attention)
            }
            _ => None,
        }
    }

    pub fn attention_mut(&mut self) -> Option<&mut AttentionSpec> {
        match &mut self.mixer {
            Some(MixerSpec::Attention(attention) | MixerSpec::Both(attention, _)) => {
                Some(attention)
            }
            _ => None,
        }
    }
}

impl ModelSpec {
    /// The attention of all layers that have one of this kind.
    pub fn attentions_mut(&mut self) -> impl Iterator<Item = &mut AttentionSpec> {
        self.layers.iter_mut().filter_map(LayerSpec::attention_mut)
    }

    /// The gated MLPs of all layers that have one.
    pub fn gated_mut(&mut self) -> impl Iterator<Item = &mut GatedSpec> {
        self.layers
            .iter_mut()
            .filter_map(|layer| match &mut layer.mlp {
                Some(MlpSpec::Gated(gated)) => Some(gated),
                _ => None,
            })
    }

    fn mixers(&self) -> impl Iterator<Item = &MixerSpec> {
        self.layers.iter().filter_map(|layer| layer.mixer.as_ref())
    }

    /// What each layer keeps of a token, in numbers of type `dtype`.
    pub fn kv_layers(&self, dtype: Dtype) -> Vec<KvLayer> {
        let layer = |layer: &LayerSpec| match &layer.mixer {
            Some(mixer) => mixer.kv_layer(dtype),
            None => KvLayer::nothing(dtype),
        };
        self.layers.iter().map(layer).collect()
    }

    /// Bytes of recurrent state that one sequence needs, however long it is,
    /// with activations of `element` bytes.
    pub fn state_bytes(&self, element: usize) -> usize {
        self.mixers().map(|mixer| mixer.state_bytes(element)).sum()
    }

    /// Bytes that a step of `rows` rows, of which `sampled` get logits, has in
    /// memory beside weights, keys and values, with numbers of `element` bytes:
    /// the residual path, the widest layer, logits and what sampling makes of
    /// them; twice, since the next step is under way before one has ended.
    pub fn step_bytes(&self, rows: usize, sampled: usize, element: usize) -> u64 {
        let widest = self
            .layers
            .iter()
            .map(|layer| self.layer_width(layer))
            .max();
        let row = (RESIDUALS * self.hidden + widest.unwrap_or(0)) * element;
        let logits = self.vocab * (element + 2 * size_of::<f32>());
        2 * (rows as u64 * row as u64 + sampled as u64 * logits as u64)
    }

    /// Numbers of a row within a layer: a matrix of `hidden` columns or rows has
    /// as many for each number of the other side.
    fn layer_width(&self, layer: &LayerSpec) -> usize {
        let hidden = self.hidden.max(1);
        let mixer = layer
            .mixer
            .as_ref()
            .map_or(0, |it| it.parameters(hidden) / hidden);
        let mlp = match &layer.mlp {
            None => 0,
            Some(MlpSpec::Moe(moe)) => {
                let shared = moe.shared.map_or(0, |shared| shared.intermediate);
                3 * (moe.active * moe.intermediate + shared) + moe.active * hidden
            }
            Some(mlp) => mlp.parameters(hidden) / hidden,
        };
        mixer.max(mlp)
    }

    /// Whether a sequence can be cut back to fewer tokens: keys and values can,
    /// a recurrent state cannot.
    pub fn can_forget(&self) -> bool {
        self.state_bytes(1) == 0
    }

    /// Numbers in all weights, the tied head counted once.
    pub fn parameters(&self) -> u64 {
        let embeddings = if self.tied { 1 } else { 2 } * self.vocab * self.hidden;
        let layers: usize = self.layers.iter().map(|l| self.layer_parameters(l)).sum();
        let bias = usize::from(self.head_bias) * self.vocab;
        let positions = self.positions.unwrap_or(0) * self.hidden;
        let norm = self.norm.parameters(self.hidden);
        let inputs = self.layer_inputs.map_or(0, |inputs| {
            let all = inputs.width * self.layers.len();
            all * (inputs.vocab + self.hidden) + self.norm.parameters(inputs.width)
        });
        (embeddings + layers + norm + bias + positions + inputs) as u64
    }

    fn layer_parameters(&self, layer: &LayerSpec) -> usize {
        let hidden = self.hidden;
        let norm = self.norm.parameters(hidden);
        let places = layer.norms.unwrap_or(self.norms);
        let after = usize::from(places.after());
        let mut scalar = usize::from(self.layer_scalars);
        if let Some(inputs) = self.layer_inputs {
            scalar += 2 * inputs.width * hidden + norm;
        }
        let [mixer_norms, mlp_norms] = places.before().map(|is| norm * (usize::from(is) + after));
        let mixer = layer.mixer.as_ref();
        let mixer = mixer.map(|m| mixer_norms + m.parameters(hidden));
        let mlp = layer.mlp.as_ref();
        let mlp = mlp.map(|m| mlp_norms + m.parameters(hidden));
        scalar + mixer.unwrap_or(0) + mlp.unwrap_or(0)
    }
}
