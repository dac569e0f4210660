//! A decoder in memory, and its forward pass.

use mlx_rs::{
    Array, Dtype,
    error::Exception,
    ops,
    transforms::{async_eval, eval},
};

use super::{
    ModelSpec,
    blocks::{Context, LayerInput, LayerInputs, Linear, Matrix, Mixer, Mlp, Norm, Precision},
    step::{Input, Plan, Rows, SequenceRows, Step},
};
use crate::{
    cache::{KvLayer, KvStore},
    mlx,
};

/// Layers after which a step that unpacks weights waits for those before: MLX
/// would hold the unpacked weights of all. Twice as many are in memory at once,
/// so that the device does not wait.
const UNPACKED_LAYERS: usize = 2;

/// A model whose weights are in memory. It holds MLX arrays: it stays on the
/// thread that loaded it.
#[derive(Debug)]
pub struct Model {
    pub(super) spec: ModelSpec,
    pub(super) precision: Precision,
    pub(super) quantisation: String,
    pub(super) embedding: Matrix,
    /// Learned positions `[context, hidden]`.
    pub(super) positions: Option<Matrix>,
    pub(super) inputs: Option<LayerInputs>,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Norm,
    /// `None`: the embedding serves as head.
    pub(super) head: Option<Linear>,
}

/// A mixer and an MLP, as far as the layer has them, in the order in which they
/// are added to the residual path.
#[derive(Debug)]
pub(super) struct Layer {
    pub branches: Vec<Branch>,
    /// They see the same residual path instead of one after the other.
    pub parallel: bool,
    /// `[1]`: multiplies what leaves it.
    pub scalar: Option<Array>,
}

/// What is added to the residual path, between norms.
#[derive(Debug)]
pub(super) struct Branch {
    pub before: Option<Norm>,
    pub block: Block,
    pub after: Option<Norm>,
}

#[derive(Debug)]
pub(super) enum Block {
    Mixer(Box<Mixer>),
    Mlp(Mlp),
    Input(LayerInput),
}

/// The residual path, and what the last branch adds to it.
struct Path {
    x: Array,
    added: Option<Array>,
}

impl Path {
    /// The sum of both, and its norm.
    fn join(&mut self, norm: Option<&Norm>) -> Result<Array, Exception> {
        let (x, normed) = match (self.added.take(), norm) {
            (Some(added), Some(norm)) => norm.after(&self.x, &added)?,
            (None, Some(norm)) => (self.x.clone(), norm.forward(&self.x)?),
            (Some(added), None) => {
                let x = self.x.add(added)?;
                (x.clone(), x)
            }
            (None, None) => (self.x.clone(), self.x.clone()),
        };
        self.x = x;
        Ok(normed)
    }
}

impl Branch {
    /// What it adds to the residual path, given its normed input.
    fn forward(&self, input: &Array, factor: f32, at: &mut Context) -> Result<Array, Exception> {
        let mut added = match &self.block {
            Block::Mixer(mixer) => mixer.forward(input, at)?,
            Block::Mlp(mlp) => mlp.forward(input, at.later)?,
            Block::Input(own) => match &at.extra {
                Some(extra) => own.forward(input, extra)?,
                None => return Err(Exception::custom("a layer is without its input")),
            },
        };
        if let Some(norm) = &self.after {
            added = norm.forward(&added)?;
        }
        times(added, factor)
    }

    fn arrays(&self) -> Vec<&Array> {
        let mut arrays = match &self.block {
            Block::Mixer(mixer) => mixer.arrays(),
            Block::Mlp(mlp) => mlp.arrays(),
            Block::Input(input) => input.arrays(),
        };
        let norms = self.before.iter().chain(&self.after);
        arrays.extend(norms.flat_map(Norm::arrays));
        arrays
    }
}

