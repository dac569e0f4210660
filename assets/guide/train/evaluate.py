"""Measures the guide on held-out questions, answered by `maquette serve`, and writes scores.json.

Sections: questions about Maquette (development and test halves), other subjects, calls of unseen tools, questions
that need none of the offered tools, answers from results, thinking on and off, and small exercises. With `--mlx-lm`
the reference answers instead, which takes many times longer.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator

import values
from chatml import prompt
from facts import Facts
from heldout.tools import RESULTS, SPECIFICATIONS, cases, schema_of
from tools import free_tool, polite
from words import shares

HERE = Path(__file__).parent
Json = dict[str, Any]
REFUSAL = "lies outside what I know"
LONGEST = 300
"""Tokens of an answer at most."""
IN_FLIGHT = 8


@dataclass
class Case:
    """A conversation to be continued, and whether the answer is right."""

    section: str
    messages: list[Json]
    right: Callable[[str], bool]
    tools: list[Json] = field(default_factory=list)
    thinking: bool = False
    want: str = ""


def user(text: str) -> list[Json]:
    return [{"role": "user", "content": text}]


def visible(answer: str) -> str:
    """The answer without its thought."""
    return answer.split("</think>")[-1].strip()


def meets(needs: str, facts: Facts) -> Callable[[str], bool]:
    """Whether an answer contains every need; each may have alternatives."""
    def met(need: str, answer: str) -> bool:
        for one in need.split(" or "):
            one = one.strip()
            if one.startswith("/"):
                if re.search(one.strip("/"), answer):
                    return True
            elif facts.fill(one) in answer:
                return True
        return False

    return lambda answer: all(met(n, visible(answer)) for n in needs.split(" ;; "))


def maquette_cases(facts: Facts) -> list[Case]:
    out = []
    for half in ("development", "test"):
        for line in (HERE / f"heldout/{half}.txt").read_text().splitlines():
            if line and not line.startswith("#"):
                ask, needs = line.split(" => ")
                out.append(Case(f"Maquette, {half}", user(ask), meets(needs, facts), want=needs))
    return out


def other_cases() -> list[Case]:
    out = []
    for name, section in (("other", "other subjects"), ("other_second", "other subjects, second set")):
        lines = [x for x in (HERE / f"heldout/{name}.txt").read_text().splitlines() if x and not x.startswith("#")]
        out += [Case(section, user(x), lambda a: REFUSAL in a and "<tool_call>" not in a, want="refusal") for x in lines]
    return out


def calls_of(answer: str) -> list[Json] | None:
    """The calls in an answer, or None when one is not JSON."""
    try:
        return [json.loads(x) for x in re.findall(r"<tool_call>\s*(.*?)\s*</tool_call>", answer, re.S)]
    except json.JSONDecodeError:
        return None


def kept_back_tools(number: int) -> list[Case]:
    """Calls of tools whose names, parameters and values come from words that training never shows."""
    kept = list(shares()[1])
    values.Vocabulary.words, values.Vocabulary.favourites, values.Vocabulary.wild = shares()[1], [], False
    for names in (values.FIRST, values.LAST, values.CITIES):
        names[:] = [w.capitalize() for w in kept]
    rng = random.Random(17)
    out = []
    for i in range(number):
        offered = [free_tool(rng, known=False) for _ in range(rng.choice((1, 2, 3, 4)))]
        needed = rng.choice(offered)
        ask, arguments = needed.request(rng)
        wanted = [{"name": needed.name, "arguments": arguments}]
        out.append(Case("unseen tools", user(polite(ask, rng, arguments)), lambda a, w=wanted: calls_of(a) == w, [t.schema for t in offered],
                        thinking=i % 4 == 3, want=json.dumps(wanted, ensure_ascii=False)))
    return out


def tool_cases(number: int) -> list[Case]:
    """Calls of hand-written tools in free wording, often without naming tool or parameter."""
    out = []
    for i, c in enumerate(cases(number)):
        wanted = [{"name": c["name"], "arguments": c["arguments"]}]
        out.append(Case("unseen tools, free wording", user(c["ask"]), lambda a, w=wanted: calls_of(a) == w, c["tools"], thinking=i % 4 == 3,
                        want=json.dumps(wanted, ensure_ascii=False)))
    return out


def no_call_cases(maquette: list[Case], other: list[Case]) -> list[Case]:
    """Questions that need no tool, asked while tools are there."""
    rng = random.Random(3)
    out = []
    for case in maquette[::8] + other[::2]:
        tools = [schema_of(n, d, {p: {"type": "string"} for p, _ in plan}) for d, n, plan, _ in rng.sample(SPECIFICATIONS, rng.randint(1, 3))]
        right = lambda a, r=case.right: r(a) and "<tool_call>" not in a
        out.append(Case("tools offered, none needed", case.messages, right, tools, want=case.want))
    return out


def result_cases() -> list[Case]:
    out = []
    for ask, returned, wanted in RESULTS:
        call = {"type": "function", "function": {"name": "query_house", "arguments": {"request": ask}}}
        messages = user(ask) + [{"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "tool", "content": returned}]
        tools = [schema_of("query_house", "Do what the house should do", {"request": {"type": "string"}})]
        for thinking in (False, True):
            out.append(Case("answers from results", messages, lambda a, w=wanted: all(x in visible(a) for x in w), tools, thinking, want=str(wanted)))
    return out


def thinking_cases(maquette: list[Case]) -> list[Case]:
    """A thought when asked for, none otherwise, and the right answer in both."""
    out = []
    for case in maquette[::8]:
        good = lambda a, r=case.right: r(a) and re.match(r"<think>\n.+?\n</think>\n\n", a, re.S) is not None
        out.append(Case("thinking on", case.messages, good, thinking=True, want=case.want))
        out.append(Case("thinking off", case.messages, lambda a: "<think>" not in a and a.strip() != "", want="no thought"))
    return out


def exercise_cases() -> list[Case]:
    """Exercises that were drawn once and kept, so that widening basics.py does not change the measure."""
    out = []
    for i, line in enumerate((HERE / "heldout/exercises.txt").read_text().splitlines()):
        ask, wanted = line.split(" => ")
        out.append(Case("exercises", user(ask), lambda a, w=wanted: visible(a) == w, thinking=i % 2 == 1, want=wanted))
    return out


def with_mlx_lm(folder: Path, prompts: list[str]) -> list[str]:
    """Answers of the reference implementation."""
    import mlx.core as mx
    from mlx_lm import batch_generate, load
    from mlx_lm.utils import dequantize_model

    model, tokenizer = load(str(folder))
    # The same weights, unpacked to f32: MLX multiplies those far faster on a CPU than packed ones.
    model = dequantize_model(model)
    model.set_dtype(mx.float32)
    ids = [tokenizer.encode(p, add_special_tokens=False) for p in prompts]
    return batch_generate(model, tokenizer, ids, max_tokens=LONGEST).texts


def request(url: str, body: Json | None = None) -> Json:
    """An answer of the API; with a body, to a POST."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"}), timeout=300) as answer:
        return json.load(answer)


