"""English words for names and values that a tool may have, most for training, some kept back for the evaluation."""

from __future__ import annotations

import json
import re
import zlib
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


def kept_back(word: str) -> bool:
    """Whether a word is for the evaluation alone: about one in twelve."""
    return zlib.crc32(word.encode()) % 12 == 0


@cache
def taboo() -> frozenset[str]:
    """Words of the hand-written held-out tools."""
    return frozenset(re.findall(r"[a-z]+", (HERE / "heldout/tools.py").read_text().lower()))


@cache
def pieces() -> tuple[str, ...]:
    """Runs of letters that the tokenizer knows as one token; none before there is a tokenizer.

    Some of them stand in no training word but in words kept back: unless they are copied inside made-up words, the
    guide never learns to copy them.
    """
    path = HERE.parent / "tokenizer.json"
    if not path.exists():
        return ()
    return tuple(sorted(t for t in json.loads(path.read_text())["model"]["vocab"] if re.fullmatch("[A-Za-z]{2,}", t)))


@cache
def shares() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words for training and those kept back. Words of the hand-written held-out tools are in neither."""
    words = [w for w in (HERE / "words.txt").read_text().split() if w not in taboo()]
    return tuple(w for w in words if not kept_back(w)), tuple(w for w in words if kept_back(w))


@cache
def foreign() -> tuple[str, ...]:
    """Words for training that no text about Maquette uses."""
    texts = ("articles.toml", "wordings.toml", "facts.json", "lexicon.py", "product.py", "grammar.py")
    own = {w for name in texts for w in re.findall(r"[a-z]+", (HERE / name).read_text().lower())}
    return tuple(w for w in shares()[0] if w not in own)
