//! Attention with grouped queries: the one block that knows sequences.
//!
//! Everything up to the rotation works on rows; then each sequence of the step
//! writes its keys and values and looks at its own past.

mod heads;
mod in_place;

mod shared;

use std::rc::Rc;

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{Linear, Norm, Projections, Rope, split, within};
use crate::{
    cache::{KvStore, Past},
    mlx,
    models::{
        spec::{AttentionSpec, KvSource, OutputGate, QkNorm, Sight, Temperature},
        step::{Plan, SequenceRows},
    },
};

#[derive(Debug, Clone)]
pub struct Attention {
    parts: AttentionParts,
    norm: QkNorm,
    rope: Option<Rope>,
    heads: i32,
    kv_heads: i32,
    head_dim: i32,
    sight: Sight,
    scale: f32,
    cap: Option<f32>,
    temperature: Option<Temperature>,
    value_dim: i32,
    value_scale: Option<f32>,
    clip: Option<f32>,
    gate: OutputGate,
    source: KvSource,
    value_norm: bool,
    shares: Option<usize>,
    lends: bool,
    /// Where heads stand that the weights have in another order.
    places: Option<Array>,
    /// Epsilon of norms without weights.
    plain_eps: f32,
    /// `[head_dim]`, where the rotation lengthens only a part of each head:
    /// multiplies queries, for keys as well.
    stretch: Option<Array>,
    /// For the kernel that serves single rows, where the device has one.
    decode: mlx::DecodeSpec,
    /// Whether nothing was asked for that this kernel does not know.
    plain: bool,
}

/// The weights of attention.
#[derive(Debug, Clone)]
pub struct AttentionParts {
    /// Queries, keys, values and, where there is one, the gate.
    pub qkv: Projections,
    pub output: Linear,
    /// Of queries and keys.
    pub norms: Option<(Norm, Norm)>,
    /// `[heads]`
    pub sinks: Option<Array>,
}

/// One layer of a step, as attention needs it.
pub struct Context<'a> {
    pub layer: usize,
    pub plan: &'a Plan<'a>,
    pub kv: &'a mut dyn KvStore,
    /// `[T, width]`: what the layer is given besides hidden states.
    pub extra: Option<Array>,
    /// Keys and values of the step's rows before norms and rotation, for layers
    /// that have none of their own.
    pub lent: &'a mut Option<Array>,
    /// What is to be added after the next layer.
    pub later: &'a mut Option<Array>,
}

/// Where the rows of queries and keys stand.
#[derive(Clone, Copy)]
enum Places<'a> {
    /// One after another from here on.
    From(i32),
    /// Each where the array `[T]` says, and the sequences of the step.
    Each(&'a Array, &'a [SequenceRows]),
}

/// Epsilon of [`QkNorm::Plain`], where the model has none of its own.
const PLAIN_EPS: f32 = 1e-6;