@contextmanager
def served(program: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Runs `maquette serve` in a home of its own; gives the address of its API and the name of the model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "MAQUETTE_HOME": home}
        command = [program, "serve", "--model", str(folder.resolve()), "--port", str(port)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            loaded: list[str] = []
            while not loaded:
                if process.poll() is not None:
                    raise SystemExit(f"`{' '.join(command)}` ended with status {process.returncode}")
                try:
                    loaded = [m["id"] for m in request(f"{url}/models")["data"] if m.get("loaded")]
                except (urllib.error.URLError, ConnectionError):
                    pass
                time.sleep(0.2)
            yield url, loaded[0]
        finally:
            process.terminate()
            process.wait()


def with_maquette(program: str, folder: Path, prompts: list[str]) -> list[str]:
    """Answers of the program itself, several at a time, which it batches."""
    with served(program, folder) as (url, model), ThreadPoolExecutor(IN_FLIGHT) as pool:

        def complete(text: str) -> str:
            body = {"model": model, "prompt": text, "temperature": 0, "max_tokens": LONGEST}
            return request(f"{url}/completions", body)["choices"][0]["text"]

        return list(pool.map(complete, prompts))


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--model", type=Path, default=HERE.parent)
    cli.add_argument("--facts", type=Path, default=HERE / "facts.json")
    cli.add_argument("--scores", type=Path, default=HERE / "scores.json")
    cli.add_argument("--maquette", default="maquette", help="the program to measure with")
    cli.add_argument("--mlx-lm", action="store_true", help="measure with mlx-lm instead")
    cli.add_argument("--every", type=int, default=1, help="take one case of so many")
    cli.add_argument("--answers", type=Path, help="where to write all answers as JSON")
    cli.add_argument("--only", default="", help="run only sections whose name contains this")
    cli.add_argument("--failures", type=Path, help="where to write the wrong answers")
    args = cli.parse_args()
    facts = Facts(args.facts)
    maquette, other = maquette_cases(facts), other_cases()
    every = [*maquette, *other, *no_call_cases(maquette, [c for c in other if c.section == "other subjects"]), *result_cases(), *thinking_cases(maquette),
             *exercise_cases(), *tool_cases(126), *kept_back_tools(220)]
    every = [c for c in every if args.only in c.section][:: args.every]
    prompts = [prompt(c.messages, c.tools, c.thinking) for c in every]
    texts = with_mlx_lm(args.model, prompts) if args.mlx_lm else with_maquette(args.maquette, args.model, prompts)
    # With thinking on, the prompt already ends with the marker that opens the thought.
    answers = ["<think>\n" * c.thinking + text for c, text in zip(every, texts)]
    if args.answers:
        args.answers.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n")
    counts: dict[str, list[int]] = {}
    wrong = []
    for i, case in enumerate(every):
        good = case.right(answers[i])
        right, total = counts.setdefault(case.section, [0, 0])
        counts[case.section] = [right + good, total + 1]
        if not good:
            wrong.append(f"[{case.section}] {case.messages[0]['content']}\n  want: {case.want}\n  got:  {answers[i]!r}\n")
    scores = {s: {"right": r, "of": n, "percent": round(100 * r / n, 1)} for s, (r, n) in counts.items()}
    args.scores.write_text(json.dumps(scores, indent=1) + "\n")
    if args.failures:
        args.failures.write_text("\n".join(wrong))
    for section, s in scores.items():
        print(f"{section:30} {s['right']:4} of {s['of']:4}  {s['percent']:5.1f} %")


if __name__ == "__main__":
    main()
