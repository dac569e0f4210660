#!/usr/bin/env python3
"""Maquette next to mlx-lm, on the same machine, in turns.

    python benches/compare.py --guide
    python benches/compare.py --model FOLDER
    python benches/compare.py --config benches/configs/qwen3-0.6b.json [--bits 4] [--sequences 8]

Needs `mlx-lm` (0.32.2) in the Python that runs it and a release build of
Maquette (`cargo build --release`, or --maquette PATH). The two take turns, each
in a process of its own, so that a machine that grows warm or busy slows both.
Printed are medians over the rounds and their ratio; above 1 Maquette is faster.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ("prefill", "decode", "first_token")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--guide", action="store_true", help="measure the guide")
    what.add_argument("--model", type=Path, help="measure a model folder")
    what.add_argument("--config", type=Path, help="measure random weights in this shape")
    parser.add_argument("--bits", type=int, help="quantise the random weights, groups of 64")
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--generate-tokens", type=int, default=128)
    parser.add_argument("--sequences", type=int, default=1, help="at once, with prompts of different lengths")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each program")
    parser.add_argument("--runs", type=int, default=3, help="measured runs in each turn")
    parser.add_argument("--maquette", type=Path, default=ROOT / "target/release/maquette")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--mlx-lm-turn", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bits and not args.config:
        parser.error("--bits goes with --config")
    if args.guide:
        args.model = ROOT / "assets/guide"
    return args


def random_model(config_path, bits):
    """mlx-lm's own model class with random weights of the config's type."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_map
    from mlx_lm.utils import _get_classes

    config = json.loads(config_path.read_text())
    model_class, args_class = _get_classes(config)
    model = model_class(args_class.from_dict(config))
    name = config.get("torch_dtype") or config.get("dtype") or "bfloat16"
    model.update(tree_map(lambda p: p.astype(getattr(mx, name)), model.parameters()))
    if bits:
        nn.quantize(model, group_size=64, bits=bits)
    mx.eval(model.parameters())
    model.eval()
    return model, config["vocab_size"]


def loaded_model(folder):
    from mlx_lm.utils import load_model

    model, config = load_model(folder)
    return model, config["vocab_size"]


def mlx_lm_turn(args):
    """One warm-up and the measured runs, printed as JSON."""
    import mlx.core as mx

    model, vocabulary = random_model(args.config, args.bits) if args.config else loaded_model(args.model)
    run = one_sequence if args.sequences == 1 else several_sequences
    runs = []
    for number in range(args.runs + 1):
        mx.random.seed(number)
        runs.append(run(args, model, vocabulary))
    print(json.dumps({"runs": runs[1:], "peak": mx.get_peak_memory()}))


def one_sequence(args, model, vocabulary):
    import mlx.core as mx
    from mlx_lm.generate import generate_step

    prompt = mx.random.randint(0, vocabulary, (args.prompt_tokens,))
    mx.eval(prompt)
    begun = time.perf_counter()
    first = begun
    count = 0
    for _ in generate_step(prompt, model, max_tokens=args.generate_tokens):
        count += 1
        if count == 1:
            first = time.perf_counter()
    ended = time.perf_counter()
    assert count == args.generate_tokens, count
    return {
        "prefill": args.prompt_tokens / (first - begun),
        "decode": (count - 1) / (ended - first),
        "first_token": first - begun,
    }


