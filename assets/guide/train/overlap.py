"""Counts the held-out questions that the generator also produces word for word, and prints them."""

from __future__ import annotations

import argparse
import random
import re
from pathlib import Path

from generate import HERE, Generator


def plain(text: str) -> str:
    """Letters and digits only, in lower case."""
    return " ".join(re.findall(r"\w+", text.lower()))


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--facts", type=Path, default=HERE / "facts.json")
    cli.add_argument("--draws", type=int, default=1_000_000)
    args = cli.parse_args()
    held = {}
    for name in ("development", "test"):
        for line in (HERE / f"heldout/{name}.txt").read_text().splitlines():
            if line and not line.startswith("#"):
                held[plain(line.split(" => ")[0])] = name
    generator, rng, found = Generator(args.facts), random.Random(2), set()
    for _ in range(args.draws):
        question = plain(generator.about_maquette(rng).ask)
        if question in held:
            found.add(question)
    for question in sorted(found, key=lambda q: (held[q], q)):
        print(f"{held[question]}: {question}")
    for name in ("development", "test"):
        total = sum(n == name for n in held.values())
        print(f"{name}: {sum(held[q] == name for q in found)} of {total} drawn word for word in {args.draws:,} questions")


if __name__ == "__main__":
    main()
