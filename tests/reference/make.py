"""Makes tests/reference/FAMILY.json: what mlx-lm computes for tiny models.

    python tests/reference/make.py        (needs mlx-lm 0.32.2)

The weights are never stored. Both sides derive them from a 32-bit hash of the
tensor's name and the element's index (`values` here, tests/parity/weights.rs
there), so the files hold configurations and expected numbers only.

Weights are rounded to the type of the case and handed to mlx-lm as f32,
because Maquette computes in f32 on the CPU whatever the weights' type.
"""

import json
import tempfile
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import _get_classes, load_model

VOCAB = 48
PROMPT = 20
GREEDY = 32
TYPES = {"f32": mx.float32, "f16": mx.float16, "bf16": mx.bfloat16}


# Weights --------------------------------------------------------------------


def words(name, count):
    """`count` random 32-bit words for a name: FNV-1a of the name, then a
    bit mixer over seed + golden ratio * index."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    x = (np.arange(count, dtype=np.uint64) * 0x9E3779B9 + seed).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return x


def uniform(name, count):
    """Numbers in [-1, 1), multiples of 2^-23: exact in f32."""
    return (words(name, count) >> np.uint32(8)).astype(np.float32) * np.float32(
        2.0**-23
    ) - np.float32(1)


def bound(columns):
    """A power of two near 2 / sqrt(columns), so that products are exact."""
    return np.float32(2.0 ** (1 - round(np.log2(columns) / 2)))


def tensor(name, shape, columns, bits):
    count = int(np.prod(shape))
    if name.endswith(".biases"):
        data = -bound(columns) * (1 + uniform(name, count) * np.float32(0.125))
    elif name.endswith(".scales"):
        step = bound(columns) * np.float32(2.0 ** (1 - bits))
        data = step * (1 + uniform(name, count) * np.float32(0.125))
    elif bits:
        data = words(name, count)
    elif name.endswith(".bias"):
        data = uniform(name, count) * np.float32(0.25)
    elif "norm" in name:
        data = 1 + uniform(name, count) * np.float32(0.25)
    elif "embed_tokens" in name:
        data = uniform(name, count)
    else:
        data = uniform(name, count) * bound(columns)
    assert data.dtype in (np.float32, np.uint32), (name, data.dtype)
    return data.reshape(shape)


def quantisation_of(config, module):
    settings = config.get("quantization")
    if settings is None:
        return None
    own = settings.get(module, settings)
    return own and (own["bits"], own["group_size"])


def dense_shapes(config):
    model_class, args_class = _get_classes(config)
    model = model_class(args_class.from_dict(config))
    return {name: p.shape for name, p in tree_flatten(model.parameters())}


def weights(config, dtype):
    """name -> f32 or u32 array, rounded to `dtype`."""
    result = {}
    for name, shape in dense_shapes(config).items():
        module, _, kind = name.rpartition(".")
        quantisation = len(shape) == 2 and quantisation_of(config, module)
        if not quantisation:
            parts = {name: (shape, 0)}
        else:
            bits, group = quantisation
            rows, columns = shape
            groups = (rows, columns // group)
            parts = {
                name: ((rows, columns * bits // 32), bits),
                f"{module}.scales": (groups, bits),
                f"{module}.biases": (groups, bits),
            }
        for part, (part_shape, bits) in parts.items():
            array = mx.array(tensor(part, part_shape, shape[-1], bits))
            if array.dtype == mx.float32:
                array = array.astype(TYPES[dtype]).astype(mx.float32)
            result[part] = array
    return result


# Cases ----------------------------------------------------------------------

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
MIXED = {
    "bits": 4,
    "group_size": 64,
    "model.embed_tokens": False,
    "lm_head": {"bits": 8, "group_size": 32},
    "model.layers.0.self_attn.v_proj": {"bits": 6, "group_size": 64},
    "model.layers.1.mlp.up_proj": {"bits": 3, "group_size": 128},
    "model.layers.1.mlp.down_proj": False,
}


def cases(family):
    base = TINY | FAMILIES[family] | {"model_type": family}
    for dtype in TYPES:
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


# Expected numbers -----------------------------------------------------------


def rounded(logits):
    return [float(f"{x:.6g}") for x in np.array(logits, dtype=np.float64)]


def expect(name, config, dtype):
    config = {key: value for key, value in config.items() if value is not None}
    prompt = [int(t) for t in words("prompt", PROMPT) % VOCAB]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "config.json").write_text(json.dumps(config))
        mx.save_safetensors(str(folder / "model.safetensors"), weights(config, dtype))
        model, _ = load_model(folder)
    cache = make_prompt_cache(model)
    prefill = model(mx.array([prompt]), cache)[0]
    mx.eval(prefill)
    greedy, logits, gap, decode = [], prefill[-1], 1.0, None
    for _ in range(GREEDY):
        top = np.sort(np.array(logits))[::-1]
        gap = min(gap, (top[0] - top[1]) / np.abs(top).max())
        greedy.append(int(mx.argmax(logits)))
        logits = model(mx.array([[greedy[-1]]]), cache)[0, -1]
        decode = logits if decode is None else decode
        mx.eval(logits)
    assert gap > 1e-5, (name, "the two best tokens are too close to tell", gap)
    return {
        "name": name,
        "dtype": dtype,
        "config": config,
        "prefill_middle": rounded(prefill[PROMPT // 2]),
        "prefill_last": rounded(prefill[-1]),
        "decode_first": rounded(decode),
        "greedy": greedy,
    }


def main():
    mx.set_default_device(mx.cpu)
    for family in FAMILIES:
        expected = [expect(*case) for case in cases(family)]
        lines = ",\n".join(json.dumps(case) for case in expected)
        path = Path(__file__).parent / f"{family}.json"
        path.write_text(f"[\n{lines}\n]\n")
        print(f"{path.name}: {len(expected)} cases, {path.stat().st_size} bytes")


main()