def several_sequences(args, model, vocabulary):
    """mlx-lm's continuous batching, counted as Maquette counts."""
    import mlx.core as mx
    from mlx_lm.generate import BatchGenerator

    many, longest = args.sequences, args.prompt_tokens
    lengths = [longest - longest // 2 * (many - 1 - i) // (many - 1) for i in range(many)]
    prompts = [mx.random.randint(0, vocabulary, (length,)).tolist() for length in lengths]
    begun = time.perf_counter()
    generator = BatchGenerator(model, max_tokens=args.generate_tokens, completion_batch_size=many)
    generator.insert(prompts)
    firsts, counts = {}, {}
    while len(firsts) < many or min(counts.values()) < args.generate_tokens:
        for response in generator.next_generated():
            firsts.setdefault(response.uid, time.perf_counter())
            counts[response.uid] = counts.get(response.uid, 0) + 1
    ended = time.perf_counter()
    generator.close()
    first = min(firsts.values())
    return {
        "prefill": sum(lengths) / (max(firsts.values()) - begun),
        "decode": sum(count - 1 for count in counts.values()) / (ended - first),
        "first_token": first - begun,
    }


def ours(args):
    command = [str(args.maquette), "bench", "--json"]
    command += ["--prompt-tokens", str(args.prompt_tokens), "--runs", str(args.runs)]
    command += ["--generate-tokens", str(args.generate_tokens), "--sequences", str(args.sequences)]
    if args.config:
        command += ["--config", str(args.config), "--random-weights"]
        command += ["--bits", str(args.bits)] if args.bits else []
    else:
        command += ["--model", str(args.model)]
    found = json.loads(output(command))
    runs = [
        {
            "prefill": run["prefill_tokens_per_second"],
            "decode": run["decode_tokens_per_second"],
            "first_token": run["first_token_seconds"],
        }
        for run in found["runs"]
    ]
    return {"runs": runs, "peak": found["peak_memory_bytes"]}


def theirs():
    return json.loads(output([sys.executable, __file__, *sys.argv[1:], "--mlx-lm-turn"]))


def output(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed with code {done.returncode}")
    return done.stdout


def medians(turns):
    runs = [run for turn in turns for run in turn["runs"]]
    found = {name: statistics.median(run[name] for run in runs) for name in FIGURES}
    found["peak"] = max(turn["peak"] for turn in turns)
    return found


def compare(args):
    if not args.maquette.exists():
        sys.exit(f"{args.maquette} is not there. Run `cargo build --release` first.")
    turns = {"maquette": [], "mlx_lm": []}
    for number in range(args.rounds):
        # Who begins changes from round to round.
        order = [("maquette", lambda: ours(args)), ("mlx_lm", theirs)]
        for name, turn in order if number % 2 == 0 else reversed(order):
            turns[name].append(turn())
    maquette, mlx_lm = medians(turns["maquette"]), medians(turns["mlx_lm"])
    # Above 1 is better for Maquette in every row.
    ratios = {
        "prefill": maquette["prefill"] / mlx_lm["prefill"],
        "decode": maquette["decode"] / mlx_lm["decode"],
        "first_token": mlx_lm["first_token"] / maquette["first_token"],
        "peak": mlx_lm["peak"] / maquette["peak"] if maquette["peak"] else None,
    }
    return {"maquette": maquette, "mlx_lm": mlx_lm, "ratio": ratios}


def show(args, found):
    what = args.config or args.model
    print(f"{what}{f', {args.bits} bits' if args.bits else ''}: {args.prompt_tokens} prompt tokens, "
          f"{args.generate_tokens} generated, {args.sequences} at once, {args.rounds} x {args.runs} runs")
    print(f"{'':<24}{'Maquette':>12}{'mlx-lm':>12}{'ratio':>8}")
    rows = (
        ("prefill, tokens/s", "prefill", 1),
        ("decode, tokens/s", "decode", 1),
        ("first token, ms", "first_token", 1e3),
        ("peak memory, MB", "peak", 1e-6),
    )
    for label, name, scale in rows:
        ratio = found["ratio"][name]
        ratio = f"{ratio:.2f}" if ratio else "-"
        print(f"{label:<24}{found['maquette'][name] * scale:>12.1f}"
              f"{found['mlx_lm'][name] * scale:>12.1f}{ratio:>8}")


if __name__ == "__main__":
    ARGS = arguments()
    if ARGS.mlx_lm_turn:
        mlx_lm_turn(ARGS)
    else:
        FOUND = compare(ARGS)
        print(json.dumps(FOUND, indent=2)) if ARGS.json else show(ARGS, FOUND)
