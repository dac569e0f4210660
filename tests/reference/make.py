"""Makes tests/reference/FAMILY.json: what mlx-lm computes for tiny models.

    python tests/reference/make.py [FAMILY …]        (needs mlx-lm 0.32.2)

The weights are never stored. Both sides derive them from a 32-bit hash of the
tensor's name and the element's index (`values` here, tests/parity/weights.rs
there), so the files hold configurations and expected numbers only.

Weights are rounded to the type of the case and handed to mlx-lm as f32,
because Maquette computes in f32 on the CPU whatever the weights' type.
"""

import importlib
import json
import sys
import tempfile
import types
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import _get_classes, load_model

from cases import FAMILIES, FEWER, NULLS, VOCAB, cases

# MLX 0.32.2 crashes on some compiled functions when it runs on the CPU.
mx.disable_compile()

# mlx-lm 0.32.2 passes an argument that MLX 0.32.2 does not know.
gather_qmm = mx.gather_qmm
mx.gather_qmm = lambda *arrays, global_scale=None, **rest: gather_qmm(*arrays, **rest)

# Its OLMo asks for a package that it does not use, and adds masks to scores.
sys.modules["hf_olmo"] = types.ModuleType("hf_olmo")


def additive_mask(x, cache=None, **_):
    rows, past = x.shape[1], cache.offset if cache else 0
    seen = mx.arange(past + rows)[None] <= mx.arange(past, past + rows)[:, None]
    return mx.where(seen, 0.0, -mx.inf)


importlib.import_module("mlx_lm.models.olmo").create_attention_mask = additive_mask

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
    elif name.endswith(".scales") and bits == "nvfp4":
        # E4M3 floats of the two binades below the bound.
        least = 8 * (7 - 3 + int(np.log2(bound(columns))))
        data = (least + words(name, count) % 16).astype(np.uint8)
    elif name.endswith(".scales") and bits == "mxfp8":
        least = 127 - 9 + int(np.log2(bound(columns)))
        data = (least + words(name, count) % 2).astype(np.uint8)
    elif name.endswith(".scales") and bits == "mxfp4":
        least = 126 + int(np.log2(bound(columns)))
        data = (least - words(name, count) % 2).astype(np.uint8)
    elif name.endswith(".scales"):
        step = bound(columns) * np.float32(2.0 ** (1 - bits))
        data = step * (1 + uniform(name, count) * np.float32(0.125))
    elif bits == "mxfp8":
        # All codes but NaN.
        data = words(name, count) & np.uint32(0xBFBFBFBF)
    elif bits:
        data = words(name, count)
    elif name.endswith("bias"):
        data = uniform(name, count) * np.float32(0.25)
    elif "norm" in name.replace("norm_attn_norm.attn", "") or name.endswith(".D"):
        data = 1 + uniform(name, count) * np.float32(0.25)
    elif any(part in name for part in ("embed_tokens", "embeddings", "A_log", "sinks")):
        data = uniform(name, count)
    else:
        data = uniform(name, count) * bound(columns)
    assert data.dtype in (np.float32, np.uint32, np.uint8), (name, data.dtype)
    return data.reshape(shape)


def quantisation_of(config, module):
    settings = config.get("quantization")
    if settings is None:
        return None
    own = settings.get(module, settings)
    if not own:
        return None
    floats = own.get("mode", "affine") != "affine"
    return (own["mode"] if floats else own["bits"], own["group_size"])


def table_of(config):
    """Modules whose weight may be quantised, and all other tensors, by name
    with their shapes."""
    model_class, args_class = _get_classes(config)
    model = model_class(args_class.from_dict(json.loads(json.dumps(config))))
    modules = dict(model.named_modules())
    linear, plain = {}, {}
    for name, parameter in tree_flatten(model.parameters()):
        module, _, kind = name.rpartition(".")
        if kind == "weight" and hasattr(modules[module], "to_quantized"):
            linear[module] = list(parameter.shape)
        else:
            plain[name] = list(parameter.shape)
    text = config.get("text_config", config)
    if "gemma" in config["model_type"] and text.get("tie_word_embeddings"):
        # Made, and thrown away when there are no weights for it.
        linear = {name: shape for name, shape in linear.items() if "lm_head" not in name}
    return {"linear": linear, "plain": plain}


def weights(config, dtype, table):
    """name -> f32, u32 or u8 array, floats rounded to `dtype`."""
    parts = {}
    for name, shape in table["plain"].items():
        columns = int(np.prod(shape[1:])) if "conv" in name else [1, *shape][-1]
        parts[name] = (shape, columns, 0)
    for module, shape in table["linear"].items():
        quantisation = quantisation_of(config, module)
        *lead, columns = shape
        if not quantisation:
            parts[f"{module}.weight"] = (shape, columns, 0)
            continue
        bits, group = quantisation
        width = {"mxfp4": 4, "mxfp8": 8, "nvfp4": 4}.get(bits, bits)
        groups = (*lead, columns // group)
        parts[f"{module}.weight"] = ((*lead, columns * width // 32), columns, bits)
        parts[f"{module}.scales"] = (groups, columns, bits)
        if isinstance(bits, int):
            parts[f"{module}.biases"] = (groups, columns, bits)
    result = {}
    for name, (shape, columns, bits) in parts.items():
        array = mx.array(tensor(name, shape, columns, bits))
        if array.dtype == mx.float32:
            array = array.astype(TYPES[dtype]).astype(mx.float32)
        result[name] = array
    return result


# Expected numbers -----------------------------------------------------------


def rounded(logits):
    return [float(f"{x:.6g}") for x in np.array(logits, dtype=np.float64)]


def expect(name, config, dtype, tables):
    config = {
        key: value
        for key, value in config.items()
        if value is not None or key in NULLS
    }
    table = table_of(config)
    if table not in tables:
        tables.append(table)
    prompt = [int(t) for t in words("prompt", PROMPT) % VOCAB]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "config.json").write_text(json.dumps(config))
        mx.save_safetensors(str(folder / "model.safetensors"), weights(config, dtype, table))
        model, _ = load_model(folder)
    cache = make_prompt_cache(model)
    prefill = model(mx.array([prompt]), cache=cache)[0]
    mx.eval(prefill)
    greedy, logits, gap, decode = [], prefill[-1], 1.0, None
    for _ in range(GREEDY):
        top = np.sort(np.array(logits))[::-1]
        gap = min(gap, (top[0] - top[1]) / np.abs(top).max())
        greedy.append(int(mx.argmax(logits)))
        logits = model(mx.array([[greedy[-1]]]), cache=cache)[0, -1]
        decode = logits if decode is None else decode
        mx.eval(logits)
    assert gap > 1e-5, (name, "the two best tokens are too close to tell", gap)
    return {
        "name": name,
        "dtype": dtype,
        "config": config,
        "tensors": tables.index(table),
        "prefill_middle": rounded(prefill[PROMPT // 2]),
        "prefill_last": rounded(prefill[-1]),
        "decode_first": rounded(decode),
        "greedy": greedy,
    }


def main():
    mx.set_default_device(mx.cpu)
    for family in sys.argv[1:] or [*FAMILIES, *FEWER]:
        tables = []
        expected = [expect(*case, tables) for case in cases(family)]
        cut = lambda items: ",\n".join(json.dumps(item) for item in items)
        path = Path(__file__).parent / f"{family}.json"
        path.write_text(f'{{"tensors": [\n{cut(tables)}\n], "cases": [\n{cut(expected)}\n]}}\n')
        print(f"{path.name}: {len(expected)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
