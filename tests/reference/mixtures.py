"""Families with mixtures of experts, and with latent attention. See cases.py."""

from parts import CHOSEN, GROUPED, LLAMA3, YARN

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
GRANITE = {
    "attention_bias": False,
    "attention_multiplier": 0.2,
    "embedding_multiplier": 6.0,
    "logits_scaling": 4.0,
    "residual_multiplier": 0.4,
}
MIXTURES = {
    "bailing_moe": {
        "base": {
            "num_experts": 8,
            "num_experts_per_tok": 3,
            "num_shared_experts": 1,
            "moe_intermediate_size": 64,
            "first_k_dense_replace": 1,
            "norm_topk_prob": True,
        },
        "cases": {
            "sigmoid, groups, norms, biases": {
                "num_hidden_layers": 3,
                "score_function": "sigmoid",
                "moe_router_enable_expert_bias": True,
                "n_group": 4,
                "topk_group": 2,
                "routed_scaling_factor": 2.5,
                "use_qk_norm": True,
                "use_qkv_bias": True,
                "partial_rotary_factor": 0.5,
                "moe_shared_expert_intermediate_size": 32,
                "num_shared_experts": 2,
            },
            "columns of the head normed, one key head": {
                "norm_head": True,
                "norm_topk_prob": False,
                "num_key_value_heads": 1,
                "rotary_dim": 16,
                "moe_router_enable_shared_expert": False,
                "first_k_dense_replace": 0,
            },
            "biases everywhere, tied": {
                "use_bias": True,
                "tie_word_embeddings": True,
                "num_experts_per_tok": 1,
                "rope_scaling": YARN,
            },
        },
    },
    "deepseek": {
        "base": {
            "moe_intermediate_size": 64,
            "n_routed_experts": 8,
            "num_experts_per_tok": 3,
            "n_shared_experts": 2,
            "first_k_dense_replace": 1,
        },
        "cases": {
            "every other layer, biases": {
                "num_hidden_layers": 4,
                "moe_layer_freq": 2,
                "attention_bias": True,
                "n_shared_experts": None,
                "rope_scaling": {"type": "linear", "factor": 2.0},
            },
            "one of five, one key head": {
                "n_routed_experts": 5,
                "num_experts_per_tok": 1,
                "num_key_value_heads": 1,
                "first_k_dense_replace": 0,
                "num_attention_heads": 2,
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
    "dots1": {
        "base": EXPERTS | {"head_dim": 32, "norm_topk_prob": True},
        "cases": {
            "groups, narrow heads": {
                "n_group": 4,
                "topk_group": 2,
                "routed_scaling_factor": 2.5,
                "head_dim": 16,
                "num_attention_heads": 6,
                "num_key_value_heads": 3,
                "n_shared_experts": 2,
            },
            "biases, tied": {
                "mlp_bias": True,
                "tie_word_embeddings": True,
                "norm_topk_prob": False,
                "rope_scaling": YARN,
            },
        },
    },
    "ernie4_5_moe": {
        "base": {
            "use_bias": False,
            "moe_num_experts": 8,
            "moe_k": 3,
            "moe_intermediate_size": 64,
            "moe_num_shared_experts": 1,
            "moe_layer_start_index": 1,
        },
        "cases": {
            "every other layer, two shared": {
                "num_hidden_layers": 5,
                "moe_layer_interval": 2,
                "moe_layer_start_index": [2, 1],
                "moe_layer_end_index": [3, 3],
                "moe_num_shared_experts": 2,
                "head_dim": 16,
            },
            "sigmoid, biases, width of the MLP": {
                "moe_gate_act": "sigmoid",
                "use_bias": True,
                "moe_intermediate_size": 0,
                "intermediate_size": 96,
                "moe_num_shared_experts": 0,
                "tie_word_embeddings": True,
                "num_key_value_heads": 1,
            },
        },
    },
    "exaone_moe": {
        "base": {
            "head_dim": 32,
            "num_hidden_layers": 4,
            "moe_intermediate_size": 64,
            "num_experts": 8,
            "num_experts_per_tok": 3,
            "num_shared_experts": 1,
            "sliding_window": 6,
            "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
            "is_moe_layer": [False, True, True, True],
        },
        "cases": {
            "groups, no windows": {
                "layer_types": ["full_attention"] * 4,
                "n_group": 4,
                "topk_group": 2,
                "routed_scaling_factor": 1.5,
                "num_shared_experts": 0,
                "is_moe_layer": [True, False, True, False],
            },
            "grouped heads, tied": {
                "tie_word_embeddings": True,
                "sliding_window": 3,
                "norm_topk_prob": False,
                **GROUPED,
            },
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
    "glm4_moe_lite": {
        "base": LATENT | EXPERTS | {"qk_nope_head_dim": 64},
        "cases": {
            "groups, yarn": {
                "n_group": 4,
                "topk_group": 2,
                "routed_scaling_factor": 2.5,
                "qk_nope_head_dim": 32,
                "rope_scaling": YARN | {"mscale": 1.0, "mscale_all_dim": 1.0},
                "rms_norm_eps": 1e-2,
            },
            "direct queries, biases": {
                "q_lora_rank": None,
                "attention_bias": True,
                "norm_topk_prob": False,
                "num_attention_heads": 3,
                "v_head_dim": 40,
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
    "granitemoe": {
        "base": GRANITE
        | {"intermediate_size": 64, "num_local_experts": 6, "num_experts_per_tok": 2},
        "cases": {
            "tied": {"tie_word_embeddings": True, "num_experts_per_tok": 4},
            "one key head, biases": {
                "attention_bias": True,
                "num_key_value_heads": 1,
                "num_local_experts": 3,
                "rope_scaling": {"type": "linear", "factor": 2.0},
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
    "minimax": {
        "base": {
            "head_dim": 32,
            "intermediate_size": 64,
            "num_local_experts": 8,
            "num_experts_per_tok": 3,
            "rotary_dim": 16,
            "shared_intermediate_size": 0,
        },
        "cases": {
            "wide heads, tied": {
                "head_dim": 64,
                "rotary_dim": 32,
                "num_key_value_heads": 1,
                "tie_word_embeddings": True,
            },
            "no norms, one of three": {
                "use_qk_norm": False,
                "num_local_experts": 3,
                "num_experts_per_tok": 1,
                "rotary_dim": 32,
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
    "solar_open": {
        "base": EXPERTS
        | {"head_dim": 32, "norm_topk_prob": True, "partial_rotary_factor": 1.0},
        "cases": {
            "groups, norms, biases": {
                "n_group": 4,
                "topk_group": 2,
                "routed_scaling_factor": 2.5,
                "attention_bias": True,
                "use_qk_norm": True,
                "partial_rotary_factor": 0.5,
            },
            "tied, all experts layers": {
                "tie_word_embeddings": True,
                "first_k_dense_replace": 0,
                "n_shared_experts": 2,
                **GROUPED,
            },
        },
    },
}
