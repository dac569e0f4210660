//! A mixture of experts: a router chooses some of many gated MLPs for each row.
//!
//! Choices stay on the device. On GPUs many rows are sorted by expert, so that
//! each expert's rows are multiplied together.

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{ExpertLinear, Linear, Mlp, Through, on_gpu, split};
use crate::{
    mlx::ExpertRows,
    models::spec::{Activation, GroupScore, Routing, Score, SharedWeight},
};

/// Rows from which on sorting pays.
const SORT_FROM: i32 = 64;

#[derive(Debug, Clone)]
pub struct Moe {
    pub router: Router,
    /// Experts from this one on give back what they get.
    pub identities_from: Option<u32>,
    /// To what experts see, and back from what they give.
    pub latent: Option<Through>,
    /// Whether experts have gates.
    pub gated: bool,
    /// Gate, where there is one, and up side by side, or each alone where they
    /// are stored in different ways.
    pub gate_up: Vec<ExpertLinear>,
    pub down: ExpertLinear,
    pub activation: Activation,
    pub shared: Option<Shared>,
}

/// Chooses `active` experts for each row.
#[derive(Debug, Clone)]
pub struct Router {
    pub linear: Linear,
    /// `[experts]`, f32.
    pub correction: Option<Array>,
    pub routing: Routing,
    pub active: i32,
}

/// The expert that every row goes through.
#[derive(Debug, Clone)]
pub struct Shared {
    pub mlp: Mlp,
    pub weight: SharedWeight,
    /// What makes the weight: one number a row, or the shares of both.
    pub gate: Option<Linear>,
}

impl Moe {
    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array) -> Result<Array, Exception> {
        let (experts, weights) = self.router.forward(x)?;
        let (experts, weights, back) = self.without_identities(experts, weights)?;
        let mixed = match &self.latent {
            Some(latent) => {
                let mixed = self.mix(&latent.down.forward(x)?, &experts, &weights)?;
                latent.up.forward(&mixed)?
            }
            None => self.mix(x, &experts, &weights)?,
        };
        let mixed = match back {
            Some(back) => mixed.add(x.multiply(back.as_dtype(x.dtype())?)?)?,
            None => mixed,
        };
        match &self.shared {
            Some(shared) => shared.add_to(&mixed, x),
            None => Ok(mixed),
        }
    }

    /// Weights of zero, and another expert, in the place of those that give back
    /// what they get; and these's weights in all, `[T, 1]`.
    fn without_identities(
        &self,
        experts: Array,
        weights: Array,
    ) -> Result<(Array, Array, Option<Array>), Exception> {
        let Some(first) = self.identities_from else {
            return Ok((experts, weights, None));
        };
        let (none, zero) = (Array::from_slice(&[0u32], &[1]), Array::from_f32(0.0));
        let is_identity = experts.ge(Array::from_slice(&[first], &[1]))?;
        let back = ops::select(&is_identity, &weights, &zero)?.sum_axis(-1, true)?;
        let experts = ops::select(&is_identity, none, experts)?;
        let weights = ops::select(is_identity, zero, weights)?;
        Ok((experts, weights, Some(back)))
    }

    /// `experts` and `weights` are `[T, active]`.
    fn mix(&self, x: &Array, experts: &Array, weights: &Array) -> Result<Array, Exception> {
        let (rows, active) = (experts.dim(0), experts.dim(1));
        let width = x.dim(1);
        let weights = weights.expand_dims(-1)?;
        let weigh_input = self.router.routing.weigh_input;
        let (x, share) = match weigh_input {
            // Every expert has an input of its own.
            true => {
                let weighed = x.expand_dims(1)?.multiply(weights.as_dtype(x.dtype())?)?;
                (weighed.reshape(&[rows * active, width])?, 1)
            }
            false => (x.clone(), active),
        };
        let experts = experts.reshape(&[rows * active])?;
        let y = match on_gpu() && rows * active >= SORT_FROM {
            true => self.sorted(&x, &experts, share)?,
            false => self.experts(&x, rows_of(&experts, share, false))?,
        };
        let y = y.reshape(&[rows, active, width])?;
        let y = match weigh_input {
            true => y,
            false => y.multiply(weights)?,
        };
        y.sum_axis(1, false)?.as_dtype(x.dtype())
    }

    fn sorted(&self, x: &Array, experts: &Array, share: i32) -> Result<Array, Exception> {
        let order = ops::argsort_axis(experts, 0)?;
        let back = ops::argsort_axis(&order, 0)?;
        let share = Array::from_int(share).as_dtype(order.dtype())?;
        let x = x.take_axis(order.floor_divide(share)?, 0)?;
        let experts = experts.take_axis(&order, 0)?;
        let y = self.experts(&x, rows_of(&experts, 1, true))?;
        y.take_axis(back, 0)
    }

    fn experts(&self, x: &Array, rows: ExpertRows) -> Result<Array, Exception> {
        let parts: Result<Vec<Array>, _> = self
            .gate_up
            .iter()
            .map(|part| part.forward(x, rows))
            .collect();
        let gate_up = match &parts?[..] {
            [only] => only.clone(),
            parts => ops::concatenate(parts, 1)?,
        };
        let inner = match self.gated {
            true => self.activation.forward(&gate_up)?,
            false => self.activation.of(&gate_up)?,
        };
        self.down.forward(&inner, ExpertRows { share: 1, ..rows })
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = self.router.linear.arrays();
        arrays.extend(&self.router.correction);
        arrays.extend(self.gate_up.iter().flat_map(ExpertLinear::arrays));
        arrays.extend(self.down.arrays());
        arrays.extend(self.latent.iter().flat_map(Through::arrays));
        if let Some(shared) = &self.shared {
            arrays.extend(shared.mlp.arrays());
            arrays.extend(shared.gate.iter().flat_map(Linear::arrays));
        }
        arrays
    }
}

