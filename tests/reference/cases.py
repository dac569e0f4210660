"""The tiny models of tests/reference: which configurations, types and
quantisations make.py computes for each family.

`FEWER` is where families are added: `base` holds the settings all cases share,
`cases` what differs, `quantized` more quantisations. `text` instead of `base`
is for models whose config.json has a part for the language model.
"""

VOCAB = 48
TINY = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": VOCAB,
    "max_position_embeddings": 512,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
FAMILIES = {
    "llama": {},
    "mistral": {"sliding_window": 8, "head_dim": 32},
    "qwen2": {"rope_theta": 1000000.0, "use_sliding_window": False},
    "qwen3": {"head_dim": 32, "rope_theta": 1000000.0, "rms_norm_eps": 1e-6},
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}
SLIDING = {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}

SHAPES = {
    "llama": {
        "every head its own keys": {"num_key_value_heads": None},
        "one key head": {"num_key_value_heads": 1},
        "wide heads": {"head_dim": 64},
        "tied": {"tie_word_embeddings": True},
        "biases": {"attention_bias": True, "mlp_bias": True},
        "neighbours rotated": {"rope_traditional": True},
        "rope llama3": {"rope_scaling": LLAMA3},
        "rope linear": {"rope_scaling": {"type": "linear", "factor": 4.0}},
        "rope dynamic": {
            "rope_scaling": {"type": "dynamic", "factor": 2.0},
            "max_position_embeddings": 16,
        },
        "rope yarn": {"rope_scaling": YARN},
        "rope yarn, magnitude": {
            "rope_scaling": YARN | {"mscale": 0.7, "beta_fast": 16.0, "beta_slow": 2.0}
        },
        "sliding window": SLIDING,
        "sliding window of one": SLIDING | {"sliding_window": 1},
        "five layers, seven heads": {
            "num_hidden_layers": 5,
            "num_attention_heads": 7,
            "num_key_value_heads": 7,
            "hidden_size": 112,
        },
    },
    "mistral": {
        "tied": {"tie_word_embeddings": True},
        "wide heads": {"head_dim": 48, "num_key_value_heads": 4},
        "sliding layers": SLIDING,
    },
    "qwen2": {
        "tied": {"tie_word_embeddings": True},
        "one key head": {"num_key_value_heads": 1},
        "rope yarn": {"rope_scaling": YARN | {"type": "yarn"}},
    },
    "qwen3": {
        "tied": {"tie_word_embeddings": True},
        "narrow heads": {"head_dim": 16, "num_attention_heads": 6, "num_key_value_heads": 3},
        "rope parameters nested": {
            "rope_theta": None,
            "rope_parameters": YARN | {"rope_theta": 500000.0},
        },
        "rope linear": {"rope_scaling": {"type": "linear", "factor": 2.0}},
    },
}
MXFP4 = {"bits": 4, "group_size": 32, "mode": "mxfp4"}
EXPERTS_MXFP4 = {"bits": 8, "group_size": 32} | {
    f"model.layers.{layer}.mlp.experts.{part}_proj": MXFP4
    for layer in range(2)
    for part in ("gate", "up", "down")
}
EXPERTS_MXFP4_ALONE = EXPERTS_MXFP4 | MXFP4 | {
    module: False
    for module in ["model.embed_tokens", "lm_head"]
    + [
        f"model.layers.{layer}.{part}"
        for layer in range(2)
        for part in [f"self_attn.{x}_proj" for x in "qkvo"] + ["mlp.router"]
    ]
}
# Keys whose absence means something else than null.
NULLS = ("q_lora_rank", "rope_scaling", "sliding_window", "sliding_window_pattern")
MIXED = {
    "bits": 4,
    "group_size": 64,
    "model.embed_tokens": False,
    "lm_head": {"bits": 8, "group_size": 32},
    "model.layers.0.self_attn.v_proj": {"bits": 6, "group_size": 64},
    "model.layers.1.mlp.up_proj": {"bits": 3, "group_size": 128},
    "model.layers.1.mlp.down_proj": False,
}


