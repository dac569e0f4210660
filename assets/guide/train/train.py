"""Trains the guide on the shards that generate.py writes, for a fixed number of minutes on one GPU.

New shards are used as soon as they appear, so generating and training can run side by side. The learning rate
warms up, then falls linearly to zero over the time given. The result is a float16 checkpoint for export.py.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer as Vocabulary
from torch import Tensor

from model import LONGEST, Config, Guide
from muon import Muon

# Documents in a batch at most, some of them padding. Attention pays for each, empty ones too.
MAX_DOCUMENTS = 2048
MAX_PADDING = 200


def batches(shards: Path, size: int, held_out: str) -> Iterator[tuple[Tensor, ...]]:
    """Endless batches of `size` tokens, always from the shard that was used least."""
    used: dict[Path, int] = {}
    while True:
        for p in sorted(shards.glob("*.npz")):
            if p.name != held_out:
                used.setdefault(p, 0)
        if not used:
            time.sleep(1)
            continue
        shard = min(used, key=used.__getitem__)
        used[shard] += 1
        yield from shard_batches(shard, size)


def shard_batches(shard: Path, size: int) -> Iterator[tuple[Tensor, ...]]:
    """Cuts one shard into batches at document borders; the rest of each batch is padding without loss."""
    with np.load(shard) as f:
        tokens, loss, lengths = f["tokens"], f["loss"], f["lengths"]
    ends = np.cumsum(lengths, dtype=np.int64)
    first, start = 0, 0
    while first < len(lengths):
        last = min(int(np.searchsorted(ends, start + size, side="right")), first + MAX_DOCUMENTS - MAX_PADDING)
        stop = int(ends[last - 1])
        if last <= first:
            raise ValueError(f"{shard}: a document is longer than a batch of {size} tokens")
        count = stop - start
        offsets = np.full(MAX_DOCUMENTS + 1, size, dtype=np.int32)
        offsets[0] = 0
        offsets[1 : last - first + 1] = ends[first:last] - start
        # Padding is cut into short documents so that none is longer than the model's positions.
        pads = np.arange(count, size, LONGEST)
        offsets[last - first : last - first + len(pads)] = pads
        inputs = np.zeros(size, dtype=np.int64)
        inputs[:count] = tokens[start:stop]
        weights = np.zeros(size, dtype=np.float32)
        weights[: count - 1] = loss[start + 1 : stop]
        targets = np.zeros(size, dtype=np.int64)
        targets[: count - 1] = tokens[start + 1 : stop]
        spans = np.diff(offsets)
        positions = np.arange(size) - np.repeat(offsets[:-1], spans)
        yield tuple(torch.from_numpy(x).pin_memory().cuda(non_blocking=True)
                    for x in (inputs, positions, offsets, targets, weights))
        first, start = last, stop


def loss_of(model: torch.nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    """Mean cross-entropy over the tokens that count."""
    tokens, positions, offsets, targets, weights = batch
    with torch.autocast("cuda", dtype=torch.bfloat16):
        logits = model(tokens, positions, offsets)
    each = F.cross_entropy(logits.float(), targets, reduction="none")
    return (each * weights).sum() / weights.sum().clamp(min=1)


def rate(progress: float, step: int, warmup: int = 150) -> float:
    """Share of the peak learning rate."""
    return min(1.0, (step + 1) / warmup) * max(0.0, 1.0 - progress)


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--shards", type=Path, required=True, help="folder that generate.py writes")
    cli.add_argument("--out", type=Path, required=True, help="folder for checkpoint.safetensors and train.json")
    cli.add_argument("--tokenizer", type=Path, default=Path(__file__).parent.parent / "tokenizer.json")
    cli.add_argument("--start", type=Path, help="checkpoint to go on from, made with the same tokenizer")
    cli.add_argument("--minutes", type=float, default=8.0)
    cli.add_argument("--tokens", type=int, default=262_144, help="tokens a step")
    cli.add_argument("--lr", type=float, default=4e-3)
    args = cli.parse_args()

    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    vocab = Vocabulary.from_file(str(args.tokenizer)).get_vocab_size()
    model = Guide(Config(vocab=vocab)).cuda()
    if args.start:
        model.load_state_dict({n: p.float() for n, p in load_file(args.start).items()})
    total = sum(p.numel() for p in model.parameters())
    print(f"{total / 1e6:.2f} M parameters", flush=True)
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed" in n]
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, lr=args.lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    step_model = torch.compile(model)

    held_out = "shard-00000.npz"
    stream = batches(args.shards, args.tokens, held_out)
    history, step, seen, started, spoken = [], 0, 0, None, 0.0
    while True:
        batch = next(stream)
        loss = loss_of(step_model, batch)
        loss.backward()
        # The clock starts after the first step, which compiles.
        started = started or time.monotonic()
        elapsed = time.monotonic() - started
        share = rate(elapsed / (60 * args.minutes), step)
        muon.step(args.lr * share)
        adam.param_groups[0]["lr"] = args.lr * share
        adam.step()
        model.zero_grad(set_to_none=True)
        step, seen = step + 1, seen + args.tokens
        if step % 50 == 0 and elapsed - spoken > 10 or elapsed >= 60 * args.minutes:
            spoken = elapsed
            value = loss.item()
            history.append({"step": step, "seconds": round(elapsed), "tokens": seen, "loss": round(value, 4)})
            print(f"step {step}  {elapsed:.0f} s  {seen / 1e6:.0f} M tokens  loss {value:.4f}", flush=True)
        if elapsed >= 60 * args.minutes:
            break

    with torch.no_grad():
        values = [loss_of(step_model, b).item() for b in shard_batches(args.shards / held_out, args.tokens)]
    held = sum(values) / len(values)
    print(f"held-out loss {held:.4f}", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    weights = {n: p.detach().half().contiguous().cpu() for n, p in model.named_parameters()}
    save_file(weights, args.out / "checkpoint.safetensors")
    record = {"parameters": total, "config": vars(model.c), "steps": step, "tokens": seen,
              "held_out_loss": round(held, 4), "history": history}
    (args.out / "train.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