impl Attention {
    pub fn new(spec: &AttentionSpec, parts: AttentionParts) -> Self {
        let magnitude = spec.rope.as_ref().map_or(1.0, Rope::magnitude);
        let rotated = spec.rope.as_ref().and_then(|rope| rope.dims);
        let rotated = rotated.unwrap_or(spec.head_dim);
        let squared = magnitude * magnitude;
        let mut scale = spec.scale.unwrap_or(1.0 / (spec.head_dim as f64).sqrt());
        let mut stretch = None;
        if rotated == spec.head_dim {
            scale *= squared;
        } else if squared != 1.0 {
            let factor = |i| if i < rotated { squared as f32 } else { 1.0 };
            let numbers = (0..spec.head_dim).map(factor);
            stretch = Some(Array::from_iter(numbers, &[spec.head_dim as i32]));
        }
        let scale = scale as f32;
        let form = [spec.heads, spec.kv_heads, spec.head_dim].map(|n| n as i32);
        let eps = parts.norms.as_ref().map(|(q, _)| q.eps);
        let traditional = spec.rope.as_ref().is_some_and(|rope| rope.traditional);
        Self {
            decode: mlx::DecodeSpec::new(form, eps, traditional, scale),
            plain: spec.gate == OutputGate::None
                && spec.value_dim() == spec.head_dim
                && spec.value_scale.is_none()
                && !spec.sinks
                && spec.cap.is_none()
                && spec.temperature.is_none()
                && !(spec.value_norm || spec.lends || spec.shares.is_some())
                && rotated == spec.head_dim
                && !matches!(spec.sight, Sight::Chunk(_))
                && matches!(spec.qk_norm, QkNorm::None | QkNorm::Head)
                && parts
                    .norms
                    .iter()
                    .all(|(q, k)| q.rms_weight().and(k.rms_weight()).is_some()),
            parts,
            norm: spec.qk_norm,
            rope: spec
                .rope
                .as_ref()
                .map(|rope| Rope::new(rope, spec.head_dim)),
            heads: spec.heads as i32,
            kv_heads: spec.kv_heads as i32,
            head_dim: spec.head_dim as i32,
            sight: spec.sight,
            scale,
            cap: spec.cap,
            temperature: spec.temperature,
            value_dim: spec.value_dim() as i32,
            value_scale: spec.value_scale,
            clip: spec.clip,
            gate: spec.gate,
            source: spec.source,
            value_norm: spec.value_norm,
            shares: spec.shares,
            lends: spec.lends,
            places: spec.by_turns.then(|| {
                let (keys, group) = (spec.kv_heads, spec.heads / spec.kv_heads);
                let place = |head: usize| (head % keys * group + head / keys) as i32;
                Array::from_iter((0..spec.heads).map(place), &[spec.heads as i32])
            }),
            plain_eps: spec.qk_norm_eps.unwrap_or(PLAIN_EPS),
            stretch,
        }
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let parts = &self.parts;
        let mut arrays = parts.qkv.arrays();
        arrays.extend(parts.output.arrays());
        if let Some((q, k)) = &parts.norms {
            arrays.extend(q.arrays().chain(k.arrays()));
        }
        arrays.extend(&parts.sinks);
        arrays
    }

    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array, at: &mut Context) -> Result<Array, Exception> {
        let mut qkv = self.parts.qkv.forward(x)?;
        let mut gate = None;
        if self.gate != OutputGate::None {
            let own = match self.source {
                KvSource::Own | KvSource::Lent => self.width(),
                KvSource::Borrowed => self.heads * self.head_dim,
            };
            let [own, after] = split(&qkv, own, 1)?;
            (qkv, gate) = (own, Some(after));
        }
        match (self.source, &*at.lent) {
            (KvSource::Lent, _) => {
                *at.lent = Some(split(&qkv, self.heads * self.head_dim, 1)?[1].clone());
            }
            (KvSource::Borrowed, Some(lent)) => qkv = ops::concatenate(&[&qkv, lent], 1)?,
            _ => {}
        }
        if let Some(limit) = self.clip {
            qkv = within(&qkv, limit)?;
        }
        if let (QkNorm::Whole, Some((q_norm, k_norm))) = (self.norm, &self.parts.norms) {
            let [q, rest] = split(&qkv, self.heads * self.head_dim, 1)?;
            let [k, v] = split(&rest, self.kv_heads * self.head_dim, 1)?;
            let (q, k) = (q_norm.forward(&q)?, k_norm.forward(&k)?);
            qkv = ops::concatenate(&[q, k, v], 1)?;
        }
        let mut mixed = match self.shares {
            Some(layer) => self.mix_shared(&qkv, layer, at)?,
            None => self.mix(&qkv, at.plan, at)?,
        };
        mixed = self.in_order(mixed)?;
        if let Some(gate) = gate {
            mixed = self.gated(&mixed, &gate)?;
        }
        self.parts.output.forward(&mixed)
    }

    /// `mixed [T, heads · value_dim]` times what the gate's numbers say.
    fn gated(&self, mixed: &Array, gate: &Array) -> Result<Array, Exception> {
        let factors = match self.gate {
            OutputGate::None => return Ok(mixed.clone()),
            OutputGate::WithQueries | OutputGate::Whole => {
                return mixed.multiply(ops::sigmoid(gate)?);
            }
            OutputGate::ByHead => ops::sigmoid(gate)?,
            OutputGate::ByHeadSoftplus => {
                let exact = gate.as_dtype(Dtype::Float32)?;
                ops::logaddexp(exact, Array::from_f32(0.0))?
            }
        };
        let rows = mixed.dim(0);
        let heads = mixed.reshape(&[rows, self.heads, self.value_dim])?;
        let factors = factors.as_dtype(mixed.dtype())?.expand_dims(-1)?;
        heads.multiply(factors)?.reshape(mixed.shape())
    }

    /// Numbers of a row of queries, keys and values.
    fn width(&self) -> i32 {
        (self.heads + self.kv_heads) * self.head_dim + self.kv_heads * self.value_dim
    }

    fn mix(&self, qkv: &Array, plan: &Plan, at: &mut Context) -> Result<Array, Exception> {
        let few = plan.leading_few(self.few_rows(qkv, plan));
        if let Some(mixed) = self.decode_in_place(qkv, few, at)? {
            return self.with_chunks(mixed, qkv, few, at);
        }
        let is_static = self.rope.as_ref().is_none_or(Rope::is_static);
        match (plan.sequences, &plan.positions) {
            ([only], _) => self.chunk(qkv, only, at),
            (_, Some(positions)) if is_static => self.decode_rows(qkv, positions, at),
            _ => self.chunks(qkv, 0, at),
        }
    }

    /// All sequences from the `first` on, `qkv` being their rows.
    fn chunks(&self, qkv: &Array, first: usize, at: &mut Context) -> Result<Array, Exception> {
        let sequences = &at.plan.sequences[first..];
        if let [only] = sequences {
            return self.chunk(qkv, only, at);
        }
        let start = first
            .checked_sub(1)
            .map_or(0, |before| at.plan.cuts[before]);
        let cuts: Vec<i32> = at.plan.cuts[first..]
            .iter()
            .map(|cut| cut - start)
            .collect();
        let parts = qkv.split_at_indices(&cuts, 0)?;
        let mixed: Result<Vec<Array>, _> = parts
            .iter()
            .zip(sequences)
            .map(|(part, rows)| self.chunk(part, rows, at))
            .collect();
        ops::concatenate(&mixed?, 0)
    }

    /// `mixed`, of the first `few` sequences with so many rows, followed by the
    /// others.
    fn with_chunks(
        &self,
        mixed: Array,
        qkv: &Array,
        (few, rows): (usize, usize),
        at: &mut Context,
    ) -> Result<Array, Exception> {
        if few == at.plan.sequences.len() {
            return Ok(mixed);
        }
        let parts = qkv.split_at_indices(&[rows as i32], 0)?;
        let rest = self.chunks(&parts[1], few, at)?;
        ops::concatenate(&[mixed, rest], 0)
    }

    /// Rows of one sequence: `[T, (heads + 2 kv_heads) · head_dim]` to
    /// `[T, heads · head_dim]`.
    fn chunk(
        &self,
        qkv: &Array,
        rows: &SequenceRows,
        at: &mut Context,
    ) -> Result<Array, Exception> {
        if let Some(mixed) = self.chunk_in_place(qkv, rows, at)? {
            return Ok(mixed);
        }
        let count = rows.rows as i32;
        let [q, k, v] = self.chunk_heads(qkv, rows, at.plan)?;
        let mixed = self.attend(q, k, v, rows.sequence, at)?;
        match count {
            1 => mixed.reshape(&[1, self.heads * self.value_dim]),
            _ => mixed
                .transpose_axes(&[0, 2, 1, 3])?
                .reshape(&[count, self.heads * self.value_dim]),
        }
    }

    /// Queries, keys and values `[1, heads, T, head_dim]` of rows of one
    /// sequence, normed and rotated.
    fn chunk_heads(
        &self,
        qkv: &Array,
        rows: &SequenceRows,
        plan: &Plan,
    ) -> Result<[Array; 3], Exception> {
        if let Some(turns) = self.turns(qkv.dtype()) {
            let table = plan.row_table(vec![rows.position, 0, 0, 0, 0], mlx::ROW_FIELDS);
            return mlx::spread_heads(qkv, &self.decode, self.norms(), turns, &table);
        }
        self.heads(qkv, [1, rows.rows as i32], Places::From(rows.position))
    }

    /// One row of each of several sequences: normed and rotated together.
    fn decode_rows(
        &self,
        qkv: &Array,
        positions: &Array,
        at: &mut Context,
    ) -> Result<Array, Exception> {
        let sequences = at.plan.sequences;
        let count = sequences.len() as i32;
        let [q, k, v] = self.heads(qkv, [count, 1], Places::Each(positions, sequences))?;
        let q = q.split_equal(count, 0)?;
        let k = k.split_equal(count, 0)?;
        let v = v.split_equal(count, 0)?;
        let mut mixed = Vec::with_capacity(sequences.len());
        for (((rows, q), k), v) in sequences.iter().zip(q).zip(k).zip(v) {
            mixed.push(self.attend(q, k, v, rows.sequence, at)?);
        }
        ops::concatenate(&mixed, 0)?.reshape(&[count, self.heads * self.value_dim])
    }

    /// Stores `k` and `v` and mixes what `q [1, heads, T, head_dim]` may see.
    fn attend(
        &self,
        q: Array,
        k: Array,
        v: Array,
        sequence: usize,
        at: &mut Context,
    ) -> Result<Array, Exception> {
        let past = Rc::new(at.kv.update(sequence, at.layer, k, v)?);
        if self.lends {
            at.plan.lend([at.layer, sequence], &past);
        }
        self.attend_past(&q, &past, at)
    }

    /// Mixes what `q [1, heads, T, head_dim]` may see of a sequence.
    fn attend_past(&self, q: &Array, past: &Past, at: &Context) -> Result<Array, Exception> {
        let view = at.plan.view(self.sight, q.dim(2), past.positions());
        let mask = view.mask(at.plan, q.dtype())?;
        let scoring = mlx::Scoring {
            scale: self.scale,
            causal: view.rows > 1 && mask.is_none(),
            mask: mask.as_ref(),
            sinks: self.parts.sinks.as_ref(),
            cap: self.cap,
        };
        if view.skip() == 0 {
            return past.attend(q, scoring);
        }
        let [keys, values] = past.numbers()?;
        mlx::attention(q, &view.seen(keys)?, &view.seen(values)?, scoring)
    }
}