GROUPED = {
    "head_dim": 32,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "hidden_size": 64,
}
LATENT = {
    "q_lora_rank": 64,
    "kv_lora_rank": 64,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "v_head_dim": 32,
}
EXPERTS = {
    "moe_intermediate_size": 64,
    "n_routed_experts": 8,
    "num_experts_per_tok": 3,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "topk_method": "noaux_tc",
    "n_group": 1,
    "topk_group": 1,
    "routed_scaling_factor": 1.0,
    "attention_bias": False,
}
CHOSEN = {
    "num_experts": 8,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 64,
    "norm_topk_prob": True,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
}
DELTA = {
    "num_hidden_layers": 4,
    "head_dim": 32,
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
    "linear_conv_kernel_dim": 4,
    "partial_rotary_factor": 0.25,
    "full_attention_interval": 4,
    "rms_norm_eps": 1e-6,
}
QUARTER = {"type": "default", "rope_theta": 100000.0, "partial_rotary_factor": 0.25}
STATES = {
    "num_heads": 4,
    "head_dim": 32,
    "state_size": 32,
    "n_groups": 1,
    "conv_kernel": 4,
    "layer_norm_epsilon": 1e-5,
    "use_bias": False,
    "use_conv_bias": True,
    "time_step_rank": 8,
    "time_step_limit": [0.0, 100.0],
    "tie_word_embeddings": True,
}
HYBRID = {
    "mamba_n_heads": 4,
    "mamba_d_head": 32,
    "mamba_d_state": 32,
    "mamba_d_conv": 4,
    "mamba_n_groups": 1,
    "mamba_proj_bias": False,
    "mamba_conv_bias": True,
    "attention_bias": False,
    "mlp_bias": False,
}
GRANITE = HYBRID | {
    "num_hidden_layers": 3,
    "layer_types": ["mamba", "attention", "mamba"],
    "num_local_experts": 6,
    "num_experts_per_tok": 2,
    "shared_intermediate_size": 64,
    "embedding_multiplier": 4.0,
    "attention_multiplier": 0.125,
    "logits_scaling": 2.0,
    "residual_multiplier": 0.5,
    "tie_word_embeddings": True,
}
FALCON = HYBRID | {
    "mamba_d_ssm": 128,
    "head_dim": 32,
    "mamba_rms_norm": False,
    "mamba_norm_before_gate": False,
    "projectors_bias": False,
    "tie_word_embeddings": True,
}
GEMMA3 = {
    "num_hidden_layers": 3,
    "head_dim": 32,
    "query_pre_attn_scalar": 24.0,
    "rms_norm_eps": 1e-6,
    "sliding_window": 6,
    "sliding_window_pattern": 3,
    "rope_theta": 1000000.0,
    "rope_local_base_freq": 10000.0,
    "tie_word_embeddings": True,
}
LAYER_NORM = {"layer_norm_eps": 1e-5, "rms_norm_eps": None}
GPT2 = {
    "hidden_size": None,
    "num_hidden_layers": None,
    "num_attention_heads": None,
    "num_key_value_heads": None,
    "intermediate_size": None,
    "max_position_embeddings": None,
    "rms_norm_eps": None,
    "rope_theta": None,
    "tie_word_embeddings": None,
    "n_ctx": 128,
    "n_embd": 128,
    "n_head": 4,
    "n_layer": 2,
    "n_positions": 128,
    "layer_norm_epsilon": 1e-5,
}
FEWER = {
    "seed_oss": {
        "base": {"head_dim": 32, "attention_bias": True},
        "cases": {
            "output bias": {"attention_out_bias": True, "mlp_bias": True},
            "one key head": {"num_key_value_heads": 1, "tie_word_embeddings": True},
        },
    },
    "telechat3": {
        "base": {"attention_bias": True},
        "cases": {
            "tied, wide heads": {"tie_word_embeddings": True, "head_dim": 64, "mlp_bias": True},
            "rope yarn": {"rope_scaling": YARN, "num_key_value_heads": 4},
        },
    },
    "mimo": {
        "base": {"num_nextn_predict_layers": 1},
        "cases": {"tied, one key head": {"tie_word_embeddings": True, "num_key_value_heads": 1}},
    },
    "ernie4_5": {
        "base": {"use_bias": False, "head_dim": 32},
        "cases": {
            "biases, tied": {"use_bias": True, "tie_word_embeddings": True, "head_dim": 48},
        },
    },
    "helium": {
        "base": {"head_dim": 32, "attention_bias": False, "mlp_bias": False},
        "cases": {
            "biases": {"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 4},
        },
    },
    "minicpm": {
        "base": {"dim_model_base": 64, "scale_depth": 1.4, "scale_emb": 12.0},
        "cases": {
            "one key head": {
                "num_key_value_heads": 1,
                "scale_emb": 3.0,
                "num_hidden_layers": 3,
            },
        },
    },
    "hunyuan_v1_dense": {
        "base": {"head_dim": 32},
        "cases": {
            "stretched, tied": {
                "rope_scaling": {"type": "dynamic", "alpha": 50.0, "factor": 1.0},
                "tie_word_embeddings": True,
            },
            "no norms, biases": {"use_qk_norm": False, "attention_bias": True, "head_dim": 64},
        },
    },
    "nemotron": {
        "base": {"norm_eps": 1e-5, "rms_norm_eps": None, "hidden_act": "relu2"},
        "cases": {
            "biases, tied": {
                "attention_bias": True,
                "mlp_bias": True,
                "tie_word_embeddings": True,
                "partial_rotary_factor": 0.25,
                "head_dim": 64,
            },
            "rope linear": {"rope_scaling": {"type": "linear", "factor": 4.0}},
        },
    },
    "internlm2": {
        "base": {"bias": False},
        "cases": {
            "biases, every head its own keys": {"bias": True, "num_key_value_heads": 4},
            "tied, rope linear": {
                "tie_word_embeddings": True,
                "num_key_value_heads": 1,
                "rope_scaling": {"type": "linear", "factor": 2.0},
            },
        },
    },
    "internlm3": {
        "base": {"head_dim": 32},
        "cases": {"biases, tied": {"qkv_bias": True, "bias": True, "tie_word_embeddings": True}},
    },
    "exaone": {
        "base": {
            "num_hidden_layers": None,
            "num_layers": 2,
            "rms_norm_eps": None,
            "layer_norm_epsilon": 1e-5,
        },
        "cases": {
            "tied, rope llama3": {
                "tie_word_embeddings": True,
                "rope_scaling": LLAMA3,
                "num_layers": 3,
                "num_key_value_heads": 4,
            },
        },
    },
    "exaone4": {
        "base": {
            "num_hidden_layers": 4,
            "head_dim": 32,
            "sliding_window": 6,
            "sliding_window_pattern": "LLLG",
            "rope_scaling": None,
        },
        "cases": {
            "all see all, tied": {
                "sliding_window": None,
                "sliding_window_pattern": None,
                "tie_word_embeddings": True,
                "rope_scaling": LLAMA3,
            },
            "every other": {"sliding_window_pattern": "GL", "sliding_window": 3, "head_dim": 64},
        },
    },
    "ministral3": {
        "base": {
            "head_dim": 32,
            "rope_parameters": YARN
            | {
                "rope_theta": 1000000.0,
                "llama_4_scaling_beta": 0.1,
                "original_max_position_embeddings": 16,
            },
        },
        "cases": {
            "windows, tied": {
                "tie_word_embeddings": True,
                "head_dim": 48,
                **SLIDING,
            },
        },
    },
    "gpt2": {
        "base": GPT2,
        "cases": {"three layers, two heads": {"n_head": 2, "n_layer": 3, "n_embd": 64}},
    },
    "gpt_bigcode": {
        "base": GPT2 | {"n_inner": 256},
        "cases": {
            "every head its own keys, apart": {
                "multi_query": False,
                "tie_word_embeddings": False,
                "attention_bias": False,
                "mlp_bias": False,
            },
        },
    },
    "qwen": {
        "base": {
            "kv_channels": 32,
            "num_key_value_heads": None,
            "rms_norm_eps": None,
            "layer_norm_epsilon": 1e-6,
        },
        "cases": {"biases": {"no_bias": False, "num_attention_heads": 2, "kv_channels": 64}},
    },
    "gemma": {
        "base": {"head_dim": 32, "tie_word_embeddings": True},
        "cases": {"one key head": {"num_key_value_heads": 1, "head_dim": 64}},
    },
    "starcoder2": {
        "base": {"norm_epsilon": 1e-5, "tie_word_embeddings": True},
        "cases": {
            "apart, every head its own keys": {
                "tie_word_embeddings": False,
                "num_key_value_heads": 4,
                "rope_theta": 999999.0,
            },
        },
    },
    "phi": {
        "base": LAYER_NORM | {"partial_rotary_factor": 0.5},
        "cases": {
            "every head its own keys": {
                "num_key_value_heads": 4,
                "partial_rotary_factor": 0.75,
                "intermediate_size": 192,
            },
        },
    },
    "gpt_neox": {
        "base": LAYER_NORM
        | {
            "num_key_value_heads": None,
            "rotary_emb_base": 10000,
            "rotary_pct": 0.25,
            "intermediate_size": 512,
        },
        "cases": {
            "one after the other": {
                "use_parallel_residual": False,
                "rotary_pct": 1.0,
                "num_attention_heads": 2,
                "rotary_emb_base": 5000,
            },
        },
    },
    "stablelm": {
        "base": LAYER_NORM | {"use_qkv_bias": True, "partial_rotary_factor": 0.25},
        "cases": {
            "side by side, norms of heads": {
                "use_parallel_residual": True,
                "qk_layernorm": True,
                "use_qkv_bias": False,
                "partial_rotary_factor": 0.5,
            },
        },
    },
    "cohere": {
        "base": LAYER_NORM | {"logit_scale": 0.125, "tie_word_embeddings": True},
        "cases": {
            "norms of heads, biases": {
                "use_qk_norm": True,
                "attention_bias": True,
                "layer_norm_bias": True,
                "num_key_value_heads": 1,
            },
        },
    },
    "cohere2": {
        "base": LAYER_NORM
        | {
            "head_dim": 32,
            "num_hidden_layers": 4,
            "sliding_window": 6,
            "sliding_window_pattern": 4,
            "tie_word_embeddings": True,
        },
        "cases": {
            "every other layer, wide heads": {
                "head_dim": 64,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "sliding_window_pattern": 2,
                "sliding_window": 4,
                "logit_scale": 0.25,
            },
        },
    },
    "glm": {
        "base": {"head_dim": 32, "attention_bias": True},
        "cases": {"tied, one key head": {"tie_word_embeddings": True, "num_key_value_heads": 1}},
    },
    "glm4": {
        "base": {"head_dim": 32, "attention_bias": True, "partial_rotary_factor": 0.5},
        "cases": {
            "wide heads, halves": {
                "head_dim": 64,
                "attention_bias": False,
                "rope_traditional": False,
                "partial_rotary_factor": 0.25,
            },
        },
    },
    "lfm2": {
        "base": {
            "num_hidden_layers": 3,
            "norm_eps": 1e-5,
            "conv_bias": False,
            "conv_L_cache": 3,
            "block_dim": 128,
            "block_ff_dim": 256,
            "block_multiple_of": 64,
            "block_ffn_dim_multiplier": 1.0,
            "block_auto_adjust_ff_dim": True,
            "layer_types": ["conv", "full_attention", "conv"],
        },
        "cases": {
            "four tokens, biases": {
                "conv_bias": True,
                "conv_L_cache": 4,
                "full_attn_idxs": [0, 2],
                "num_key_value_heads": 1,
                "block_auto_adjust_ff_dim": False,
            },
            "two tokens": {"conv_L_cache": 2, "num_attention_heads": 8},
        },
    },
    "lfm2_moe": {
        "base": {
            "num_hidden_layers": 3,
            "norm_eps": 1e-5,
            "conv_bias": False,
            "conv_L_cache": 3,
            "moe_intermediate_size": 64,
            "num_experts": 6,
            "num_experts_per_tok": 2,
            "norm_topk_prob": True,
            "use_expert_bias": True,
            "num_dense_layers": 1,
            "layer_types": ["conv", "full_attention", "conv"],
        },
        "cases": {
            "all experts, no correction": {
                "use_expert_bias": False,
                "norm_topk_prob": False,
                "num_experts_per_tok": 3,
                "routed_scaling_factor": 1.5,
                "num_dense_layers": 0,
            },
        },
    },
    "minicpm3": {
        "base": LATENT
        | {
            "dim_model_base": 64,
            "scale_depth": 1.4,
            "scale_emb": 12.0,
            "rope_scaling": {
                "type": "longrope",
                "original_max_position_embeddings": 64,
                "long_factor": [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5],
            },
        },
        "cases": {
            "tied, biases": {"tie_word_embeddings": True, "attention_bias": True},
            "two heads": {
                "num_attention_heads": 2,
                "qk_nope_head_dim": 40,
                "kv_lora_rank": 32,
                "q_lora_rank": 96,
                "rope_scaling": {"type": "longrope", "long_factor": 1.25},
            },
        },
    },
    "deepseek_v2": {
        "base": LATENT | EXPERTS | {"rope_scaling": YARN | {"mscale": 0.7, "mscale_all_dim": 0.7}},
        "cases": {
            "groups": {
                "topk_method": "group_limited_greedy",
                "n_group": 4,
                "topk_group": 2,
                "n_shared_experts": 2,
                "routed_scaling_factor": 2.5,
            },
            "direct queries, every other layer": {
                "num_hidden_layers": 3,
                "q_lora_rank": None,
                "moe_layer_freq": 2,
                "first_k_dense_replace": 0,
                "num_attention_heads": 3,
                "v_head_dim": 40,
                "n_shared_experts": None,
                "rope_scaling": YARN | {"mscale": 1.0},
            },
        },
    },
    "deepseek_v3": {
        "base": LATENT
        | EXPERTS
        | {
            "kv_lora_rank": 64,
            "qk_nope_head_dim": 64,
            "rope_scaling": YARN | {"mscale": 1.0, "mscale_all_dim": 1.0},
        },
        "cases": {
            "groups": {"n_group": 4, "topk_group": 2, "routed_scaling_factor": 2.5},
            "one expert, no rope scaling": {
                "num_experts_per_tok": 1,
                "rope_scaling": None,
                "num_attention_heads": 2,
                "norm_topk_prob": False,
                "q_lora_rank": None,
                "n_shared_experts": 1,
            },
        },
    },
    "qwen2_moe": {
        "base": CHOSEN | {"shared_expert_intermediate_size": 64},
        "cases": {
            "one expert, one key head": {
                "num_experts_per_tok": 1,
                "num_key_value_heads": 1,
                "num_experts": 3,
                "rope_traditional": True,
            },
        },
    },
    "qwen3_moe": {
        "base": CHOSEN | {"head_dim": 32, "rms_norm_eps": 1e-6},
        "cases": {
            "not normalised": {"norm_topk_prob": False, "num_experts_per_tok": 4, **GROUPED},
            "every other layer, tied": {
                "num_hidden_layers": 4,
                "decoder_sparse_step": 2,
                "mlp_only_layers": [3],
                "tie_word_embeddings": True,
            },
        },
    },
    "mixtral": {
        "base": {"num_local_experts": 4, "num_experts_per_tok": 2},
        "cases": {
            "three of five": {
                "num_local_experts": 5,
                "num_experts_per_tok": 3,
                "num_attention_heads": 8,
            },
        },
    },
    "qwen3_next": {
        "base": CHOSEN | DELTA | {"shared_expert_intermediate_size": 64},
        "cases": {
            "a head each": {
                "linear_num_value_heads": 2,
                "linear_num_key_heads": 2,
                "linear_key_head_dim": 48,
                "linear_value_head_dim": 32,
                "linear_conv_kernel_dim": 3,
                "partial_rotary_factor": 0.5,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
            },
            "rope yarn, dense last": {
                "rope_scaling": YARN,
                "mlp_only_layers": [3],
                "norm_topk_prob": False,
            },
        },
    },
    "qwen3_5": {
        "base": DELTA | {"rope_parameters": QUARTER},
        "cases": {
            "tied, every other layer": {
                "tie_word_embeddings": True,
                "full_attention_interval": 2,
                "num_hidden_layers": 2,
                "linear_num_value_heads": 6,
                "linear_key_head_dim": 16,
                "linear_value_head_dim": 64,
                "rope_parameters": QUARTER | {"partial_rotary_factor": 0.5},
            },
            "biases": {"attention_bias": True, "head_dim": 64, "num_key_value_heads": 4},
        },
    },
    "qwen3_5_moe": {
        "base": DELTA
        | CHOSEN
        | {"rope_parameters": QUARTER, "shared_expert_intermediate_size": 64},
        "cases": {"four of six": {"num_experts": 6, "num_experts_per_tok": 4}},
    },
    "mamba2": {
        "base": STATES,
        "cases": {
            "two groups, limits": {
                "n_groups": 2,
                "num_heads": 6,
                "head_dim": 16,
                "conv_kernel": 3,
                "time_step_limit": [0.1, 0.8],
                "tie_word_embeddings": False,
            },
            "biases": {"use_bias": True, "use_conv_bias": False, "state_size": 64},
        },
    },
    "granitemoehybrid": {
        "base": GRANITE,
        "cases": {
            "dense, no positions": {
                "num_local_experts": None,
                "position_embedding_type": "nope",
                "mlp_bias": True,
                "mamba_n_groups": 2,
            },
            "attention alone": {
                "layer_types": ["attention", "attention"],
                "num_hidden_layers": 2,
                "attention_bias": True,
                "tie_word_embeddings": False,
            },
        },
    },
    "falcon_h1": {
        "base": FALCON,
        "cases": {
            "normed, two groups": {
                "mamba_rms_norm": True,
                "mamba_n_groups": 2,
                "num_key_value_heads": 1,
                "tie_word_embeddings": False,
            },
            "biases": {
                "attention_bias": True,
                "mlp_bias": True,
                "projectors_bias": True,
                "mamba_proj_bias": True,
                "head_dim": 16,
                "num_attention_heads": 6,
            },
        },
    },
    "llama4": {
        "text": {
            "num_hidden_layers": 4,
            "head_dim": 32,
            "attention_bias": False,
            "attention_chunk_size": 8,
            "interleave_moe_layer_step": 2,
            "intermediate_size": 64,
            "intermediate_size_mlp": 256,
            "num_experts_per_tok": 1,
            "num_local_experts": 4,
            "rope_scaling": LLAMA3,
            "use_qk_norm": True,
            "floor_scale": 4,
            "attn_scale": 0.1,
        },
        "cases": {
            "no norms, all experts": {
                "use_qk_norm": False,
                "interleave_moe_layer_step": 1,
                "attention_chunk_size": 5,
                "rope_scaling": None,
                "attn_temperature_tuning": 0,
            },
            "biases, eight layers": {
                "attention_bias": True,
                "num_hidden_layers": 8,
                "attention_chunk_size": 12,
                **GROUPED,
            },
        },
    },
    "gemma2": {
        "base": {"head_dim": 32, "query_pre_attn_scalar": 24.0},
        "cases": {
            "low caps": {
                "attn_logit_softcapping": 2.0,
                "final_logit_softcapping": 90.0,
                "num_key_value_heads": 4,
            },
            "wide heads": {"head_dim": 48, "num_key_value_heads": 1, "rope_traditional": True},
        },
    },
    "gemma3_text": {
        "base": GEMMA3,
        "cases": {
            "untied, every other": {
                "tie_word_embeddings": False,
                "sliding_window_pattern": 2,
                "sliding_window": 3,
                "num_key_value_heads": 1,
            },
            "rope linear": {
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
                "rope_local_base_freq": 500.0,
                **GROUPED,
            },
        },
    },
    "gemma3": {
        "text": GEMMA3,
        "outer": {"vocab_size": VOCAB},
        "cases": {"narrow heads": {"head_dim": 16, "sliding_window": 5}},
    },
    "phi3": {
        "base": {"max_position_embeddings": 512, "original_max_position_embeddings": 512},
        "cases": {
            "three quarters": {"partial_rotary_factor": 0.75, "num_attention_heads": 2},
            "rope long": {
                "original_max_position_embeddings": 64,
                "partial_rotary_factor": 0.5,
                "rope_scaling": {
                    "type": "longrope",
                    "short_factor": [1.0] * 8,
                    "long_factor": [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5],
                },
            },
        },
    },
    "olmo2": {
        "base": {},
        "cases": {
            "untied, one key head": {"tie_word_embeddings": False, "num_key_value_heads": 1},
            "rope llama3": {"rope_scaling": LLAMA3, **GROUPED},
        },
    },
    "granite": {
        "base": {
            "embedding_multiplier": 4.0,
            "attention_multiplier": 0.125,
            "residual_multiplier": 0.5,
            "logits_scaling": 2.0,
            "attention_bias": False,
            "mlp_bias": False,
        },
        "cases": {
            "tied, biases": {
                "tie_word_embeddings": True,
                "attention_bias": True,
                "mlp_bias": True,
                "rope_scaling": LLAMA3,
            },
            "one key head": {"num_key_value_heads": 1, "num_attention_heads": 8},
        },
    },
    "smollm3": {
        "base": {"num_hidden_layers": 4},
        "cases": {
            "listed, tied": {
                "no_rope_layers": [0, 1, 1, 0],
                "tie_word_embeddings": True,
                "num_key_value_heads": 1,
            },
            "every other": {"no_rope_layer_interval": 2, "head_dim": 64},
        },
    },
    "olmoe": {
        "base": {"num_experts": 8, "num_experts_per_tok": 3},
        "cases": {
            "normalised, tied": {"norm_topk_prob": True, "tie_word_embeddings": True},
            "one of three": {
                "num_experts": 3,
                "num_experts_per_tok": 1,
                "rope_traditional": True,
                **GROUPED,
            },
        },
    },
    "olmo3": {
        "base": {"num_hidden_layers": 4, "sliding_window": 6},
        "cases": {
            "listed, rope yarn": {
                "num_hidden_layers": 2,
                "layer_types": ["full_attention", "sliding_attention"],
                "rope_scaling": YARN,
                "sliding_window": 3,
            },
            "tied, biases": {"tie_word_embeddings": True, "attention_bias": True, **GROUPED},
        },
    },
    "glm4_moe": {
        "base": EXPERTS
        | {
            "head_dim": 32,
            "norm_topk_prob": True,
            "use_qk_norm": True,
            "partial_rotary_factor": 0.5,
            "rope_scaling": None,
        },
        "cases": {
            "groups, biases": {
                "n_group": 4,
                "topk_group": 2,
                "routed_scaling_factor": 2.5,
                "attention_bias": True,
                "use_qk_norm": False,
                "partial_rotary_factor": 0.25,
            },
            "one of two": {
                "n_routed_experts": 2,
                "num_experts_per_tok": 1,
                "norm_topk_prob": False,
                "first_k_dense_replace": 0,
                "n_shared_experts": 2,
                **GROUPED,
            },
        },
    },
    "gpt_oss": {
        "base": {
            "head_dim": 32,
            "sliding_window": 8,
            "num_local_experts": 6,
            "num_experts_per_tok": 2,
            "rope_theta": 150000.0,
            "rope_scaling": YARN | {"factor": 32.0},
        },
        "cases": {
            "wide heads": {"head_dim": 64, "num_key_value_heads": 1},
            "full first": {
                "num_hidden_layers": 3,
                "layer_types": ["full_attention", "sliding_attention", "full_attention"],
                "sliding_window": 3,
                "num_experts_per_tok": 4,
                **GROUPED,
            },
            "rope plain": {"rope_scaling": None},
        },
        "quantized": {
            "mxfp4 experts": EXPERTS_MXFP4,
            "mxfp4 experts, dense rest": EXPERTS_MXFP4_ALONE,
            "mxfp4 experts, as published": EXPERTS_MXFP4_ALONE,
        },
    },
}


def cases(family):
    if family in FEWER:
        yield from fewer_cases(family)
        return
    base = TINY | FAMILIES[family] | {"model_type": family}
    for dtype in ("f32", "f16", "bf16"):
        yield dtype, base, dtype
    for name, change in SHAPES[family].items():
        yield name, base | change, "f32"
    for bits in (2, 3, 4, 5, 6, 8):
        for group in (32, 64, 128):
            quantization = {"bits": bits, "group_size": group}
            dtype = {32: "f32", 64: "bf16", 128: "f16"}[group]
            yield f"{bits}-bit g{group}", base | {"quantization": quantization}, dtype
    yield "mixed", base | {"quantization": MIXED}, "bf16"
    tied = base | {"tie_word_embeddings": True}
    yield "tied 4-bit g64", tied | {"quantization": {"bits": 4, "group_size": 64}}, "bf16"


def fewer_cases(family):
    """A type, a quantisation of all and one of the experts, and what differs."""
    own = FEWER[family]
    if "text" in own:
        yield from text_cases(family, own)
        return
    base = TINY | own["base"] | {"model_type": family}
    for dtype in ("f32", "bf16"):
        yield dtype, base, dtype
    for name, change in own["cases"].items():
        yield name, base | change, "f32"
    quantised = {"4-bit g64": {"bits": 4, "group_size": 64}} | own.get("quantized", {})
    for name, quantization in quantised.items():
        yield name, base | {"quantization": quantization}, "bf16"


def text_cases(family, own):
    """Of models whose config.json has a part for the language model."""
    base = TINY | own["text"] | {"model_type": f"{family}_text"}
    whole = lambda text: own.get("outer", {}) | {"model_type": family, "text_config": text}
    for dtype in ("f32", "bf16"):
        yield dtype, whole(base), dtype
    for name, change in own["cases"].items():
        text = {k: v for k, v in (base | change).items() if v is not None or k == "rope_scaling"}
        yield name, whole(text), "f32"
    yield "4-bit g64", whole(base) | {"quantization": {"bits": 4, "group_size": 64}}, "bf16"
