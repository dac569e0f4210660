"""The tiny models of tests/reference: which configurations, types and
quantisations make.py computes for each family.

Families are added in dense.py, mixtures.py or recurrent.py: `base` holds the
settings all cases share, `cases` what differs, `quantized` more quantisations. `text` instead of `base`
is for models whose config.json has a part for the language model.
"""

from dense import DENSE
from mixtures import MIXTURES
from parts import LLAMA3, SLIDING, VOCAB, YARN
from recurrent import RECURRENT

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
# Keys whose absence means something else than null.
NULLS = (
    "n_shared_experts",
    "q_lora_rank",
    "rope_scaling",
    "sliding_window",
    "sliding_window_pattern",
)
MIXED = {
    "bits": 4,
    "group_size": 64,
    "model.embed_tokens": False,
    "lm_head": {"bits": 8, "group_size": 32},
    "model.layers.0.self_attn.v_proj": {"bits": 6, "group_size": 64},
    "model.layers.1.mlp.up_proj": {"bits": 3, "group_size": 128},
    "model.layers.1.mlp.down_proj": False,
}
FEWER = DENSE | MIXTURES | RECURRENT


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
    for mode, bits, group in (("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16)):
        quantization = {"bits": bits, "group_size": group, "mode": mode}
        yield mode, base | {"quantization": quantization}, "bf16"
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
