//! Hunyuan with experts: the dense models' attention, some layers of which use
//! the keys and values of the one before.

use serde_json::Value;

use super::{common, hunyuan_v1_dense};
use crate::models::{
    Config, ModelError, ModelSpec,
    spec::{KvSource, MlpSpec, MoeNames, MoeSpec, Routing, SharedSpec},
};

const EXPERTS: MoeNames = MoeNames {
    router: "mlp.gate.wg",
    shared: [
        "mlp.shared_mlp.gate_proj",
        "mlp.shared_mlp.up_proj",
        "mlp.shared_mlp.down_proj",
    ],
    ..MoeNames::COMMON
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = hunyuan_v1_dense::spec(config)?;
    if config.flag_or("use_cla", false)? {
        let every = config.size_or_none("cla_share_factor")?.unwrap_or(2);
        for (index, attention) in spec.attentions_mut().enumerate() {
            attention.source = match index % every {
                0 => KvSource::Lent,
                _ => KvSource::Borrowed,
            };
        }
    }
    if config.size("num_experts")? > 1 {
        for (index, layer) in spec.layers.iter_mut().enumerate() {
            layer.mlp = Some(MlpSpec::Moe(experts(config, index)?));
        }
    }
    spec.tied = true;
    Ok(spec)
}

/// What layer `index` chooses among: numbers may differ by layer.
fn experts(config: &Config, index: usize) -> Result<MoeSpec, ModelError> {
    let mut own = config.clone();
    own.remove("num_experts_per_tok");
    for (key, common) in [
        ("moe_topk", "num_experts_per_tok"),
        ("moe_intermediate_size", "experts_width"),
        ("num_shared_expert", "shared"),
    ] {
        let value = match config.get(key) {
            Some(Value::Array(list)) => list.get(index),
            value => value,
        };
        own.default(common, value.cloned().unwrap_or(Value::Null));
    }
    let width = match own.get("experts_width") {
        Some(_) => "experts_width",
        None => "intermediate_size",
    };
    let shared = match config.flag_or("use_mixed_mlp_moe", false)? {
        true => own.size("shared")? * config.size("intermediate_size")?,
        false => 0,
    };
    Ok(MoeSpec {
        routing: Routing {
            normalise: config.flag_or("norm_topk_prob", false)?,
            ..Routing::SOFTMAX
        },
        shared: (shared > 0).then(|| SharedSpec::new(shared)),
        ..common::moe(&own, "num_experts", width, &EXPERTS)?
    })
}
