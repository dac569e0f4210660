//! A decoder in memory, and its forward pass.

use mlx_rs::{Array, Dtype, error::Exception, ops, transforms::eval};

use super::{
    ModelSpec,
    blocks::{Attention, Context, Matrix, Mlp, Norm, Precision},
    step::{Input, Plan, Rows, Step},
};
use crate::{
    cache::{KvLayer, KvStore},
    mlx,
};

/// Layers whose unpacked weights may be in memory at once: without waiting for
/// them MLX would hold those of all.
const UNPACKED_LAYERS: usize = 4;

/// A model whose weights are in memory. It holds MLX arrays: it stays on the
/// thread that loaded it.
#[derive(Debug)]
pub struct Model {
    pub(super) spec: ModelSpec,
    pub(super) precision: Precision,
    pub(super) quantisation: String,
    pub(super) embedding: Matrix,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Norm,
    /// `None`: the embedding serves as head.
    pub(super) head: Option<Matrix>,
}

/// Attention and MLP, each behind a norm and beside a residual path.
#[derive(Debug)]
pub(super) struct Layer {
    pub attention_norm: Norm,
    pub attention: Attention,
    pub mlp_norm: Norm,
    pub mlp: Mlp,
}

impl Layer {
    /// From the residual path and its norm to the path after attention and what
    /// the MLP adds to it.
    fn forward(&self, x: &Array, normed: &Array, at: Context) -> Result<(Array, Array), Exception> {
        let mixed = self.attention.forward(normed, at)?;
        let (x, normed) = self.mlp_norm.after(x, &mixed)?;
        Ok((x, self.mlp.forward(&normed)?))
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = vec![&self.attention_norm.weight, &self.mlp_norm.weight];
        arrays.extend(self.attention.arrays());
        arrays.extend(self.mlp.arrays());
        arrays
    }
}

impl Model {
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// Type of activations, keys and values: f32 on the CPU, the model's own on
    /// GPUs.
    pub fn activation_dtype(&self) -> Dtype {
        self.precision.activations
    }

    /// How most weights are stored, such as "bf16" or "4-bit g64".
    pub fn quantisation(&self) -> &str {
        &self.quantisation
    }

    /// Bytes of all weights in memory.
    pub fn weight_bytes(&self) -> u64 {
        let layers = self.layers.iter().flat_map(Layer::arrays);
        let ends = self
            .embedding
            .arrays()
            .into_iter()
            .chain([&self.norm.weight]);
        let head = self.head.iter().flat_map(Matrix::arrays);
        layers
            .chain(ends)
            .chain(head)
            .map(|array| array.nbytes() as u64)
            .sum()
    }

    /// What each layer keeps of a token.
    pub fn kv_layers(&self) -> Vec<KvLayer> {
        self.spec.kv_layers(self.precision.activations)
    }

    /// Bytes of keys and values that one token needs.
    pub fn kv_bytes_per_token(&self) -> usize {
        let layers = self.kv_layers();
        layers.iter().map(KvLayer::bytes).sum::<u64>() as usize
    }

    /// Embeddings `[T, hidden]` of token ids `[T]`, for inputs that mix text
    /// with something else.
    ///
    /// # Errors
    /// When MLX refuses the ids' shape or type.
    pub fn embed(&self, tokens: &Array) -> Result<Array, Exception> {
        self.embedding.rows(tokens, self.precision.activations)
    }

    /// Logits `[rows wanted, vocab]`, lazy. Keys and values of all rows go to
    /// `kv`, layer by layer; they too are lazy until the store evaluates them.
    ///
    /// # Errors
    /// When the step's rows do not add up, or MLX or the store refuses.
    pub fn forward(&self, step: &Step, kv: &mut dyn KvStore) -> Result<Array, Exception> {
        let mut x = match &step.input {
            Input::Tokens(tokens) => self.embed(tokens)?,
            Input::Embeddings(embeddings) => embeddings.as_dtype(self.precision.activations)?,
        };
        let plan = Plan::new(&step.sequences, x.dim(0) as usize)?;
        let unpacks = self.is_packed() && mlx::unpacks(x.dim(0));
        let mut branch: Option<Array> = None;
        for (layer, weights) in self.layers.iter().enumerate() {
            let normed;
            (x, normed) = match branch {
                Some(branch) => weights.attention_norm.after(&x, &branch)?,
                None => (x.clone(), weights.attention_norm.forward(&x)?),
            };
            let at = Context {
                layer,
                plan: &plan,
                kv: &mut *kv,
            };
            let (after, added) = weights.forward(&x, &normed, at)?;
            (x, branch) = (after, Some(added));
            if unpacks && layer % UNPACKED_LAYERS == UNPACKED_LAYERS - 1 {
                eval([&x])?;
            }
        }
        if let Some(branch) = branch {
            x = x.add(branch)?;
        }
        self.logits(&x, &plan, &step.logits)
    }

    fn is_packed(&self) -> bool {
        let first = self.layers.first();
        first.is_some_and(|layer| matches!(layer.mlp.down.weight, Matrix::Quantised { .. }))
    }

    fn logits(&self, x: &Array, plan: &Plan, wanted: &Rows) -> Result<Array, Exception> {
        let x = match plan.rows(wanted) {
            None => x.clone(),
            Some(rows) if rows.is_empty() => {
                return ops::zeros_dtype(&[0, self.spec.vocab as i32], x.dtype());
            }
            Some(rows) => x.take_axis(Array::from_slice(&rows, &[rows.len() as i32]), 0)?,
        };
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        head.project(&self.norm.forward(&x)?)
    }
}