fn rows_of(experts: &Array, share: i32, sorted: bool) -> ExpertRows<'_> {
    ExpertRows {
        experts,
        share,
        sorted,
    }
}

impl Shared {
    /// What it makes of `x [T, hidden]` beside the chosen experts' `mixed`.
    fn add_to(&self, mixed: &Array, x: &Array) -> Result<Array, Exception> {
        let y = self.mlp.forward(x, &mut None)?;
        let Some(gate) = &self.gate else {
            return mixed.add(y);
        };
        let weights = gate.forward(x)?;
        if self.weight == SharedWeight::Shares {
            let [chosen, own] = split(&ops::softmax_axis(&weights, -1, true)?, 1, 1)?;
            return mixed.multiply(chosen)?.add(y.multiply(own)?);
        }
        mixed.add(y.multiply(ops::sigmoid(weights)?)?)
    }
}

impl Router {
    /// Experts (u32) and their weights (f32), both `[T, active]`.
    fn forward(&self, x: &Array) -> Result<(Array, Array), Exception> {
        let mut logits = self.linear.forward(x)?.as_dtype(Dtype::Float32)?;
        if let Some(cap) = self.routing.cap {
            let cap = Array::from_f32(cap);
            logits = ops::tanh(logits.divide(&cap)?)?.multiply(cap)?;
        }
        let scores = match self.routing.score {
            Score::SparseMixer { jitter } => return self.one_by_one(&logits, jitter),
            Score::Softmax => ops::softmax_axis(&logits, -1, true)?,
            Score::SoftmaxOfChosen => logits,
            Score::Sigmoid => ops::sigmoid(&logits)?,
            Score::SqrtSoftplus => ops::logaddexp(&logits, Array::from_f32(0.0))?.sqrt()?,
        };
        let mut judged = match &self.correction {
            Some(correction) => scores.add(correction)?,
            None => scores.clone(),
        };
        if self.routing.groups > self.routing.groups_kept {
            judged = self.without_worst_groups(&judged)?;
        }
        let experts = first(&judged.negative()?, self.active, -1)?;
        let mut weights = scores.take_along_axis(&experts, -1)?;
        if self.routing.score == Score::SoftmaxOfChosen {
            weights = ops::softmax_axis(&weights, -1, true)?;
        }
        if self.routing.normalise {
            weights = weights.divide(weights.sum_axis(-1, true)?)?;
        }
        if self.routing.scale != 1.0 {
            weights = weights.multiply(Array::from_f32(self.routing.scale))?;
        }
        Ok((experts, weights))
    }

