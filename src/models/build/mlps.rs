//! The weights of MLPs and mixtures of experts.

use mlx_rs::{Array, ops};

use super::Builder;
use crate::models::{
    ModelError,
    blocks::{
        ExpertLinear, GatedMlp, Mlp, Moe, PlainMlp, Projections, Router, Shared, Through, XieLu,
    },
    spec::{
        Activation, GateUpLayout, GatedSpec, MlpSpec, MoeSpec, PlainSpec, SharedSpec, SharedWeight,
    },
    weights::ExpertNames,
};

impl Builder<'_> {
    pub(super) fn mlp(&mut self, spec: &MlpSpec) -> Result<Mlp, ModelError> {
        Ok(match spec {
            MlpSpec::Gated(spec) => Mlp::Gated(self.gated(spec)?),
            MlpSpec::Plain(spec) => Mlp::Plain(self.plain(spec)?),
            MlpSpec::Linear { bias } => {
                let hidden = self.spec.hidden;
                Mlp::Linear(self.linear(self.spec.names.linear[1], hidden, hidden, *bias)?)
            }
            MlpSpec::Moe(spec) => Mlp::Moe(Box::new(self.moe(spec)?)),
            MlpSpec::WithShortcut(own, moe) => {
                let own = self.gated(own)?;
                Mlp::WithShortcut(Box::new((own, self.moe(moe)?)))
            }
        })
    }

    fn plain(&mut self, spec: &PlainSpec) -> Result<PlainMlp, ModelError> {
        let (hidden, inner) = (self.spec.hidden, spec.intermediate);
        let [up, down] = self.spec.names.plain;
        Ok(PlainMlp {
            up: self.linear(up, inner, hidden, spec.bias)?,
            down: self.linear(down, hidden, inner, spec.bias)?,
            activation: spec.activation,
            learned: match spec.activation {
                Activation::XieLu => Some(self.xielu()?),
                _ => None,
            },
        })
    }

    /// The numbers of xIELU; a file may keep each as a row of one.
    fn xielu(&mut self) -> Result<XieLu, ModelError> {
        let mut number = |part: &str| {
            let name = self.in_layer(&format!("{}.{part}", self.spec.names.activation));
            let shape = self.source.stored(&name).filter(|shape| *shape == [1]);
            let number = self.source.exact(&name, &shape.unwrap_or_default())?;
            Ok::<_, ModelError>(number.reshape(&[1])?)
        };
        let (positive, negative) = (number("alpha_p")?, number("alpha_n")?);
        let (beta, eps) = (number("beta")?, number("eps")?);
        Ok(XieLu::new(&positive, &negative, beta, eps)?)
    }

    fn gated(&mut self, spec: &GatedSpec) -> Result<GatedMlp, ModelError> {
        let (names, hidden) = (self.spec.names, self.spec.hidden);
        if spec.layout == GateUpLayout::Apart {
            let [gate, up] = names.gate_up;
            return self.three([gate, up, names.down], spec);
        }
        let inner = spec.intermediate;
        let mut gate_up = self.linear(names.fused_gate_up, 2 * inner, hidden, spec.bias)?;
        if spec.layout == GateUpLayout::UpFirst {
            let gate_first = (inner..2 * inner).chain(0..inner);
            gate_up = gate_up.select(&gate_first.map(|row| row as i32).collect::<Vec<_>>())?;
        }
        Ok(GatedMlp {
            gate_up: Projections::new(vec![gate_up])?,
            down: self.linear(names.down, hidden, spec.intermediate, spec.bias)?,
            activation: spec.activation,
        })
    }

    /// Gate, up and down by their names.
    fn three(
        &mut self,
        [gate, up, down]: [&str; 3],
        spec: &GatedSpec,
    ) -> Result<GatedMlp, ModelError> {
        let (hidden, inner) = (self.spec.hidden, spec.intermediate);
        let gate = self.linear(gate, inner, hidden, spec.bias)?;
        let up = self.linear(up, inner, hidden, spec.bias)?;
        Ok(GatedMlp {
            gate_up: Projections::new(vec![gate, up])?,
            down: self.linear(down, hidden, inner, spec.bias)?,
            activation: spec.activation,
        })
    }

    fn moe(&mut self, spec: &MoeSpec) -> Result<Moe, ModelError> {
        let (names, hidden, inner) = (spec.names, self.spec.hidden, spec.intermediate);
        let width = spec.latent.unwrap_or(hidden);
        let correction = self.correction(spec)?;
        let router = Router {
            linear: self.linear(names.router, spec.choices(), hidden, spec.router_bias)?,
            correction,
            routing: spec.routing,
            active: spec.active as i32,
        };
        let (gate_up, down) = match self.joined(spec)? {
            Some((gate_up, down)) => (vec![gate_up], down),
            None => {
                let gated = usize::from(!spec.gated)..2;
                let inputs = gated.map(|part| self.experts(spec, part, inner, width));
                let inputs = inputs.collect::<Result<_, _>>()?;
                let down = self.experts(spec, 2, width, inner)?;
                (ExpertLinear::stack(inputs)?, down)
            }
        };
        let latent = match spec.latent {
            Some(latent) => {
                let [down, up] = names.latent;
                Some(Through {
                    down: self.linear(down, latent, hidden, false)?,
                    up: self.linear(up, hidden, latent, false)?,
                })
            }
            None => None,
        };
        Ok(Moe {
            router,
            latent,
            gated: spec.gated,
            identities_from: (spec.identities > 0).then_some(spec.experts as u32),
            gate_up,
            down,
            activation: spec.activation,
            shared: spec.shared.map(|s| self.shared(spec, s)).transpose()?,
        })
    }

    /// Gate and up, and down, of all experts as their maker published them.
    fn joined(
        &mut self,
        spec: &MoeSpec,
    ) -> Result<Option<(ExpertLinear, ExpertLinear)>, ModelError> {
        let (joined, hidden, inner) = (spec.names.joined, self.spec.hidden, spec.intermediate);
        let [both, down] = [joined.gate_up, joined.down].map(|part| self.in_layer(part));
        let shape = [spec.experts, 2 * inner, hidden];
        let Some(weight) = self.source.joined(&both, shape, joined.transposed)? else {
            return Ok(None);
        };
        let mut gate_up = ExpertLinear {
            weight,
            bias: self.joined_bias(&both, spec, 2 * inner)?,
        };
        if joined.interleaved {
            let rows = 0..2 * inner as i32;
            let order: Vec<i32> = rows
                .clone()
                .step_by(2)
                .chain(rows.skip(1).step_by(2))
                .collect();
            gate_up = gate_up.select(&order)?;
        }
        let shape = [spec.experts, hidden, inner];
        let weight = self.source.joined(&down, shape, joined.transposed)?;
        let missing = || mlx_rs::error::Exception::custom(format!("{down} is missing"));
        let down = ExpertLinear {
            weight: weight.ok_or_else(missing)?,
            bias: self.joined_bias(&down, spec, hidden)?,
        };
        Ok(Some((gate_up, down)))
    }

    fn joined_bias(
        &mut self,
        name: &str,
        spec: &MoeSpec,
        rows: usize,
    ) -> Result<Option<Array>, ModelError> {
        if !spec.expert_bias {
            return Ok(None);
        }
        let bias = self
            .source
            .tensor(&format!("{name}_bias"), &[spec.experts, rows])?;
        Ok(Some(bias))
    }

    /// Gate (0), up (1) or down (2) of all experts.
    fn experts(
        &mut self,
        spec: &MoeSpec,
        part: usize,
        rows: usize,
        columns: usize,
    ) -> Result<ExpertLinear, ModelError> {
        let names = ExpertNames {
            stacked: self.in_layer(spec.names.stacked[part]),
            each: self.in_layer(spec.names.each[part]),
        };
        let shape = [spec.experts, rows, columns];
        let in_a_row = match spec.names.in_a_row {
            Some(names) => {
                let name = self.in_layer(names[part]);
                self.source.joined(&name, shape, part == 2)?
            }
            None => None,
        };
        let weight = match in_a_row {
            Some(weight) => weight,
            None => self.source.experts(&names, shape)?,
        };
        let bias = match spec.expert_bias {
            true => Some(self.expert_bias(&names, [spec.experts, rows])?),
            false => None,
        };
        Ok(ExpertLinear { weight, bias })
    }

    /// In one tensor, or one each.
    fn expert_bias(
        &mut self,
        names: &ExpertNames,
        [experts, rows]: [usize; 2],
    ) -> Result<Array, ModelError> {
        let stacked = format!("{}.bias", names.stacked);
        let each = |expert: usize| {
            let module = names.each.replace("{}", &expert.to_string());
            format!("{module}.bias")
        };
        if self.source.stored(&each(0)).is_none() {
            return self.source.tensor(&stacked, &[experts, rows]);
        }
        let biases = (0..experts).map(|expert| self.source.tensor(&each(expert), &[rows]));
        let biases: Result<Vec<Array>, ModelError> = biases.collect();
        Ok(ops::stack(&biases?, 0)?)
    }

    /// The correction of the scores, in one dimension or a row of two.
    fn correction(&mut self, spec: &MoeSpec) -> Result<Option<Array>, ModelError> {
        let name = self.in_layer(spec.names.correction);
        let stored = self.source.stored(&name);
        if !spec.routing.correction || (spec.names.correction_is_optional && stored.is_none()) {
            return Ok(None);
        }
        let flat = vec![spec.choices()];
        let row = vec![1, spec.choices()];
        let shape = stored.filter(|shape| *shape == row).unwrap_or(flat);
        let correction = self.source.exact(&name, &shape)?;
        Ok(Some(correction.reshape(&[spec.choices() as i32])?))
    }

    fn shared(&mut self, moe: &MoeSpec, spec: SharedSpec) -> Result<Shared, ModelError> {
        let gated = GatedSpec {
            intermediate: spec.intermediate,
            bias: spec.bias,
            activation: spec.activation,
            layout: GateUpLayout::Apart,
        };
        let (hidden, inner, name) = (self.spec.hidden, spec.intermediate, moe.names.shared_gate);
        let gate = match spec.weight {
            SharedWeight::None => None,
            SharedWeight::Sigmoid => Some(self.linear(name, 1, hidden, false)?),
            SharedWeight::Shares => Some(self.linear(name, 2, hidden, true)?),
        };
        let [first, second, down] = moe.names.shared;
        let mlp = if !moe.gated {
            Mlp::Plain(PlainMlp {
                up: self.linear(second, inner, hidden, spec.bias)?,
                down: self.linear(down, hidden, inner, spec.bias)?,
                activation: spec.activation,
                learned: None,
            })
        } else if first == second {
            // Gate and up are one matrix.
            let gate_up = self.linear(first, 2 * inner, hidden, spec.bias)?;
            Mlp::Gated(GatedMlp {
                gate_up: Projections::new(vec![gate_up])?,
                down: self.linear(down, hidden, inner, spec.bias)?,
                activation: spec.activation,
            })
        } else {
            Mlp::Gated(self.three(moe.names.shared, &gated)?)
        };
        Ok(Shared {
            mlp,
            weight: spec.weight,
            gate,
        })
    }
}
