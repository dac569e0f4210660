"""Counts the held-out questions that the generator also produces word for word, and prints them."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import re
from pathlib import Path

from generate import HERE, Generator


def plain(text: str) -> str:
    """Letters and digits only, in lower case."""
    return " ".join(re.findall(r"\w+", text.lower()))


def held_out() -> dict[str, str]:
    """The held-out questions about Maquette, and the file of each."""
    held = {}
    for name in ("development", "test"):
        for line in (HERE / f"heldout/{name}.txt").read_text().splitlines():
            if line and not line.startswith("#"):
                held[plain(line.split(" => ")[0])] = name
    return held


def drawn(job: tuple[Path, int, int]) -> set[str]:
    """The held-out questions among some that the generator draws."""
    facts, draws, seed = job
    held, generator, rng = set(held_out()), Generator(facts), random.Random(seed)
    return {q for q in (plain(generator.about_maquette(rng).ask) for _ in range(draws)) if q in held}


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--facts", type=Path, default=HERE / "facts.json")
    cli.add_argument("--draws", type=int, default=1_000_000)
    cli.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = cli.parse_args()
    held = held_out()
    # Ten parts with seeds of their own: the count does not depend on the number of processes.
    jobs = [(args.facts, args.draws // 10, seed) for seed in range(10)]
    with multiprocessing.Pool(args.workers) as pool:
        found = set().union(*pool.map(drawn, jobs, chunksize=1))
    for question in sorted(found, key=lambda q: (held[q], q)):
        print(f"{held[question]}: {question}")
    for name in ("development", "test"):
        total = sum(n == name for n in held.values())
        print(f"{name}: {sum(held[q] == name for q in found)} of {total} drawn word for word in {args.draws:,} questions")


if __name__ == "__main__":
    main()