    /// [`Score::SparseMixer`].
    fn one_by_one(&self, logits: &Array, jitter: f32) -> Result<(Array, Array), Exception> {
        let lowest = Array::from_f32(f32::NEG_INFINITY);
        let reach = Array::from_f32(2.0 * jitter);
        let (mut left, mut experts, mut weights) = (logits.clone(), Vec::new(), Vec::new());
        for _ in 0..self.active {
            let best = left.max_axis(-1, true)?;
            let expert = ops::indexing::argmax_axis(&left, -1, true)?;
            let size = ops::maximum(logits.abs()?, &best)?;
            let far = best.subtract(logits)?.divide(size)?.gt(&reach)?;
            let near = ops::select(far, &lowest, &left)?;
            let shares = ops::softmax_axis(near, -1, true)?;
            weights.push(shares.take_along_axis(&expert, -1)?);
            let gone = ops::broadcast_to(&lowest, expert.shape())?;
            left = left.put_along_axis(&expert, gone, -1)?;
            experts.push(expert);
        }
        Ok((
            ops::concatenate(&experts, -1)?,
            ops::concatenate(&weights, -1)?,
        ))
    }

    /// `scores [T, experts]` with zeros for the experts of all groups but the
    /// best.
    fn without_worst_groups(&self, scores: &Array) -> Result<Array, Exception> {
        let (rows, experts) = (scores.dim(0), scores.dim(1));
        let groups = self.routing.groups as i32;
        let size = experts / groups;
        let grouped = scores.reshape(&[rows, groups, size])?;
        let worth = match self.routing.group_score {
            GroupScore::Best => grouped.max_axis(-1, true)?,
            GroupScore::TwoBest => {
                let best = ops::indexing::topk_axis(&grouped, 2.min(size), -1)?;
                best.sum_axis(-1, true)?
            }
        };
        let dropped = groups - self.routing.groups_kept as i32;
        let worst = first(&worth, dropped, -2)?;
        let worst = ops::broadcast_to(worst, &[rows, dropped, size])?;
        let zero = ops::zeros_dtype(&[rows, dropped, size], scores.dtype())?;
        let left = grouped.put_along_axis(worst, zero, -2)?;
        left.reshape(&[rows, experts])
    }
}

/// Places of the `count` least along an axis, in no order.
fn first(x: &Array, count: i32, axis: i32) -> Result<Array, Exception> {
    let order = ops::argpartition_axis(x, count - 1, axis)?;
    if order.dim(axis) == count {
        return Ok(order);
    }
    Ok(order.split_at_indices(&[count], axis)?.swap_remove(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::blocks::{GatedMlp, Matrix, Projections};

    fn values(shape: &[i32], seed: i32) -> Array {
        let size: i32 = shape.iter().product();
        let number = |i: i32| ((i * 37 + seed * 11) % 101) as f32 / 200.0 - 0.25;
        Array::from_iter((0..size).map(number), shape)
    }

    fn experts(shape: [i32; 3], seed: i32) -> ExpertLinear {
        ExpertLinear {
            weight: Matrix::Dense(values(&shape, seed)),
            bias: Some(values(&shape[..2], seed + 1)),
        }
    }

    #[test]
    fn sorting_rows_by_expert_changes_nothing() {
        let linear = |shape: [i32; 2], seed| Linear {
            weight: Matrix::Dense(values(&shape, seed)),
            bias: None,
        };
        let moe = Moe {
            router: Router {
                linear: linear([5, 32], 1),
                correction: None,
                routing: Routing::SOFTMAX,
                active: 2,
            },
            identities_from: None,
            latent: None,
            gated: true,
            gate_up: vec![experts([5, 48, 32], 2)],
            down: experts([5, 32, 24], 4),
            activation: Activation::Clamped,
            shared: Some(Shared {
                mlp: Mlp::Gated(GatedMlp {
                    gate_up: Projections::new(vec![linear([48, 32], 6)]).unwrap(),
                    down: linear([32, 24], 7),
                    activation: Activation::Gelu,
                }),
                weight: SharedWeight::Sigmoid,
                gate: Some(linear([1, 32], 8)),
            }),
        };
        let x = values(&[40, 32], 9);
        let (chosen, _) = moe.router.forward(&x).unwrap();
        let chosen = chosen.reshape(&[80]).unwrap();
        let plain = moe.experts(&x, rows_of(&chosen, 2, false)).unwrap();
        let sorted = moe.sorted(&x, &chosen, 2).unwrap();
        let numbers = |x: &Array| x.contiguous().unwrap().to_vec_cast::<f32>().unwrap();
        for (a, b) in numbers(&plain).iter().zip(numbers(&sorted)) {
            assert!((a - b).abs() < 1e-5, "{a} is not {b}");
        }
        assert_eq!(moe.forward(&x).unwrap().shape(), [40, 32]);
    }
}
