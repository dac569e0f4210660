//! The weights of what mixes tokens.

use mlx_rs::Array;

use super::Builder;
use crate::models::{
    ModelError,
    blocks::{
        Attention, AttentionParts, CausalConv, Linear, Matrix, Mixer, Mla, MlaParts, Norm,
        Projections, ShortConv,
    },
    spec::{AttentionSpec, MixerSpec, MlaSpec, QkNorm, ShortConvSpec},
    weights::ExpertNames,
};

impl Builder<'_> {
    pub(super) fn mixer(&mut self, spec: &MixerSpec) -> Result<Mixer, ModelError> {
        Ok(match spec {
            MixerSpec::Attention(spec) => Mixer::Attention(self.attention(spec)?),
            MixerSpec::Mla(spec) => Mixer::Mla(self.mla(spec)?),
            MixerSpec::ShortConv(spec) => Mixer::ShortConv(self.short_conv(spec)?),
            _ => unreachable!(),
        })
    }

    fn attention(&mut self, spec: &AttentionSpec) -> Result<Attention, ModelError> {
        let (hidden, names) = (self.spec.hidden, self.spec.names);
        let (queries, keys) = (spec.query_width(), spec.kv_width());
        let norms = match spec.qk_norm {
            QkNorm::None | QkNorm::Plain => None,
            QkNorm::Head => Some([spec.head_dim; 2]),
            QkNorm::Whole => Some([queries, keys]),
        };
        let norms = norms.map(|[q, k]| {
            let q = self.norm(self.in_layer(names.q_norm), q)?;
            Ok::<_, ModelError>((q, self.norm(self.in_layer(names.k_norm), k)?))
        });
        let parts = AttentionParts {
            qkv: Projections::new(self.qkv(spec)?)?,
            output: self.linear(names.output, hidden, queries, spec.output_bias)?,
            norms: norms.transpose()?,
            sinks: match spec.sinks {
                true => Some(self.tensor(names.sinks, &[spec.heads])?),
                false => None,
            },
            gated: spec.gate,
        };
        Ok(Attention::new(spec, parts))
    }

    /// Queries, keys, values, and the gate if there is one.
    fn qkv(&mut self, spec: &AttentionSpec) -> Result<Vec<Linear>, ModelError> {
        let (hidden, names, bias) = (self.spec.hidden, self.spec.names, spec.qkv_bias);
        let (queries, keys) = (spec.query_width(), spec.kv_width());
        if spec.fused {
            return Ok(vec![self.linear(
                names.fused_qkv,
                queries + 2 * keys,
                hidden,
                bias,
            )?]);
        }
        let [q, k, v] = names.qkv;
        let (key, value) = (
            self.linear(k, keys, hidden, bias)?,
            self.linear(v, keys, hidden, bias)?,
        );
        if !spec.gate {
            return Ok(vec![self.linear(q, queries, hidden, bias)?, key, value]);
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

    fn mla(&mut self, spec: &MlaSpec) -> Result<Mla, ModelError> {
        let hidden = self.spec.hidden;
        let width = spec.heads * spec.query_dim();
        let (query_down, query) = match spec.query_rank {
            None => (None, self.linear("self_attn.q_proj", width, hidden, false)?),
            Some(rank) => {
                let down = self.linear("self_attn.q_a_proj", rank, hidden, spec.bias)?;
                let norm = self.latent_norm("self_attn.q_a_layernorm", rank, spec.norm_eps)?;
                let up = self.linear("self_attn.q_b_proj", width, rank, false)?;
                (Some((down, norm)), up)
            }
        };
        let latent = spec.kv_rank + spec.rope_dim;
        let down = self.linear("self_attn.kv_a_proj_with_mqa", latent, hidden, spec.bias)?;
        let norm = self.latent_norm("self_attn.kv_a_layernorm", spec.kv_rank, spec.norm_eps)?;
        let (key_up, value_up) = self.latent_up(spec)?;
        let values = spec.heads * spec.value_dim;
        let parts = MlaParts {
            query_down,
            query,
            down,
            norm,
            key_up,
            value_up,
            output: self.linear("self_attn.o_proj", hidden, values, spec.bias)?,
        };
        Ok(Mla::new(spec, parts))
    }

    fn latent_norm(&mut self, part: &str, length: usize, eps: f32) -> Result<Norm, ModelError> {
        let norm = self.norm(self.in_layer(part), length)?;
        Ok(Norm { eps, ..norm })
    }

    /// What makes keys and values of latents, `[heads, rank, plain]` and
    /// `[heads, value, rank]`: stored by head, or as one matrix that makes both
    /// for one head after another. Not quantised: heads use it both ways.
    fn latent_up(&mut self, spec: &MlaSpec) -> Result<(Array, Array), ModelError> {
        let (heads, rank) = (spec.heads, spec.kv_rank);
        let (plain, value) = (spec.plain_dim, spec.value_dim);
        let key_module = self.in_layer("self_attn.embed_q");
        if self
            .source
            .stored(&format!("{key_module}.weight"))
            .is_some()
        {
            let key = self.by_head(key_module, [heads, rank, plain])?;
            let value_module = self.in_layer("self_attn.unembed_out");
            return Ok((key, self.by_head(value_module, [heads, value, rank])?));
        }
        let both = self.in_layer("self_attn.kv_b_proj");
        let both = self.source.matrix(&both, heads * (plain + value), rank)?;
        let shape = [heads, plain + value, rank].map(|n| n as i32);
        let both = self.unpacked(&both)?.reshape(&shape)?;
        let mut parts = both.split_at_indices(&[plain as i32], 1)?;
        let value = parts.swap_remove(1).contiguous()?;
        let key = parts.swap_remove(0).swap_axes(-1, -2)?.contiguous()?;
        Ok((key, value))
    }

    fn by_head(&mut self, module: String, shape: [usize; 3]) -> Result<Array, ModelError> {
        let names = ExpertNames {
            each: format!("{module}.{{}}"),
            stacked: module,
        };
        let matrix = self.source.experts(&names, shape)?;
        self.unpacked(&matrix)
    }

    fn unpacked(&self, matrix: &Matrix) -> Result<Array, ModelError> {
        Ok(match matrix {
            Matrix::Dense(weight) => weight.clone(),
            packed => packed.dense(self.precision.activations)?,
        })
    }

    fn short_conv(&mut self, spec: &ShortConvSpec) -> Result<ShortConv, ModelError> {
        let (hidden, width) = (self.spec.hidden, spec.width);
        Ok(ShortConv {
            input: self.linear("conv.in_proj", 3 * width, hidden, spec.bias)?,
            conv: self.conv("conv.conv", [width, spec.kernel], spec.bias)?,
            output: self.linear("conv.out_proj", hidden, width, spec.bias)?,
        })
    }

    /// A convolution stored as `[channels, kernel, 1]` or, as PyTorch does,
    /// `[channels, 1, kernel]`.
    fn conv(
        &mut self,
        module: &str,
        [channels, kernel]: [usize; 2],
        bias: bool,
    ) -> Result<CausalConv, ModelError> {
        let name = self.in_layer(&format!("{module}.weight"));
        let torch = [channels, 1, kernel];
        let shape = match self.source.stored(&name) {
            Some(stored) if stored == torch => torch,
            _ => [channels, kernel, 1],
        };
        let weight = self.source.exact(&name, &shape)?;
        let weight = weight.reshape(&[channels as i32, kernel as i32])?;
        let bias = match bias {
            true => {
                let name = self.in_layer(&format!("{module}.bias"));
                Some(self.source.exact(&name, &[channels])?)
            }
            false => None,
        };
        Ok(CausalConv::new(&weight, bias)?)
    }
}
