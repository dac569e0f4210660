"""Writes the guide's training text as shards of tokens, in parallel processes.

A shard is an npz file with `tokens` (uint16), `loss` (whether a token has to be learnt) and `lengths` (of the
documents). Shard N depends on nothing but N, the facts and the tokenizer.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import tomllib
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

import basics
from chatml import Chat, Json, assistant, check, render, user
from facts import Facts, Missing
from grammar import Rng, expand, noise
from lexicon import asked
from offtopic import OffTopic
from product import Product, Qa
from tools import SYSTEMS, ToolChats

HERE = Path(__file__).parent
LONGEST = 2048
THANKS_RATE = 0.08


class Articles:
    """The hand-written articles whose references the facts answer."""

    def __init__(self, facts: Facts, wordings: dict[str, list[str]]) -> None:
        self.entries: list[Json] = []
        self.missing: list[str] = []
        every = tomllib.loads((HERE / "articles.toml").read_text())["article"]
        if unknown := set(wordings) - {e["about"] for e in every}:
            raise ValueError(f"wordings.toml speaks of articles that articles.toml does not have: {sorted(unknown)}")
        for entry in every:
            try:
                follow = [{**f, "answer": facts.fill(f["answer"]), "about": entry["about"]} for f in entry.get("follow", [])]
                ask = entry["ask"] + wordings.get(entry["about"], [])
                self.entries.append({**entry, "ask": ask, "answer": facts.fill(entry["answer"]), "follow": follow})
            except Missing as error:
                self.missing.append(f"{entry['about']}: {error}")
        # An article with many patterns is one that people ask about in many ways.
        self.weights = [(2 + len(e["ask"])) * (0.4 if e.get("small_talk") else 1.0) for e in self.entries]
        self.small_talk = [e for e in self.entries if e.get("small_talk")]

    def draw(self, rng: Rng) -> Qa:
        """A question about one article."""
        return self.question(rng.choices(self.entries, self.weights)[0], rng)

    def question(self, entry: Json, rng: Rng) -> Qa:
        follow = [self.question(f, rng) for f in entry.get("follow", [])]
        thought = f"The question is about {entry['about']}." if not entry.get("small_talk") else f"This is {entry['about']}."
        return Qa(asked(expand(rng.choice(entry["ask"]), rng), rng), entry["answer"], thought, follow)


class Generator:
    """Draws conversations of every kind."""

    def __init__(self, facts_path: Path) -> None:
        self.facts = Facts(facts_path)
        wordings = tomllib.loads((HERE / "wordings.toml").read_text())
        self.articles = Articles(self.facts, wordings["article"])
        self.product = Product(self.facts, wordings)
        self.off_topic = OffTopic(self.facts)
        self.tools = ToolChats(self.about_maquette, self.other)

    def about_maquette(self, rng: Rng) -> Qa:
        """A question about Maquette, worded as people type."""
        qa = self.articles.draw(rng) if rng.random() < 0.5 else self.product.draw(rng)
        qa.ask = noise(qa.ask, rng)
        return qa

    def other(self, rng: Rng) -> Qa:
        """A question about anything else."""
        qa = self.off_topic.draw(rng)
        qa.ask = noise(qa.ask, rng)
        return qa

    def exercise(self, rng: Rng) -> Qa:
        qa = basics.draw(rng)
        if rng.random() < 0.4:
            qa.ask = qa.ask[0].upper() + qa.ask[1:]
        if rng.random() < 0.3 and qa.ask[-1].isdigit():
            qa.ask += rng.choice("?.")
        return qa

    def draw(self, rng: Rng) -> Chat:
        """One conversation."""
        kind = rng.random()
        if kind < 0.42:
            return self.tools.draw(rng)
        turns = rng.choices((1, 2, 3, 4, 6, 9), (60, 22, 10, 5, 2, 1))[0]
        messages: list[Json] = []
        follow: list[Qa] = []
        for i in range(turns):
            qa = self.turn(follow, i, rng)
            follow = qa.follow
            messages += [user(qa.ask), assistant(qa.answer, qa.thought)]
        if rng.random() < 0.3:
            messages.insert(0, {"role": "system", "content": rng.choice(SYSTEMS)})
        return Chat(messages, thinking=rng.random() < 0.3)

    def turn(self, follow: list[Qa], index: int, rng: Rng) -> Qa:
        """The next question of a conversation."""
        if follow and rng.random() < 0.6:
            qa = rng.choice(follow)
            qa.ask = noise(qa.ask, rng)
            return qa
        kind = rng.random()
        if index and kind < THANKS_RATE:
            qa = self.articles.question(rng.choice(self.articles.small_talk), rng)
            qa.ask = noise(qa.ask, rng)
            return qa
        if kind < 0.69:
            qa = self.about_maquette(rng)
            if index and rng.random() < 0.3:
                qa.ask = rng.choice(("and ", "ok, and ", "ok ", "now ", "and then, ", "also, ", "next: ", "thanks. ", "so ")) + qa.ask[0].lower() + qa.ask[1:]
            return qa
        return self.other(rng) if kind < 0.81 else self.exercise(rng)


def sample_texts(facts: Path, chats: int) -> list[str]:
    """Rendered conversations, for the tokenizer."""
    generator, rng = Generator(facts), random.Random(1)
    return ["".join(text for text, _ in render(generator.draw(rng))) for _ in range(chats)]


def encode(segments: list[tuple[str, bool]], tokenizer: Tokenizer) -> tuple[list[int], np.ndarray]:
    """Tokens of a document and which of them count; a token counts if its first character does."""
    text = "".join(t for t, _ in segments)
    counts = np.zeros(len(text), dtype=np.uint8)
    at = 0
    for t, loss in segments:
        counts[at : at + len(t)] = loss
        at += len(t)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    starts = np.fromiter((a for a, _ in encoding.offsets), dtype=np.int64, count=len(encoding.ids))
    return encoding.ids, counts[starts]


def write_shard(job: tuple[int, Path, Path, Path, int]) -> int:
    """Draws conversations until the shard is full; returns the number of tokens."""
    number, facts, tokenizer_path, out, size = job
    generator, rng = Generator(facts), random.Random(1000 + number)
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    tokens: list[np.ndarray] = []
    losses: list[np.ndarray] = []
    total = 0
    while total < size:
        ids, loss = encode(render(generator.draw(rng)), tokenizer)
        if len(ids) <= LONGEST:
            tokens.append(np.asarray(ids, dtype=np.uint16))
            losses.append(loss)
            total += len(ids)
    path = out / f"shard-{number:05}.npz"
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as f:
        np.savez(f, tokens=np.concatenate(tokens), loss=np.concatenate(losses), lengths=np.array([len(t) for t in tokens], dtype=np.int32))
    partial.rename(path)
    return total


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--facts", type=Path, default=HERE / "facts.json", help="what `maquette facts` printed")
    cli.add_argument("--tokenizer", type=Path, default=HERE.parent / "tokenizer.json")
    cli.add_argument("--out", type=Path, help="folder for the shards; without it, prints a few conversations")
    cli.add_argument("--shards", type=int, default=200)
    cli.add_argument("--size", type=int, default=2_000_000, help="tokens a shard")
    cli.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    args = cli.parse_args()
    generator = Generator(args.facts)
    for line in generator.articles.missing:
        print(f"left out, the facts lack a reference: {line}", flush=True)
    if args.out is None:
        rng = random.Random()
        for _ in range(10):
            chat = generator.draw(rng)
            check(chat)
            print("".join(text for text, _ in render(chat)), "\n" + "=" * 100)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    jobs = [(n, args.facts, args.tokenizer, args.out, args.size) for n in range(args.shards)]
    with multiprocessing.Pool(args.workers) as pool:
        total = sum(pool.imap_unordered(write_shard, jobs))
    print(f"{total:,} tokens in {args.shards} shards", flush=True)


if __name__ == "__main__":
    main()
