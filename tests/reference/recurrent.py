"""Families with layers that carry on a state. See cases.py."""

from parts import CHOSEN, YARN

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
RECURRENT = {
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
}
