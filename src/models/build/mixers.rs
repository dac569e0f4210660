//! The weights of what mixes tokens.

use std::iter;

use mlx_rs::{Array, Dtype, ops};

use super::Builder;
use crate::models::{
    ModelError,
    blocks::{Attention, AttentionParts, Linear, Mixer, Norm, Projections},
    spec::{AttentionSpec, KvSource, MixerSpec, OutputGate, QkNorm, QkvLayout},
};

impl Builder<'_> {
    pub(super) fn mixer(&mut self, spec: &MixerSpec) -> Result<Mixer, ModelError> {
        Ok(match spec {
            MixerSpec::Attention(spec) => Mixer::Attention(self.attention(spec)?),
            MixerSpec::Linear { bias } => {
                let hidden = self.spec.hidden;
                Mixer::Linear(self.linear(self.spec.names.linear[0], hidden, hidden, *bias)?)
            }
            MixerSpec::Mla(spec) => Mixer::Mla(Box::new(self.mla(spec)?)),
            MixerSpec::ShortConv(spec) => Mixer::ShortConv(self.short_conv(spec)?),
            MixerSpec::GatedDelta(spec) => Mixer::GatedDelta(self.gated_delta(spec)?),
            MixerSpec::Mamba(spec) => Mixer::Mamba(self.mamba(spec)?),
            MixerSpec::Mamba2(spec) => Mixer::Mamba2(self.mamba2(spec)?),
            MixerSpec::Lightning(spec) => Mixer::Lightning(self.lightning(spec)?),
            MixerSpec::RgLru(spec) => Mixer::RgLru(self.rg_lru(spec)?),
            MixerSpec::Both(attention, mamba) => {
                let mamba = self.mamba2(mamba)?;
                Mixer::Both(Box::new((self.attention(attention)?, mamba)))
            }
        })
    }

    fn attention(&mut self, spec: &AttentionSpec) -> Result<Attention, ModelError> {
        let (hidden, names) = (self.spec.hidden, self.spec.names);
        let parts = AttentionParts {
            qkv: Projections::new(self.qkv(spec)?)?,
            output: self.linear(names.output, hidden, spec.output_width(), spec.output_bias)?,
            norms: self.qk_norms(spec)?,
            sinks: match spec.sinks {
                true => Some(self.tensor(names.sinks, &[spec.heads])?),
                false => None,
            },
        };
        Ok(Attention::new(spec, parts))
    }

    /// The norms of queries and keys that have weights.
    fn qk_norms(&mut self, spec: &AttentionSpec) -> Result<Option<(Norm, Norm)>, ModelError> {
        let names = self.spec.names;
        let [q, k] = [names.q_norm, names.k_norm].map(|name| self.in_layer(name));
        let eps = spec.qk_norm_eps.unwrap_or(self.spec.norm.eps);
        let (q, k) = match spec.qk_norm {
            QkNorm::None | QkNorm::Plain => return Ok(None),
            QkNorm::Head | QkNorm::HeadAfter if spec.shares.is_some() => {
                let q = self.norm(q, spec.head_dim)?;
                (q.clone(), q)
            }
            QkNorm::Head | QkNorm::HeadAfter => {
                (self.norm(q, spec.head_dim)?, self.norm(k, spec.head_dim)?)
            }
            QkNorm::Whole => {
                let (queries, keys) = (spec.query_width(), spec.kv_width());
                (self.norm(q, queries)?, self.norm(k, keys)?)
            }
            QkNorm::EachHead => (
                self.norm_by_head(&q, [spec.heads, spec.head_dim])?,
                self.norm_by_head(&k, [spec.kv_heads, spec.head_dim])?,
            ),
        };
        Ok(Some((Norm { eps, ..q }, Norm { eps, ..k })))
    }

    /// A norm with a weight for each head, in one tensor or in one each. The
    /// name may be that of the weight itself.
    fn norm_by_head(&mut self, module: &str, [heads, dim]: [usize; 2]) -> Result<Norm, ModelError> {
        let weight = match module.contains("{}") {
            false => {
                let name = match module.ends_with("weight") {
                    true => module.to_owned(),
                    false => format!("{module}.weight"),
                };
                self.source.tensor(&name, &[heads, dim])?
            }
            true => {
                let each = |head: usize| {
                    let module = module.replace("{}", &head.to_string());
                    self.source.tensor(&format!("{module}.weight"), &[dim])
                };
                let each: Result<Vec<Array>, ModelError> = (0..heads).map(each).collect();
                ops::stack(&each?, 0)?
            }
        };
        Ok(Norm {
            weight: Some(weight.reshape(&[heads as i32, 1, dim as i32])?),
            bias: None,
            eps: self.spec.norm.eps,
            centred: self.spec.norm.centred,
        })
    }

    /// Queries, keys, values, and the gate if there is one.
    fn qkv(&mut self, spec: &AttentionSpec) -> Result<Vec<Linear>, ModelError> {
        let (hidden, names, bias) = (self.spec.hidden, self.spec.names, spec.qkv_bias);
        let (queries, keys) = (spec.query_width(), spec.kv_width());
        let values = spec.value_width();
        let gate = match spec.gate_width() {
            0 => None,
            width => Some(self.linear(names.gate, width, hidden, false)?),
        };
        // Projections have biases together or none has.
        let gate = gate.map(|gate| with_bias(gate, spec, self.precision.activations));
        let gate = gate.transpose()?;
        if spec.qkv != QkvLayout::Apart {
            let all = self.linear(names.fused_qkv, queries + keys + values, hidden, bias)?;
            let all = match spec.qkv {
                QkvLayout::ByGroup => all.select(&rows_by_kind(spec))?,
                QkvLayout::Apart | QkvLayout::Joined => all,
            };
            return Ok(iter::once(all).chain(gate).collect());
        }
        let [q, k, v] = names.qkv;
        if spec.shares.is_some() {
            return Ok(vec![self.linear(q, queries, hidden, bias)?]);
        }
        if spec.source == KvSource::Borrowed {
            let query = self.linear(q, queries, hidden, bias)?;
            return Ok(iter::once(query).chain(gate).collect());
        }
        let key = self.linear(k, keys, hidden, bias)?;
        let value = match spec.keys_as_values {
            true => key.clone(),
            false => self.linear(v, values, hidden, bias)?,
        };
        if spec.gate != OutputGate::WithQueries {
            let mut query = self.linear(q, queries, hidden, bias)?;
            if spec.by_turns {
                query = query.select(&rows_of_neighbours(spec))?;
            }
            return Ok([query, key, value].into_iter().chain(gate).collect());
        }
        // Each head's queries are followed by its gate.
        let both = self.linear(q, 2 * queries, hidden, bias)?;
        let half = |second: bool| {
            let of_head = |head| {
                let start = (2 * head + usize::from(second)) * spec.head_dim;
                (start..start + spec.head_dim).map(|row| row as i32)
            };
            let rows: Vec<i32> = (0..spec.heads).flat_map(of_head).collect();
            both.select(&rows)
        };
        Ok(vec![half(false)?, key, value, half(true)?])
    }
}

