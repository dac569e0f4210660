//! The weights of mixers that carry on a state.

use mlx_rs::{Array, ops};

use super::Builder;
use crate::models::{
    ModelError,
    blocks::{
        CausalConv, GatedDelta, Lightning, Linear, Mamba, Mamba2, Norm, Projections, RgLru, Rope,
        ShortConv, Through,
    },
    spec::{
        DeltaLayout, GatedDeltaSpec, LightningSpec, Mamba2Spec, MambaLayout, MambaSpec, RgLruSpec,
        ShortConvSpec, StepNorms,
    },
};

/// The convolution before the gated delta rule.
pub(super) const DELTA_CONV: &str = "linear_attn.conv1d";

impl Builder<'_> {
    pub(super) fn short_conv(&mut self, spec: &ShortConvSpec) -> Result<ShortConv, ModelError> {
        let (hidden, width) = (self.spec.hidden, spec.width);
        Ok(ShortConv {
            input: self.linear("conv.in_proj", 3 * width, hidden, spec.bias)?,
            conv: self.conv("conv.conv", [width, spec.kernel], spec.bias)?,
            output: self.linear("conv.out_proj", hidden, width, spec.bias)?,
        })
    }

    /// A convolution stored as `[channels, kernel, 1]` or, as PyTorch does,
    /// `[channels, 1, kernel]`.
    fn conv_weight(
        &mut self,
        module: &str,
        [channels, kernel]: [usize; 2],
    ) -> Result<Array, ModelError> {
        let name = self.in_layer(&format!("{module}.weight"));
        let torch = [channels, 1, kernel];
        let shape = match self.source.stored(&name) {
            Some(stored) if stored == torch => torch,
            _ => [channels, kernel, 1],
        };
        let weight = self.source.exact(&name, &shape)?;
        Ok(weight.reshape(&[channels as i32, kernel as i32])?)
    }

    fn conv(
        &mut self,
        module: &str,
        [channels, kernel]: [usize; 2],
        bias: bool,
    ) -> Result<CausalConv, ModelError> {
        let weight = self.conv_weight(module, [channels, kernel])?;
        let bias = match bias {
            true => {
                let name = self.in_layer(&format!("{module}.bias"));
                Some(self.source.exact(&name, &[channels])?)
            }
            false => None,
        };
        Ok(CausalConv::new(&weight, bias)?)
    }

    pub(super) fn gated_delta(&mut self, spec: &GatedDeltaSpec) -> Result<GatedDelta, ModelError> {
        let (hidden, values) = (self.spec.hidden, spec.values());
        let (module, norm, output) = match spec.layout {
            DeltaLayout::ByKeyHead | DeltaLayout::Joined => ("linear_attn", "norm", "out_proj"),
            DeltaLayout::Apart => ("linear_attn", "o_norm", "o_proj"),
            DeltaLayout::LowRank => ("self_attn", "o_norm", "o_proj"),
        };
        let name = |part: &str| format!("{module}.{part}");
        let norm = self.tensor(&name(&format!("{norm}.weight")), &[spec.value_dim])?;
        let (heads, decays) = (spec.value_heads, spec.decays());
        let slopes = match spec.layout {
            DeltaLayout::LowRank => {
                let slopes = self.slopes(&name("A_log"), &[1, 1, heads, 1])?;
                slopes.reshape(&[heads as i32, 1])?
            }
            _ => self.slopes(&name("A_log"), &[heads])?,
        };
        let low_rank = match spec.layout {
            DeltaLayout::LowRank => Some([
                self.low_rank([&name("f_a_proj"), &name("f_b_proj")], spec, decays)?,
                self.low_rank([&name("g_a_proj"), &name("g_b_proj")], spec, values)?,
            ]),
            _ => None,
        };
        Ok(GatedDelta {
            spec: *spec,
            input: Projections::new(self.delta_input(spec, module)?)?,
            low_rank,
            conv: self.delta_conv(spec, module)?,
            slopes,
            step_bias: self.exact(&name("dt_bias"), &[decays])?,
            norm: Norm::rms(norm, spec.norm_eps),
            output: self.linear(&name(output), hidden, values, false)?,
        })
    }

    /// To `rows` numbers by way of a head's width.
    fn low_rank(
        &mut self,
        [down, up]: [&str; 2],
        spec: &GatedDeltaSpec,
        rows: usize,
    ) -> Result<Through, ModelError> {
        let (hidden, rank) = (self.spec.hidden, spec.value_dim);
        Ok(Through {
            down: self.linear(down, rank, hidden, false)?,
            up: self.linear(up, rows, rank, false)?,
        })
    }

    /// One convolution, or one each for queries, keys and values.
    fn delta_conv(
        &mut self,
        spec: &GatedDeltaSpec,
        module: &str,
    ) -> Result<CausalConv, ModelError> {
        let ends = match spec.layout {
            DeltaLayout::ByKeyHead | DeltaLayout::Joined => {
                return self.conv(DELTA_CONV, [spec.channels(), spec.kernel], false);
            }
            DeltaLayout::Apart => ["q_conv1d", "k_conv1d", "v_conv1d"],
            DeltaLayout::LowRank => ["q_conv.conv", "k_conv.conv", "v_conv.conv"],
        };
        let widths = [spec.keys(), spec.keys(), spec.values()];
        let mut weights = Vec::with_capacity(3);
        for (end, width) in ends.into_iter().zip(widths) {
            let part = format!("{module}.{end}");
            weights.push(self.conv_weight(&part, [width, spec.kernel])?);
        }
        Ok(CausalConv::new(&ops::concatenate(&weights, 0)?, None)?)
    }

    /// Queries, keys and values, β, and, unless they are of low rank, decays
    /// and gates.
    fn delta_input(
        &mut self,
        spec: &GatedDeltaSpec,
        module: &str,
    ) -> Result<Vec<Linear>, ModelError> {
        let (heads, keys, values) = (spec.value_heads, spec.keys(), spec.values());
        let parts = match spec.layout {
            DeltaLayout::ByKeyHead => return self.delta_by_key_head(spec),
            DeltaLayout::Joined => vec![
                ("in_proj_qkv", spec.channels()),
                ("in_proj_b", heads),
                ("in_proj_a", heads),
                ("in_proj_z", values),
            ],
            DeltaLayout::Apart | DeltaLayout::LowRank => vec![
                ("q_proj", keys),
                ("k_proj", keys),
                ("v_proj", values),
                ("b_proj", heads),
                ("a_proj", heads),
                ("g_proj", values),
            ],
        };
        let count = match spec.layout {
            DeltaLayout::LowRank => 4,
            _ => parts.len(),
        };
        let linear = |(part, rows): (&str, usize)| {
            self.linear(&format!("{module}.{part}"), rows, self.spec.hidden, false)
        };
        parts.into_iter().take(count).map(linear).collect()
    }

    fn delta_by_key_head(&mut self, spec: &GatedDeltaSpec) -> Result<Vec<Linear>, ModelError> {
        let (hidden, heads) = (self.spec.hidden, spec.value_heads);
        let both = spec.channels() + spec.values();
        let both = self.linear("linear_attn.in_proj_qkvz", both, hidden, false)?;
        let scalars = self.linear("linear_attn.in_proj_ba", 2 * heads, hidden, false)?;
        // Each key head has what belongs to it in one piece.
        let share = heads / spec.key_heads;
        let values = share * spec.value_dim;
        let keys = spec.key_dim;
        let rows = |piece: usize, start: usize, count: usize| -> Vec<i32> {
            let of_head = |head| (head * piece + start..).take(count).map(|row| row as i32);
            (0..spec.key_heads).flat_map(of_head).collect()
        };
        let piece = 2 * keys + 2 * values;
        let part = |start, count| both.select(&rows(piece, start, count));
        let (queries, key) = (part(0, keys)?, part(keys, keys)?);
        let (value, gate) = (part(2 * keys, values)?, part(2 * keys + values, values)?);
        let weights = scalars.select(&rows(2 * share, 0, share))?;
        let decays = scalars.select(&rows(2 * share, share, share))?;
        Ok(vec![queries, key, value, weights, decays, gate])
    }

    pub(super) fn mamba(&mut self, spec: &MambaSpec) -> Result<Mamba, ModelError> {
        let (hidden, width) = (self.spec.hidden, spec.width());
        let name = |part: &str| format!("{}.{part}", spec.module);
        let (rank, state, heads) = (spec.step_rank, spec.state, spec.heads);
        let mut input = self.linear(&name("in_proj"), 2 * width, hidden, spec.in_bias)?;
        let (select, step_bias, slopes) = match spec.layout {
            MambaLayout::Each => (
                self.linear(&name("x_proj"), spec.selected(), width, false)?,
                self.exact(&name("dt_proj.bias"), &[heads])?,
                self.slopes(&name("A_log"), &[heads, state])?,
            ),
            MambaLayout::ByHead => {
                let of_heads = |first: usize| {
                    let of_head = move |head| (2 * head + first) * spec.head_dim;
                    let starts = (0..heads).map(of_head);
                    starts.flat_map(|start| start..start + spec.head_dim)
                };
                let rows: Vec<i32> = of_heads(1).chain(of_heads(0)).map(|r| r as i32).collect();
                input = input.select(&rows)?;
                let select = self.linear(&name("bcdt_proj"), spec.selected(), width, false)?;
                let steps_first = (2 * state..2 * state + rank).chain(0..2 * state);
                let rows: Vec<i32> = steps_first.map(|row| row as i32).collect();
                (
                    select.select(&rows)?,
                    self.exact(&name("dt_bias"), &[heads])?,
                    self.slopes(&name("A_log"), &[heads])?,
                )
            }
        };
        Ok(Mamba {
            spec: *spec,
            input,
            conv: self.conv(&name("conv1d"), [width, spec.kernel], spec.conv_bias)?,
            select,
            norms: self.step_norms(spec)?,
            step: self.linear(&name("dt_proj"), heads, rank, false)?,
            step_bias,
            slopes,
            skip: self.exact(&name("D"), &[heads])?,
            output: self.linear(&name("out_proj"), hidden, width, spec.out_bias)?,
        })
    }

    /// Of what time steps come from, of keys and of queries.
    fn step_norms(&mut self, spec: &MambaSpec) -> Result<Option<[Norm; 3]>, ModelError> {
        let (names, eps) = match (spec.norms, spec.layout) {
            (StepNorms::None, _) => return Ok(None),
            (StepNorms::Plain(eps), _) => {
                let plain = Norm {
                    weight: None,
                    bias: None,
                    eps,
                    centred: false,
                };
                return Ok(Some([plain.clone(), plain.clone(), plain]));
            }
            (StepNorms::Weighted, MambaLayout::Each) => (
                [
                    "dt_layernorm.weight",
                    "b_layernorm.weight",
                    "c_layernorm.weight",
                ],
                self.spec.norm.eps,
            ),
            (StepNorms::Weighted, MambaLayout::ByHead) => (
                ["dt_norm_weight", "B_norm_weight", "C_norm_weight"],
                self.spec.norm.eps,
            ),
        };
        let mut norm = |name: &str, width: usize| {
            let weight = self.tensor(&format!("{}.{name}", spec.module), &[width])?;
            Ok::<_, ModelError>(Norm::rms(weight, eps))
        };
        let [steps, keys, queries] = names;
        Ok(Some([
            norm(steps, spec.step_rank)?,
            norm(keys, spec.state)?,
            norm(queries, spec.state)?,
        ]))
    }

    pub(super) fn lightning(&mut self, spec: &LightningSpec) -> Result<Lightning, ModelError> {
        let (hidden, width, names) = (self.spec.hidden, spec.width(), self.spec.names);
        let name = |part: &str| format!("{}.{part}", spec.module);
        let norm = self.tensor(&name("g_norm.weight"), &[width])?;
        let norms = match spec.qk_norm {
            true => {
                let [q, k] = [names.q_norm, names.k_norm].map(|name| self.in_layer(name));
                Some((self.norm(q, spec.head_dim)?, self.norm(k, spec.head_dim)?))
            }
            false => None,
        };
        Ok(Lightning {
            input: self.linear(names.fused_qkv, 3 * width, hidden, spec.qkv_bias)?,
            norms,
            rope: Rope::new(&spec.rope, spec.head_dim),
            decays: Array::from_slice(&spec.decays, &[spec.heads() as i32]),
            gate: self.linear(&name("g_proj"), width, hidden, false)?,
            norm: Norm::rms(norm, self.spec.norm.eps),
            output: self.linear(names.output, hidden, width, spec.output_bias)?,
            spec: spec.clone(),
        })
    }

    pub(super) fn rg_lru(&mut self, spec: &RgLruSpec) -> Result<RgLru, ModelError> {
        let (hidden, width) = (self.spec.hidden, spec.width);
        let name = |part: &str| format!("{}.{part}", spec.module);
        let dim = width / spec.heads;
        let mut gate = |kind: &str| {
            let part = |part: &str| name(&format!("rg_lru.{kind}_{part}"));
            let weight = self.tensor(&part("weight"), &[spec.heads, dim, dim])?;
            Ok::<_, ModelError>((weight, self.exact(&part("bias"), &[spec.heads, dim])?))
        };
        let (input_gate, decay_gate) = (gate("input_gate")?, gate("recurrent_gate")?);
        let rates = self.exact(&name("rg_lru.recurrent_param"), &[width])?;
        Ok(RgLru {
            spec: *spec,
            gate: self.linear(&name("linear_y"), width, hidden, true)?,
            input: self.linear(&name("linear_x"), width, hidden, true)?,
            conv: self.conv(&name("conv_1d"), [width, spec.kernel], true)?,
            input_gate,
            decay_gate,
            rates: ops::logaddexp(&rates, Array::from_f32(0.0))?,
            output: self.linear(&name("linear_out"), hidden, width, true)?,
        })
    }

    pub(super) fn mamba2(&mut self, spec: &Mamba2Spec) -> Result<Mamba2, ModelError> {
        let (hidden, width) = (self.spec.hidden, spec.width());
        let name = |part: &str| format!("{}.{part}", spec.module);
        let conv = name("conv1d");
        if spec.converted {
            self.check_converted(&conv)?;
        }
        let norm = match spec.norm_groups {
            None => None,
            Some(_) => {
                let weight = self.tensor(&name("norm.weight"), &[width])?;
                Some(Norm::rms(weight, self.spec.norm.eps))
            }
        };
        Ok(Mamba2 {
            spec: *spec,
            input: self.linear(&name("in_proj"), spec.inputs(), hidden, spec.in_bias)?,
            conv: self.conv(&conv, [spec.channels(), spec.kernel], spec.conv_bias)?,
            slopes: self.slopes(&name("A_log"), &[spec.heads])?,
            step_bias: self.exact(&name("dt_bias"), &[spec.heads])?,
            skip: self.exact(&name("D"), &[spec.heads])?,
            norm,
            output: self.linear(&name("out_proj"), hidden, width, spec.out_bias)?,
        })
    }

    /// Refuses convolutions that are stored as PyTorch does.
    fn check_converted(&self, module: &str) -> Result<(), ModelError> {
        let name = self.in_layer(&format!("{module}.weight"));
        match self.source.stored(&name).as_deref() {
            Some([_, 1, kernel]) if *kernel > 1 => Err(ModelError::Unconverted { tensor: name }),
            _ => Ok(()),
        }
    }

    /// −e^x of a tensor that holds the ln of rates of decay.
    fn slopes(&mut self, part: &str, shape: &[usize]) -> Result<Array, ModelError> {
        let log_rates = self.exact(part, shape)?;
        Ok(log_rates.exp()?.negative()?)
    }

    /// A tensor of the layer that is being built, in f32.
    fn exact(&mut self, part: &str, shape: &[usize]) -> Result<Array, ModelError> {
        let name = self.in_layer(part);
        self.source.exact(&name, shape)
    }
}
