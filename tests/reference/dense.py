"""Families whose layers are attention and one MLP. See cases.py."""

from parts import GROUPED, LLAMA3, SLIDING, VOCAB, YARN

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
OTHER_NAMES = {
    "hidden_size": None,
    "num_hidden_layers": None,
    "num_attention_heads": None,
    "num_key_value_heads": None,
    "intermediate_size": None,
    "max_position_embeddings": None,
    "rms_norm_eps": None,
    "rope_theta": None,
    "tie_word_embeddings": None,
}
GEMMA4 = {
    "num_hidden_layers": 3,
    "head_dim": 32,
    "global_head_dim": 64,
    "sliding_window": 5,
    "intermediate_size": 192,
    "sliding_window_pattern": 3,
    "rms_norm_eps": 1e-6,
    "num_kv_shared_layers": 0,
    "hidden_size_per_layer_input": 0,
    "rope_theta": None,
    "tie_word_embeddings": True,
}
GPT2 = OTHER_NAMES | {
    "n_ctx": 128,
    "n_embd": 128,
    "n_head": 4,
    "n_layer": 2,
    "n_positions": 128,
    "layer_norm_epsilon": 1e-5,
}
OLMO = OTHER_NAMES | {
    "d_model": 128,
    "n_layers": 2,
    "n_heads": 4,
    "mlp_hidden_size": 512,
    "embedding_size": VOCAB,
}
LILLE = OTHER_NAMES | {
    "block_size": 128,
    "rope_theta": 10000.0,
    "layer_norm_eps": 1e-5,
    "n_embd": 128,
    "n_head": 4,
    "n_kv_heads": 2,
    "n_layer": 2,
}
OPENELM = OTHER_NAMES | {
    "head_dim": 32,
    "num_transformer_layers": 3,
    "model_dim": 128,
    "ffn_dim_divisor": 64,
    "num_query_heads": [4, 6, 2],
    "num_kv_heads": [2, 3, 1],
    "ffn_multipliers": [0.5, 1.7, 2.0],
}
PHIXTRAL = OTHER_NAMES | {
    "num_vocab": VOCAB,
    "model_dim": 128,
    "num_heads": 4,
    "num_layers": 2,
    "rotary_dim": 16,
    "num_experts_per_tok": 2,
    "num_local_experts": 4,
}
BLOCKS = [
    {"attention": {"n_heads_in_group": 2}, "ffn": {"ffn_mult": 3.0}},
    {"attention": {"replace_with_linear": True}, "ffn": {"ffn_mult": 1.3}},
    {"attention": {"no_op": True}, "ffn": {"replace_with_linear": True}},
    {"attention": {"n_heads_in_group": 4}, "ffn": {"no_op": True}},
]
DENSE = {
    "apertus": {
        "base": {
            "mlp_bias": False,
            "attention_bias": False,
            "post_norm": False,
            "qk_norm": True,
        },
        "cases": {
            "biases, one key head, rope llama3": {
                "mlp_bias": True,
                "num_key_value_heads": 1,
                "rope_scaling": LLAMA3,
                "tie_word_embeddings": True,
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
    "ernie4_5": {
        "base": {"use_bias": False, "head_dim": 32},
        "cases": {
            "biases, tied": {"use_bias": True, "tie_word_embeddings": True, "head_dim": 48},
        },
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
    "gemma": {
        "base": {"head_dim": 32, "tie_word_embeddings": True},
        "cases": {"one key head": {"num_key_value_heads": 1, "head_dim": 64}},
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
    "gemma4_text": {
        "base": GEMMA4,
        "cases": {
            "shared keys, inputs of layers": {
                "num_hidden_layers": 6,
                "sliding_window_pattern": 2,
                "num_kv_shared_layers": 3,
                "hidden_size_per_layer_input": 64,
                "vocab_size_per_layer_input": VOCAB,
            },
            "shared keys of narrow MLPs": {
                "num_hidden_layers": 4,
                "sliding_window_pattern": 2,
                "num_kv_shared_layers": 2,
                "use_double_wide_mlp": False,
                "num_key_value_heads": 1,
                "num_attention_heads": 6,
            },
            "keys as values, every other layer": {
                "attention_k_eq_v": True,
                "num_global_key_value_heads": 1,
                "layer_types": ["full_attention", "sliding_attention"],
                "num_hidden_layers": 2,
                "num_attention_heads": 6,
                "head_dim": 16,
                "global_head_dim": 48,
                "rope_parameters": {
                    "full_attention": {
                        "partial_rotary_factor": 0.5,
                        "rope_theta": 500000.0,
                        "rope_type": "proportional",
                        "factor": 2.0,
                    },
                    "sliding_attention": {"rope_theta": 20000.0, "rope_type": "default"},
                },
            },
        },
    },
    "gemma3": {
        "text": GEMMA3,
        "outer": {"vocab_size": VOCAB},
        "cases": {"narrow heads": {"head_dim": 16, "sliding_window": 5}},
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
    "helium": {
        "base": {"head_dim": 32, "attention_bias": False, "mlp_bias": False},
        "cases": {
            "biases": {"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 4},
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
    "lille-130m": {
        "base": LILLE,
        "cases": {"one key head": {"n_kv_heads": 1, "n_layer": 3, "n_embd": 192, "n_head": 6}},
    },
    "mimo": {
        "base": {"num_nextn_predict_layers": 1},
        "cases": {"tied, one key head": {"tie_word_embeddings": True, "num_key_value_heads": 1}},
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
    "nanochat": {
        "base": {"rms_norm_eps": None},
        "cases": {"a head each": {"num_key_value_heads": 4, "rope_theta": 100000.0}},
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
    "nemotron-nas": {
        "base": {"num_hidden_layers": 4, "block_configs": BLOCKS},
        "cases": {
            "biases, nothing in a layer, rope llama3": {
                "num_hidden_layers": 3,
                "block_configs": [
                    BLOCKS[1],
                    {"attention": {"no_op": True}, "ffn": {"no_op": True}},
                    BLOCKS[0],
                ],
                "attention_bias": True,
                "mlp_bias": True,
                "hidden_act": "gelu",
                "rope_scaling": LLAMA3,
                "tie_word_embeddings": True,
            },
        },
    },
    "olmo": {
        "base": OLMO,
        "cases": {
            "neighbours rotated": {
                "rope_traditional": True,
                "mlp_hidden_size": 256,
                "n_heads": 2,
                "rope_theta": 50000.0,
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
    "openelm": {
        "base": OPENELM,
        "cases": {
            "without norms, untied": {
                "normalize_qk_projections": False,
                "share_input_output_layers": False,
                "head_dim": 16,
                "rope_freq_constant": 50000,
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
    "plamo": {
        "base": {"n_shared_head": 2},
        "cases": {
            "two of six": {
                "n_shared_head": 3,
                "num_attention_heads": 6,
                "hidden_size": 192,
                "rope_traditional": True,
            },
        },
    },
    "phixtral": {
        "base": PHIXTRAL,
        "cases": {"three of six": {"num_local_experts": 6, "num_experts_per_tok": 3}},
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
    "seed_oss": {
        "base": {"head_dim": 32, "attention_bias": True},
        "cases": {
            "output bias": {"attention_out_bias": True, "mlp_bias": True},
            "one key head": {"num_key_value_heads": 1, "tie_word_embeddings": True},
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
    "telechat3": {
        "base": {"attention_bias": True},
        "cases": {
            "tied, wide heads": {"tie_word_embeddings": True, "head_dim": 64, "mlp_bias": True},
            "rope yarn": {"rope_scaling": YARN, "num_key_value_heads": 4},
        },
    },
}