/// The gate of attention with zeros for biases, if queries have some.
fn with_bias(gate: Linear, spec: &AttentionSpec, dtype: Dtype) -> Result<Linear, ModelError> {
    let bias = match spec.qkv_bias {
        true => Some(ops::zeros_dtype(&[spec.gate_width() as i32], dtype)?),
        false => None,
    };
    Ok(Linear { bias, ..gate })
}

/// The rows of queries whose heads share keys by turns, so that those who share
/// them are neighbours.
fn rows_of_neighbours(spec: &AttentionSpec) -> Vec<i32> {
    let group = spec.heads / spec.kv_heads;
    let heads =
        (0..spec.kv_heads).flat_map(|key| (0..group).map(move |round| round * spec.kv_heads + key));
    let rows = heads.flat_map(|head| head * spec.head_dim..(head + 1) * spec.head_dim);
    rows.map(|row| row as i32).collect()
}

/// The rows of a matrix that has them by key head, so that all queries come
/// first, then all keys, then all values.
fn rows_by_kind(spec: &AttentionSpec) -> Vec<i32> {
    let (dim, group) = (spec.head_dim, spec.heads / spec.kv_heads);
    let heads = |first: usize, count: usize| {
        let of_key_head = move |head: usize| {
            let start = (head * (group + 2) + first) * dim;
            start..start + count * dim
        };
        (0..spec.kv_heads).flat_map(of_key_head)
    };
    let rows = heads(0, group)
        .chain(heads(group, 1))
        .chain(heads(group + 1, 1));
    rows.map(|row| row as i32).collect()
}
