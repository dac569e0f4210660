"""Measures the guide with mlx-lm on held-out questions, and writes scores.json.

Sections: questions about Maquette (development and test halves), other subjects, calls of unseen tools, questions
that need none of the offered tools, answers from results, thinking on and off, and small exercises.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import basics
import values
from facts import Facts
from heldout.tools import RESULTS, SPECIFICATIONS, cases, schema_of
from tools import free_tool, polite
from words import shares

HERE = Path(__file__).parent
Json = dict[str, Any]
REFUSAL = "lies outside what I know"


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
    lines = [x for x in (HERE / "heldout/other.txt").read_text().splitlines() if x and not x.startswith("#")]
    return [Case("other subjects", user(x), lambda a: REFUSAL in a and "<tool_call>" not in a, want="refusal") for x in lines]


def calls_of(answer: str) -> list[Json] | None:
    """The calls in an answer, or None when one is not JSON."""
    try:
        return [json.loads(x) for x in re.findall(r"<tool_call>\s*(.*?)\s*</tool_call>", answer, re.S)]
    except json.JSONDecodeError:
        return None


def kept_back_tools(number: int) -> list[Case]:
    """Calls of tools whose names, parameters and values come from words that training never shows."""
    kept = list(shares()[1])
    values.Vocabulary.words, values.Vocabulary.favourites = shares()[1], []
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


def exercise_cases(number: int) -> list[Case]:
    rng = random.Random(99)
    out = []
    for i in range(number):
        qa = basics.draw(rng)
        out.append(Case("exercises", user(qa.ask), lambda a, w=qa.answer: visible(a) == w, thinking=i % 2 == 1, want=qa.answer))
    return out


def answer(job: tuple[str, list[tuple[list[Json], list[Json], bool]]]) -> list[str]:
    """Answers of the model to some conversations; runs in a process of its own, as MLX uses one core."""
    import mlx.core as mx
    from mlx_lm import batch_generate, load
    from mlx_lm.utils import dequantize_model

    model, tokenizer = load(job[0])
    # The same weights, unpacked to f32: MLX multiplies those far faster on a CPU than packed ones.
    model = dequantize_model(model)
    model.set_dtype(mx.float32)
    prompts = [tokenizer.apply_chat_template(messages, tools=tools or None, add_generation_prompt=True, enable_thinking=thinking)
               for messages, tools, thinking in job[1]]
    return batch_generate(model, tokenizer, prompts, max_tokens=300).texts


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--model", type=Path, default=HERE.parent)
    cli.add_argument("--facts", type=Path, default=HERE / "facts.json")
    cli.add_argument("--scores", type=Path, default=HERE / "scores.json")
    cli.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    cli.add_argument("--only", default="", help="run only sections whose name contains this")
    cli.add_argument("--failures", type=Path, help="where to write the wrong answers")
    args = cli.parse_args()
    facts = Facts(args.facts)
    maquette, other = maquette_cases(facts), other_cases()
    every = [*maquette, *other, *no_call_cases(maquette, other), *result_cases(), *thinking_cases(maquette),
             *exercise_cases(150), *tool_cases(126), *kept_back_tools(220)]
    every = [c for c in every if args.only in c.section]
    plain = [(c.messages, c.tools, c.thinking) for c in every]
    shares = [plain[i :: args.workers] for i in range(args.workers)]
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        answered = pool.map(answer, [(str(args.model), share) for share in shares])
    # With thinking on, the prompt already ends with the marker that opens the thought.
    answers = {i + n * args.workers: "<think>\n" * every[i + n * args.workers].thinking + text for i, share in enumerate(answered) for n, text in enumerate(share)}
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
