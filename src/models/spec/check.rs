//! Rejects descriptions whose parts do not fit together.

use super::{
    AttentionSpec, Mamba2Spec, MixerSpec, MlaSpec, MlpSpec, ModelSpec, MoeSpec, RopeScaling,
};
use crate::models::{Config, ModelError};

/// Widths above this are no model's.
const WIDEST: usize = 1 << 24;

impl ModelSpec {
    pub(in crate::models) fn check(&self, config: &Config) -> Result<(), ModelError> {
        for layer in &self.layers {
            match &layer.mixer {
                Some(MixerSpec::Attention(a)) => attention(a, config)?,
                Some(MixerSpec::Both(a, m)) => {
                    attention(a, config)?;
                    mamba(m, config)?;
                }
                Some(MixerSpec::Mamba(m)) => {
                    kernel(m.kernel, "mamba_d_conv", config)?;
                    narrow(m.width() + m.selected(), "state_size", config)?;
                    narrow(m.width() * m.state, "state_size", config)?;
                }
                Some(MixerSpec::Mamba2(m)) => mamba(m, config)?,
                Some(MixerSpec::Lightning(l)) => {
                    narrow(l.width(), "num_attention_heads", config)?;
                    divides(l.norm_groups, l.width(), "group_norm_size", config)?;
                }
                Some(MixerSpec::RgLru(r)) => {
                    kernel(r.kernel, "conv1d_width", config)?;
                    divides(r.heads, r.width, "num_attention_heads", config)?;
                }
                Some(MixerSpec::Mla(a)) => latent(a, config)?,
                Some(MixerSpec::GatedDelta(d)) => {
                    kernel(d.kernel, "linear_conv_kernel_dim", config)?;
                    narrow(d.channels() + d.values(), "linear_value_head_dim", config)?;
                }
                Some(MixerSpec::ShortConv(c)) => kernel(c.kernel, "conv_L_cache", config)?,
                Some(MixerSpec::Linear { .. }) | None => {}
            }
            if let Some(moe) = layer.mlp.as_ref().and_then(MlpSpec::moe) {
                mixture(moe, config)?;
            }
        }
        Ok(())
    }
}

fn attention(a: &AttentionSpec, config: &Config) -> Result<(), ModelError> {
    if !a.heads.is_multiple_of(a.kv_heads) {
        let problem = format!(
            "is {}: the {} attention heads cannot be shared among it evenly",
            a.kv_heads, a.heads
        );
        return Err(config.error("num_key_value_heads", problem));
    }
    let rotated = a.rope.as_ref().and_then(|rope| rope.dims);
    if !a.head_dim.is_multiple_of(2) || a.head_dim == 0 {
        let problem = format!("is {}: rotary positions need an even size", a.head_dim);
        return Err(config.error("head_dim", problem));
    }
    if let Some(dims) = rotated
        && (dims == 0 || dims % 2 != 0 || dims > a.head_dim)
    {
        let problem = format!(
            "makes rotary positions of {dims} of {} numbers a head: expected an even number of them",
            a.head_dim
        );
        return Err(config.error("partial_rotary_factor", problem));
    }
    if a.query_width() > WIDEST {
        let problem = format!("is {}: {} heads of it are too wide", a.head_dim, a.heads);
        return Err(config.error("head_dim", problem));
    }
    narrow(a.output_width(), "v_head_dim", config)?;
    let Some(rope) = &a.rope else {
        return Ok(());
    };
    let dims = rotated.unwrap_or(a.head_dim);
    match &rope.scaling {
        RopeScaling::Dynamic { .. } if dims < 4 => {
            Err(config.error("head_dim", "is too small for dynamic rope scaling"))
        }
        RopeScaling::Long { factors, .. } if ![1, dims / 2].contains(&factors.len()) => {
            let problem = format!(
                "has {} entries: expected one for each of the {} pairs of a head",
                factors.len(),
                dims / 2
            );
            Err(config.error("rope_scaling.long_factor", problem))
        }
        _ => Ok(()),
    }
}

/// Rejects what is too wide for any model, and for sums of products.
fn narrow(width: usize, key: &str, config: &Config) -> Result<(), ModelError> {
    match width > WIDEST {
        true => Err(config.error(key, format!("makes a layer {width} numbers wide"))),
        false => Ok(()),
    }
}

fn divides(parts: usize, width: usize, key: &str, config: &Config) -> Result<(), ModelError> {
    match width.is_multiple_of(parts) {
        true => Ok(()),
        false => Err(config.error(
            key,
            format!("is {parts}: it does not divide {width} evenly"),
        )),
    }
}

fn kernel(kernel: usize, key: &str, config: &Config) -> Result<(), ModelError> {
    match kernel {
        2..=64 => Ok(()),
        _ => {
            let problem = format!("is {kernel}: expected a convolution over 2 to 64 tokens");
            Err(config.error(key, problem))
        }
    }
}

fn latent(a: &MlaSpec, config: &Config) -> Result<(), ModelError> {
    if a.value_dim == 0 {
        let problem = format!("is {}: there is less than a number for each head", a.heads);
        return Err(config.error("num_attention_heads", problem));
    }
    narrow(a.heads * a.query_dim(), "qk_nope_head_dim", config)?;
    if let Some(indexer) = &a.indexer {
        narrow(indexer.heads * indexer.dim, "index_head_dim", config)?;
    }
    narrow(a.heads * a.value_dim, "v_head_dim", config)
}

fn mamba(m: &Mamba2Spec, config: &Config) -> Result<(), ModelError> {
    if !m.heads.is_multiple_of(m.groups) {
        let problem = format!("is {}: the {} heads do not divide by it", m.groups, m.heads);
        return Err(config.error("n_groups", problem));
    }
    kernel(m.kernel, "conv_kernel", config)?;
    narrow(m.inputs(), "state_size", config)
}

fn mixture(moe: &MoeSpec, config: &Config) -> Result<(), ModelError> {
    if moe.active > moe.choices() {
        let problem = format!("is {}: there are {} experts", moe.active, moe.experts);
        return Err(config.error("num_experts_per_tok", problem));
    }
    narrow(
        moe.experts * moe.intermediate,
        "moe_intermediate_size",
        config,
    )?;
    if let Some(shared) = &moe.shared {
        narrow(shared.intermediate, "num_shared_experts", config)?;
    }
    let routing = &moe.routing;
    if !moe.experts.is_multiple_of(routing.groups) {
        let problem = format!(
            "is {}: the {} experts do not make up as many equal groups",
            routing.groups, moe.experts
        );
        return Err(config.error("n_group", problem));
    }
    if routing.groups_kept > routing.groups {
        let problem = format!(
            "is {}: there are {} groups of experts",
            routing.groups_kept, routing.groups
        );
        return Err(config.error("topk_group", problem));
    }
    Ok(())
}
