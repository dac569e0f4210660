"""Writes the guide in MLX's affine 8-bit layout (groups of 64) from the checkpoint that train.py leaves.

Each matrix becomes `weight` (uint32, four values a word, the first in the low byte), `scales` and `biases`
(float16, one a group): value = scale * code + bias. Norms stay float16. Of several checkpoints, each trained on from the
one before, the mean is written: it answers more evenly than the last alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

BITS, GROUP = 8, 64


def quantise(w: np.ndarray) -> dict[str, np.ndarray]:
    """Codes, scales and biases of a `[rows, columns]` matrix."""
    rows, columns = w.shape
    groups = w.astype(np.float32).reshape(rows, columns // GROUP, GROUP)
    low, high = groups.min(-1), groups.max(-1)
    scales = np.maximum((high - low) / (2**BITS - 1), 1e-7).astype(np.float16)
    biases = low.astype(np.float16)
    codes = np.rint((groups - biases[..., None].astype(np.float32)) / scales[..., None].astype(np.float32))
    codes = np.clip(codes, 0, 2**BITS - 1).astype(np.uint8).reshape(rows, columns)
    return {"weight": codes.view("<u4"), "scales": scales, "biases": biases}


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("runs", type=Path, nargs="+", help="folders with checkpoint.safetensors and train.json")
    cli.add_argument("--out", type=Path, default=Path(__file__).parent.parent)
    args = cli.parse_args()
    shape = json.loads((args.runs[-1] / "train.json").read_text())["config"]
    checkpoints = [load_file(run / "checkpoint.safetensors") for run in args.runs]
    means = {n: np.mean([c[n].astype(np.float32) for c in checkpoints], axis=0).astype(np.float16) for n in sorted(checkpoints[0])}
    tensors: dict[str, np.ndarray] = {}
    for name, w in means.items():
        if w.ndim == 1:
            tensors[name] = w
            continue
        stem = name.removesuffix(".weight")
        tensors |= {f"{stem}.{part}": value for part, value in quantise(w).items()}
    save_file(tensors, args.out / "model.safetensors", metadata={"format": "mlx"})
    tokens = json.loads((args.out / "tokenizer.json").read_text())["added_tokens"]
    ids = {t["content"]: t["id"] for t in tokens}
    quantization = {"group_size": GROUP, "bits": BITS}
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": shape["vocab"],
        "hidden_size": shape["hidden"],
        "intermediate_size": shape["mlp"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "num_key_value_heads": shape["kv_heads"],
        "head_dim": shape["head_dim"],
        "max_position_embeddings": shape["max_positions"],
        "rope_theta": shape["rope_theta"],
        "rms_norm_eps": shape["norm_eps"],
        "hidden_act": "silu",
        "attention_bias": False,
        "tie_word_embeddings": True,
        "torch_dtype": "float16",
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "quantization": quantization,
        "quantization_config": quantization,
    }
    (args.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    generation = {"eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]], "pad_token_id": ids["<|endoftext|>"],
                  "do_sample": False, "temperature": 0.0, "top_p": 1.0, "max_new_tokens": 512}
    (args.out / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    print(f"{sum(t.nbytes for t in tensors.values()):,} bytes of tensors")


if __name__ == "__main__":
    main()
