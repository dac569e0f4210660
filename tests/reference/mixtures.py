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
# So many heads that no two tokens are judged alike, by a sum of zeros.
INDEXER = {"index_head_dim": 32, "index_n_heads": 16, "index_topk": 8}
LONGCAT = {
    "attention_method": "MLA",
    "zero_expert_type": "identity",
    "num_hidden_layers": None,
    "intermediate_size": None,
    "num_layers": 2,
    "ffn_hidden_size": 256,
    "expert_ffn_hidden_size": 64,
    "moe_topk": 3,
    "n_routed_experts": 6,
    "zero_expert_num": 3,
    "qk_nope_head_dim": 64,
    "routed_scaling_factor": 1.5,
    "mla_scale_q_lora": True,
    "mla_scale_kv_lora": True,
    "attention_bias": False,
}
DBRX = {
    "hidden_size": None,
    "num_hidden_layers": None,
    "intermediate_size": None,
    "num_attention_heads": None,
    "num_key_value_heads": None,
    "rms_norm_eps": None,
    "max_position_embeddings": None,
    "rope_theta": None,
    "d_model": 128,
    "n_heads": 4,
    "n_layers": 2,
    "max_seq_len": 512,
    "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 500000.0},
    "ffn_config": {"ffn_hidden_size": 64, "moe_num_experts": 6, "moe_top_k": 2},
}
BY_KIND = {
    "full_attention": YARN | {"rope_theta": 500000.0, "partial_rotary_factor": 0.5},
    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
}
# Queries that grow with their position.
BETA = YARN | {
    "type": "yarn",
    "rope_theta": 10000.0,
    "original_max_position_embeddings": 8,
    "llama_4_scaling_beta": 0.1,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
}
STEP = {
    "num_hidden_layers": 4,
    "num_key_value_heads": None,
    "num_attention_groups": 2,
    "head_dim": 32,
    "sliding_window": 6,
    "layer_types": ["full_attention"] + ["sliding_attention"] * 3,
    "moe_num_experts": 8,
    "moe_top_k": 3,
    "moe_intermediate_size": 64,
    "share_expert_dim": 64,
}
MIXTURES = {
    "Klear": {
        "base": CHOSEN | {"n_shared_experts": 1, "attention_bias": False},
        "cases": {
            "every other layer, biases": {
                "num_hidden_layers": 4,
                "decoder_sparse_step": 2,
                "mlp_only_layers": [3],
                "attention_bias": True,
                "n_shared_experts": 2,
            },
            "one of five, one key head": {
                "num_experts": 5,
                "num_experts_per_tok": 1,
                "num_key_value_heads": 1,
                "norm_topk_prob": False,
            },
        },
    },
    "afmoe": {
        "base": {
            "num_hidden_layers": 4,
            "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
            "sliding_window": 6,
            "head_dim": 32,
            "moe_intermediate_size": 64,
            "num_experts": 8,
            "num_experts_per_tok": 3,
            "num_dense_layers": 1,
        },
        "cases": {
            "groups, softmax": {
                "n_group": 4,
                "topk_group": 2,
                "score_func": "softmax",
                "route_scale": 1.5,
                "num_shared_experts": 0,
                "mup_enabled": False,
                "head_dim": 16,
            },
            "grouped heads, tied": {
                "layer_types": ["full_attention"] + ["sliding_attention"] * 3,
                "sliding_window": 3,
                "tie_word_embeddings": True,
                "route_norm": False,
                "num_shared_experts": 2,
                "rope_scaling": YARN,
                **GROUPED,
            },
        },
    },
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
    "dbrx": {
        "base": DBRX,
        "cases": {
            "tight bounds, one key head": {
                "n_heads": 2,
                "n_layers": 3,
                "attn_config": {"kv_n_heads": 1, "clip_qkv": 0.5, "rope_theta": 10000.0},
                "ffn_config": {"ffn_hidden_size": 96, "moe_num_experts": 5, "moe_top_k": 3},
            },
            "one expert": {
                "attn_config": {"kv_n_heads": 4, "clip_qkv": 1.0, "rope_theta": 1000.0},
                "ffn_config": {"ffn_hidden_size": 64, "moe_num_experts": 2, "moe_top_k": 1},
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
    "deepseek_v32": {
        "base": LATENT | EXPERTS | INDEXER | {"qk_nope_head_dim": 64},
        "cases": {
            "groups, yarn that lengthens": {
                "n_group": 4,
                "topk_group": 2,
                "routed_scaling_factor": 2.5,
                "index_topk": 5,
                "index_n_heads": 12,
                "rope_scaling": YARN | {"mscale": 1.0, "mscale_all_dim": 0.5},
            },
            "neighbours rotated, wide": {
                "indexer_rope_interleave": True,
                "index_topk": 24,
                "index_head_dim": 16,
                "num_attention_heads": 3,
                "v_head_dim": 40,
                "attention_bias": True,
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
    "glm_moe_dsa": {
        "base": LATENT
        | EXPERTS
        | INDEXER
        | {
            "qk_nope_head_dim": 64,
            "norm_topk_prob": True,
            "moe_layer_freq": 1,
            "scoring_func": "sigmoid",
            "rope_theta": None,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
        },
        "cases": {
            "halves rotated, groups": {
                "indexer_rope_interleave": False,
                "n_group": 4,
                "topk_group": 2,
                "routed_scaling_factor": 2.5,
                "index_topk": 4,
            },
            "two heads": {
                "index_n_heads": 20,
                "index_topk": 12,
                "num_attention_heads": 2,
                "first_k_dense_replace": 0,
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
    "hunyuan": {
        "base": {
            "attention_bias": False,
            "moe_topk": 2,
            "num_experts": 6,
            "num_shared_expert": 1,
            "use_mixed_mlp_moe": True,
            "use_qk_norm": True,
            "use_cla": True,
            "cla_share_factor": 2,
            "num_hidden_layers": 4,
            "intermediate_size": 64,
            "rope_scaling": {"type": "alpha", "factor": 1.0, "alpha": 100.0},
        },
        "cases": {
            "keys and values of three layers, biases": {
                "cla_share_factor": 3,
                "attention_bias": True,
                "use_qk_norm": False,
                "moe_topk": [1, 2, 3, 2],
                "num_shared_expert": [1, 2, 1, 1],
                "moe_intermediate_size": [64, 32, 64, 96],
            },
            "none shared": {
                "use_cla": False,
                "use_mixed_mlp_moe": False,
                "num_key_value_heads": 1,
                "moe_intermediate_size": 96,
            },
            "dense": {"num_experts": 1, "use_cla": True, "num_key_value_heads": 4},
        },
    },
    "kimi_k25": {
        "text": LATENT | EXPERTS | {"qk_nope_head_dim": 64},
        "cases": {
            "groups, yarn": {
                "n_group": 4,
                "topk_group": 2,
                "routed_scaling_factor": 2.5,
                "rope_scaling": YARN | {"mscale": 1.0, "mscale_all_dim": 1.0},
            },
            "two heads": {"num_attention_heads": 2, "num_experts_per_tok": 1},
        },
    },
    "kimi_vl": {
        "text": LATENT | EXPERTS | {"qk_nope_head_dim": 64},
        "cases": {
            "groups": {"n_group": 4, "topk_group": 2, "first_k_dense_replace": 0},
            "three heads": {"num_attention_heads": 3, "v_head_dim": 40},
        },
    },
    "laguna": {
        "base": {
            "num_hidden_layers": 4,
            "head_dim": 32,
            "layer_types": ["full_attention"] + ["sliding_attention"] * 3,
            "sliding_window": 6,
            "num_experts": 8,
            "num_experts_per_tok": 3,
            "moe_intermediate_size": 64,
            "shared_expert_intermediate_size": 64,
            "moe_routed_scaling_factor": 2.5,
            "rope_theta": None,
            "rope_parameters": BY_KIND,
        },
        "cases": {
            "heads that differ, caps, biases": {
                "num_attention_heads_per_layer": [4, 6, 2, 8],
                "mlp_layer_types": ["sparse", "dense", "sparse", "dense"],
                "moe_router_logit_softcapping": 1.5,
                "moe_router_score_func": "sqrtsoftplus",
                "qkv_bias": True,
                "attention_bias": True,
            },
            "no gates, tied": {
                "gating": False,
                "layer_types": None,
                "tie_word_embeddings": True,
                "partial_rotary_factor": 0.25,
                "rope_parameters": {"full_attention": {"rope_theta": 1000.0}},
                **GROUPED,
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
    "longcat_flash": {
        "base": LATENT | LONGCAT,
        "cases": {
            "biases, normalised": {
                "attention_bias": True,
                "router_bias": True,
                "norm_topk_prob": True,
                "num_layers": 3,
                "rope_scaling": YARN | {"mscale": 1.0, "mscale_all_dim": 1.0},
            },
            "mostly identities": {
                "n_routed_experts": 3,
                "zero_expert_num": 6,
                "moe_topk": 4,
                "num_attention_heads": 3,
                "v_head_dim": 40,
            },
        },
    },
    "mellum": {
        "base": {
            "num_hidden_layers": 4,
            "head_dim": 32,
            "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
            "sliding_window": 6,
            "num_experts": 8,
            "num_experts_per_tok": 3,
            "moe_intermediate_size": 64,
            "norm_topk_prob": True,
            "rope_theta": None,
            "rope_parameters": {
                "full_attention": YARN | {"rope_theta": 500000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            },
        },
        "cases": {
            "grouped heads, not normalised": {
                "norm_topk_prob": False,
                "sliding_window": 3,
                **GROUPED,
            },
            "all see all, tied": {
                "layer_types": ["full_attention"] * 4,
                "tie_word_embeddings": True,
                "num_experts_per_tok": 1,
            },
        },
    },
    "mimo_v2_flash": {
        "base": EXPERTS
        | {
            "num_hidden_layers": 4,
            "hybrid_layer_pattern": [0, 1, 1, 1],
            "moe_layer_freq": [0, 1, 1, 1],
            "add_swa_attention_sink_bias": True,
            "add_full_attention_sink_bias": False,
            "sliding_window_size": 6,
            "n_shared_experts": None,
            "scoring_func": "sigmoid",
            "norm_topk_prob": True,
            "rms_norm_eps": None,
            "layernorm_epsilon": 1e-5,
            "rope_theta": 500000.0,
            "swa_rope_theta": 10000.0,
            "swa_num_attention_heads": 4,
            "swa_num_key_value_heads": 1,
            "head_dim": 48,
            "v_head_dim": 32,
            "swa_head_dim": 48,
            "swa_v_head_dim": 32,
            "partial_rotary_factor": 0.5,
        },
        "cases": {
            "sinks everywhere, values scaled": {
                "add_full_attention_sink_bias": True,
                "attention_value_scale": 0.7,
                "swa_num_attention_heads": 6,
                "swa_num_key_value_heads": 3,
                "swa_head_dim": 32,
                "n_shared_experts": 1,
            },
            "values as wide as keys, groups": {
                "hybrid_layer_pattern": [1, 0, 0, 1],
                "moe_layer_freq": [1, 0, 1, 0],
                "swa_v_head_dim": 48,
                "v_head_dim": 64,
                "add_swa_attention_sink_bias": False,
                "n_group": 4,
                "topk_group": 2,
                "routed_scaling_factor": 2.5,
                "attention_value_scale": 0.5,
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
    "mistral3": {
        "text": {"head_dim": 32},
        "cases": {
            "ministral 3": {
                "model_type": "ministral3",
                "num_key_value_heads": 1,
                "rope_parameters": BETA,
            },
            "mistral 4": LATENT
            | EXPERTS
            | {
                "model_type": "mistral4",
                "norm_topk_prob": True,
                "rope_parameters": BETA,
            },
        },
    },
    "mistral4": {
        "base": LATENT
        | EXPERTS
        | {
            "qk_nope_head_dim": 64,
            "norm_topk_prob": True,
            "rope_theta": None,
            "rope_parameters": BETA,
        },
        "cases": {
            "groups, halves rotated": {
                "n_group": 4,
                "topk_group": 2,
                "routed_scaling_factor": 2.5,
                "rope_interleave": False,
                "norm_topk_prob": False,
                "num_attention_heads": 3,
                "v_head_dim": 40,
            },
            "direct queries, tied": {
                "q_lora_rank": None,
                "tie_word_embeddings": True,
                "attention_bias": True,
                "first_k_dense_replace": 0,
                "n_shared_experts": 2,
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
    "phimoe": {
        "base": {
            "intermediate_size": 64,
            "num_local_experts": 6,
            "num_experts_per_tok": 2,
            "original_max_position_embeddings": 64,
            "router_jitter_noise": 0.2,
            "rope_scaling": {
                "type": "longrope",
                "short_factor": [1.0] * 16,
                "long_factor": [1.0 + 0.25 * i for i in range(16)],
                "short_mscale": 1.1,
                "long_mscale": 1.3,
            },
        },
        "cases": {
            "no rope scaling, three of five": {
                "rope_scaling": None,
                "num_local_experts": 5,
                "num_experts_per_tok": 3,
                "router_jitter_noise": 0.05,
            },
            "one key head": {
                "num_key_value_heads": 1,
                "router_jitter_noise": 0.5,
                "num_attention_heads": 2,
                "rope_scaling": {
                    "type": "longrope",
                    "short_factor": 1.0,
                    "long_factor": 1.5,
                    "short_mscale": 1.0,
                    "long_mscale": 1.0,
                },
            },
        },
    },
    "pixtral": {
        "text": {"head_dim": 32},
        "cases": {
            "one key head": {"num_key_value_heads": 1},
            "wide heads": {"head_dim": 64, "rope_theta": 1000000.0},
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
    "qwen2_vl": {
        "text": {"rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]}},
        "cases": {
            "tied": {"tie_word_embeddings": True},
            "one key head": {"num_key_value_heads": 1, "rope_theta": 1000000.0},
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
    "qwen3_vl": {
        "text": {"head_dim": 32, "rope_theta": 5000000.0},
        "cases": {
            "tied": {"tie_word_embeddings": True},
            "narrow heads": {"head_dim": 16, "num_attention_heads": 6, "num_key_value_heads": 3},
        },
    },
    "qwen3_vl_moe": {
        "text": CHOSEN | {"head_dim": 32},
        "cases": {
            "one of three": {"num_experts": 3, "num_experts_per_tok": 1},
            "every other layer": {
                "num_hidden_layers": 4,
                "decoder_sparse_step": 2,
                "norm_topk_prob": False,
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
    "step3p5": {
        "base": STEP,
        "cases": {
            "other heads, parts rotated, limits": {
                "attention_other_setting": {
                    "num_attention_heads": 6,
                    "num_attention_groups": 3,
                },
                "partial_rotary_factors": [0.5, 1.0, 0.5, 1.0],
                "rope_theta": [500000.0, 10000.0, 500000.0, 10000.0],
                "rope_scaling": LLAMA3,
                "yarn_only_types": ["full_attention"],
                "swiglu_limits": [0.0, 0.4, 0.0, 0.3],
                "swiglu_limits_shared": [0.2, 0.0, 0.3, 0.5],
                "moe_layers_enum": "1,3",
            },
            "no gates, no kinds": {
                "layer_types": None,
                "use_head_wise_attn_gate": False,
                "norm_expert_weight": False,
                "moe_top_k": 1,
                "num_attention_groups": 1,
            },
        },
    },
    "youtu_llm": {
        "base": LATENT | {"rope_traditional": True},
        "cases": {
            "halves rotated, biases": {
                "rope_traditional": False,
                "attention_bias": True,
                "mlp_bias": True,
                "rms_norm_eps": 1e-2,
            },
            "direct queries, tied": {
                "q_lora_rank": None,
                "tie_word_embeddings": True,
                "num_attention_heads": 3,
                "v_head_dim": 40,
                "rope_scaling": YARN | {"mscale": 1.0, "mscale_all_dim": 1.0},
            },
        },
    },
}
