//! EXAONE 3 and 3.5: Llama by other names.

use super::{common, llama};
use crate::models::{Config, ModelError, ModelSpec, spec::Names};

const NAMES: Names = Names {
    embedding: "transformer.wte",
    norm: "transformer.ln_f",
    layer: "transformer.h.{}",
    before_mixer: "ln_1",
    before_mlp: "ln_2",
    qkv: [
        "attn.attention.q_proj",
        "attn.attention.k_proj",
        "attn.attention.v_proj",
    ],
    output: "attn.attention.out_proj",
    gate_up: ["mlp.c_fc_0", "mlp.c_fc_1"],
    down: "mlp.c_proj",
    ..Names::LLAMA
};

pub fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let config = common::renamed(
        config,
        &[
            ("num_layers", "num_hidden_layers"),
            ("layer_norm_epsilon", "rms_norm_eps"),
        ],
    );
    let mut spec = llama::spec(&config)?;
    spec.names = NAMES;
    Ok(spec)
}