impl Layer {
    fn forward(&self, path: &mut Path, factor: f32, at: &mut Context) -> Result<(), Exception> {
        match self.parallel {
            true => self.side_by_side(path, factor, at)?,
            false => self.in_turn(path, factor, at)?,
        }
        if let Some(scalar) = &self.scalar {
            path.x = path.join(None)?.multiply(scalar)?;
        }
        Ok(())
    }

    fn in_turn(&self, path: &mut Path, factor: f32, at: &mut Context) -> Result<(), Exception> {
        let owed = at.later.take();
        for branch in &self.branches {
            let input = path.join(branch.before.as_ref())?;
            path.added = Some(branch.forward(&input, factor, at)?);
        }
        if let Some(owed) = owed {
            path.added = Some(match path.added.take() {
                Some(added) => added.add(owed)?,
                None => owed,
            });
        }
        Ok(())
    }

    /// A branch without a norm of its own shares the one before it.
    fn side_by_side(
        &self,
        path: &mut Path,
        factor: f32,
        at: &mut Context,
    ) -> Result<(), Exception> {
        let mut input = path.x.clone();
        let mut sum: Option<Array> = None;
        for branch in &self.branches {
            if branch.before.is_some() {
                input = path.join(branch.before.as_ref())?;
            }
            let added = branch.forward(&input, factor, at)?;
            sum = Some(match sum {
                None => added,
                Some(sum) => sum.add(added)?,
            });
        }
        path.added = sum;
        Ok(())
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let branches = self.branches.iter().flat_map(Branch::arrays);
        branches.chain(&self.scalar).collect()
    }
}

