//! A family for each kind of layer, in settings that go on top of a small
//! model's.

#![allow(dead_code, reason = "each test program uses its own part")]

use serde_json::{Value, json};

/// `model_type`, and what its config.json has besides.
pub fn all() -> Vec<(&'static str, Value)> {
    let experts = json!({
        "num_experts": 6, "num_local_experts": 6, "n_routed_experts": 6,
        "num_experts_per_tok": 2, "moe_intermediate_size": 64,
    });
    let states = json!({
        "mamba_n_heads": 4, "mamba_d_head": 32, "mamba_d_state": 32, "mamba_d_conv": 4,
        "mamba_n_groups": 2, "num_heads": 4, "head_dim": 32, "state_size": 32, "n_groups": 2,
        "conv_kernel": 4, "layer_norm_epsilon": 1e-5,
    });
    let families = [
        ("gpt_oss", json!({"sliding_window": 20})),
        (
            "llama4",
            json!({"num_hidden_layers": 4, "attention_chunk_size": 16, "intermediate_size_mlp": 96,
                "num_experts_per_tok": 1, "floor_scale": 8}),
        ),
        ("gemma2", json!({})),
        (
            "gemma4_text",
            json!({"num_hidden_layers": 4, "global_head_dim": 64, "sliding_window": 20,
                "sliding_window_pattern": 2, "num_kv_shared_layers": 2,
                "hidden_size_per_layer_input": 32, "vocab_size_per_layer_input": 300}),
        ),
        ("phi3", json!({"partial_rotary_factor": 0.5})),
        ("olmo2", json!({})),
        (
            "deepseek_v3",
            json!({"q_lora_rank": 48, "kv_lora_rank": 64, "qk_nope_head_dim": 32,
                "qk_rope_head_dim": 16, "v_head_dim": 32}),
        ),
        (
            "lfm2",
            json!({"conv_L_cache": 3, "norm_eps": 1e-5, "block_multiple_of": 64,
                "layer_types": ["conv", "full_attention"]}),
        ),
        (
            "qwen3_next",
            json!({"full_attention_interval": 2, "linear_num_value_heads": 4,
                "linear_num_key_heads": 2, "linear_key_head_dim": 32,
                "linear_value_head_dim": 32, "linear_conv_kernel_dim": 4}),
        ),
        ("mamba2", states.clone()),
        ("falcon_h1", states.clone()),
        (
            "jamba",
            json!({"mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2,
                "mamba_dt_rank": 8, "attn_layer_period": 2, "expert_layer_period": 2}),
        ),
        (
            "kimi_linear",
            json!({"num_hidden_layers": 3, "kv_lora_rank": 64, "qk_rope_head_dim": 16,
                "num_experts_per_token": 2, "linear_attn_config":
                    {"kda_layers": [1, 3], "num_heads": 4, "head_dim": 32}}),
        ),
        (
            "recurrent_gemma",
            json!({"attention_window_size": 40, "num_key_value_heads": 1,
                "block_types": ["recurrent", "attention"]}),
        ),
        (
            "bailing_moe_linear",
            json!({"layer_group_size": 2, "group_norm_size": 2, "num_shared_experts": 1}),
        ),
    ];
    let with_experts = |(family, more): (&'static str, Value)| {
        let mut all = experts.clone();
        for (key, value) in more.as_object().expect("an object") {
            all[key] = value.clone();
        }
        (family, all)
    };
    families.into_iter().map(with_experts).collect()
}

/// The config.json of a small model of a family.
pub fn config(family: &str, more: &Value) -> Value {
    let mut config = json!({
        "model_type": family, "hidden_size": 128, "intermediate_size": 192,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 32, "vocab_size": 300, "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": true,
        "torch_dtype": "float32",
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}
