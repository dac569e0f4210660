//! PLaMo 2: Mamba and attention by turns, norms on both sides of every branch.
//! Attention sees the whole context, as in mlx-lm.

use super::common;
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{
        GateUpLayout, MambaLayout, MambaSpec, MixerSpec, Names, NormOffset, NormPlaces, QkNorm,
        QkvLayout, StepNorms,
    },
};

const NAMES: Names = Names {
    layer: "model.layers.layers.{}",
    before_mixer: "pre_mixer_norm",
    after_mixer: "post_mixer_norm",
    before_mlp: "pre_mlp_norm",
    after_mlp: "post_mlp_norm",
    fused_qkv: "mixer.qkv_proj",
    output: "mixer.o_proj",
    q_norm: "mixer.q_weight",
    k_norm: "mixer.k_weight",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut config = config.clone();
    config.default("rms_norm_eps", 1e-6.into());
    let mut spec = common::decoder(&config, 2048, 10_000.0)?;
    let head_dim = config.size_or_none("hidden_size_per_head")?.unwrap_or(128);
    let mamba = MixerSpec::Mamba(MambaSpec {
        module: "mixer",
        heads: config.size("mamba_num_heads")?,
        head_dim,
        state: config.size("mamba_d_state")?,
        kernel: config.size("mamba_d_conv")?,
        step_rank: (spec.hidden / 16).max(64),
        in_bias: false,
        out_bias: false,
        conv_bias: false,
        norms: StepNorms::Weighted,
        layout: MambaLayout::ByHead,
        step_limit: common::step_limit(&config)?,
    });
    let enabled = config.flag_or("mamba_enabled", true)?;
    let step = config.size_or_none("mamba_step")?.unwrap_or(2);
    let count = spec.layers.len();
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        let attends = match count <= step / 2 {
            true => index == count - 1,
            false => index % step == step / 2,
        };
        if enabled && !attends {
            layer.mixer = Some(mamba.clone());
        } else if let Some(attention) = layer.attention_mut() {
            attention.head_dim = head_dim;
            attention.qkv = QkvLayout::Joined;
            attention.qk_norm = QkNorm::EachHead;
            attention.qk_norm_eps = Some(1e-6);
        }
    }
    let joined = |mlp: &mut crate::models::spec::GatedSpec| mlp.layout = GateUpLayout::Joined;
    spec.gated_mut().for_each(joined);
    spec.norms = NormPlaces::Around;
    spec.norm.offset = NormOffset::Fifths;
    spec.names = NAMES;
    Ok(spec)
}