/// `x · factor`, in the type of `x`.
fn times(x: Array, factor: f32) -> Result<Array, Exception> {
    if factor == 1.0 {
        return Ok(x);
    }
    x.multiply(Array::from_f32(factor).as_dtype(x.dtype())?)
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
            .chain(self.positions.iter().flat_map(Matrix::arrays))
            .chain(self.inputs.iter().flat_map(LayerInputs::arrays))
            .chain(self.norm.arrays());
        let head = self.head.iter().flat_map(Linear::arrays);
        layers
            .chain(ends)
            .chain(head)
            .map(|array| array.nbytes() as u64)
            .sum()
    }

    /// Bytes of keys and values that one token needs.
    pub fn kv_bytes_per_token(&self) -> usize {
        let layers = self.kv_layers();
        layers.iter().map(KvLayer::bytes).sum::<u64>() as usize
    }

    /// What each layer keeps of a token.
    pub fn kv_layers(&self) -> Vec<KvLayer> {
        self.spec.kv_layers(self.precision.activations)
    }

    /// Bytes of recurrent state that one sequence needs.
    pub fn state_bytes(&self) -> usize {
        self.spec.state_bytes(self.element())
    }

    /// Bytes that a step takes beside weights, keys and values: see
    /// [`ModelSpec::step_bytes`]; and the weights that are unpacked for it.
    pub fn step_bytes(&self, rows: usize, sampled: usize) -> u64 {
        let step = self.spec.step_bytes(rows, sampled, self.element());
        if !self.is_packed() || !mlx::unpacks(rows as i32) {
            return step;
        }
        let layers = self.spec.layers.len().max(1) as u64;
        let layer = self.spec.parameters() / layers * self.element() as u64;
        step + layer * UNPACKED_LAYERS.min(self.layers.len()) as u64
    }

    /// Whether a sequence can be cut back to fewer tokens.
    pub fn can_forget(&self) -> bool {
        self.spec.can_forget()
    }

    /// Bytes of a number that flows.
    fn element(&self) -> usize {
        match self.precision.activations {
            Dtype::Float32 => 4,
            _ => 2,
        }
    }

    /// Embeddings `[T, hidden]` of token ids `[T]`, for inputs that mix text
    /// with something else.
    ///
    /// # Errors
    /// When MLX refuses the ids' shape or type.
    pub fn embed(&self, tokens: &Array) -> Result<Array, Exception> {
        let rows = self.embedding.rows(tokens, self.precision.activations)?;
        let rows = times(rows, self.spec.factors.embedding)?;
        match self.spec.embedding_norm {
            true => mlx::rms_norm(&rows, None, self.spec.norm.eps),
            false => Ok(rows),
        }
    }

    /// Logits `[rows wanted, vocab]`, lazy. Keys and values of all rows go to
    /// `kv`, layer by layer; they too are lazy until the store evaluates them.
    ///
    /// # Errors
    /// When the step's rows do not add up, or MLX or the store refuses.
    pub fn forward(&self, step: &Step, kv: &mut dyn KvStore) -> Result<Array, Exception> {
        let x = match &step.input {
            Input::Tokens(tokens) => self.embed(tokens)?,
            Input::Embeddings(embeddings) => embeddings.as_dtype(self.precision.activations)?,
        };
        let plan = Plan::new(&step.sequences, x.dim(0) as usize)?;
        let tokens = match &step.input {
            Input::Tokens(tokens) => Some(tokens),
            Input::Embeddings(_) => None,
        };
        let inputs = self
            .inputs
            .as_ref()
            .map(|inputs| inputs.forward(tokens, &x));
        let inputs = inputs.transpose()?;
        let x = self.with_positions(x, &step.sequences)?;
        let unpacks = self.is_packed() && mlx::unpacks(x.dim(0));
        let (mut path, mut behind) = (Path { x, added: None }, None);
        let (mut lent, mut later) = (None, None);
        for (layer, weights) in self.layers.iter().enumerate() {
            let extra = inputs.as_ref().map(|inputs| {
                let layer = Array::from_int(layer as i32);
                inputs.take_axis(layer, 1)
            });
            let mut at = Context {
                layer,
                plan: &plan,
                kv: &mut *kv,
                extra: extra.transpose()?,
                lent: &mut lent,
                later: &mut later,
            };
            weights.forward(&mut path, self.spec.factors.branch, &mut at)?;
            if unpacks && layer % UNPACKED_LAYERS == UNPACKED_LAYERS - 1 {
                async_eval([&path.x])?;
                if let Some(before) = behind.replace(path.x.clone()) {
                    eval([&before])?;
                }
            }
        }
        let x = path.join(None)?;
        self.logits(&x, &plan, &step.logits)
    }

    /// The learned positions added, where the model has such.
    fn with_positions(&self, x: Array, sequences: &[SequenceRows]) -> Result<Array, Exception> {
        let Some(table) = &self.positions else {
            return Ok(x);
        };
        let rows = |s: &SequenceRows| s.position..s.position + s.rows as i32;
        let positions: Vec<i32> = sequences.iter().flat_map(rows).collect();
        let positions = Array::from_slice(&positions, &[positions.len() as i32]);
        x.add(table.rows(&positions, x.dtype())?)
    }

    fn is_packed(&self) -> bool {
        let mut branches = self.layers.iter().flat_map(|layer| &layer.branches);
        branches.any(|branch| matches!(&branch.block, Block::Mlp(mlp) if mlp.is_packed()))
    }

    fn logits(&self, x: &Array, plan: &Plan, wanted: &Rows) -> Result<Array, Exception> {
        let x = match plan.rows(wanted) {
            None => x.clone(),
            Some(rows) if rows.is_empty() => {
                return ops::zeros_dtype(&[0, self.spec.vocab as i32], x.dtype());
            }
            Some(rows) => x.take_axis(Array::from_slice(&rows, &[rows.len() as i32]), 0)?,
        };
        let x = times(self.norm.forward(&x)?, self.spec.factors.head)?;
        let logits = match &self.head {
            Some(head) => head.forward(&x)?,
            None => self.embedding.project(&x)?,
        };
        let Some(cap) = self.spec.logit_cap else {
            return Ok(logits);
        };
        let cap = Array::from_f32(cap).as_dtype(logits.dtype())?;
        ops::tanh(logits.divide(&cap)?)?.multiply(cap)
    }
}
