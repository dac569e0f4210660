"""Renders a conversation the way chat_template.jinja does, and marks the text that the guide has to learn.

`check` compares the two, so that the copy in Python (made for speed) cannot drift from the template.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Segment = tuple[str, bool]

TEMPLATE = Path(__file__).parent.parent / "chat_template.jinja"
TOOLS_HEAD = "These tools can be called. Each line is the JSON schema of one tool:\n<tools>"
TOOLS_TAIL = (
    "\n</tools>\nTo call a tool, answer with one block of this form for each call:\n"
    '<tool_call>\n{"name": NAME, "arguments": {...}}\n</tool_call>'
)
NO_THOUGHT = "<think>\n\n</think>\n\n"


@dataclass
class Chat:
    """One training example: messages as in the API; the last one is the answer to learn."""

    messages: list[Json]
    tools: list[Json] = field(default_factory=list)
    thinking: bool = False
    compact: bool = False
    """JSON of tools and past calls without spaces, as some template engines write it."""


def user(text: str) -> Json:
    """A question."""
    return {"role": "user", "content": text}


def assistant(text: str, thought: str = "", calls: list[tuple[str, Json]] | None = None) -> Json:
    """An answer with its thought and its tool calls."""
    message: Json = {"role": "assistant", "content": text}
    if thought:
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = [{"type": "function", "function": {"name": n, "arguments": a}} for n, a in calls]
    return message


def result(text: str) -> Json:
    """What a tool returned."""
    return {"role": "tool", "content": text}


def answer_text(message: Json, compact: bool = False) -> str:
    """Content and tool calls of an answer, without its thought."""
    parts = [message["content"]] if message["content"] else []
    for call in message.get("tool_calls", []):
        f = call["function"]
        parts.append(f'<tool_call>\n{{"name": "{f["name"]}", "arguments": {dump(f["arguments"], compact)}}}\n</tool_call>')
    return "\n".join(parts)


def dump(value: Any, compact: bool) -> str:
    """JSON in one of the two styles that template engines use."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":") if compact else None)


def system_segment(chat: Chat, system: str | None) -> list[Segment]:
    """The system turn, if there is one."""
    if system is None and not chat.tools:
        return []
    text = system or ""
    if chat.tools:
        text += ("\n\n" if system is not None else "") + TOOLS_HEAD
        text += "".join("\n" + dump(t, chat.compact) for t in chat.tools) + TOOLS_TAIL
    return [(f"<|im_start|>system\n{text}<|im_end|>\n", False)]


def render(chat: Chat) -> list[Segment]:
    """Segments of text, each with whether it counts for the loss.

    Earlier answers count too, but not their first piece: only the last answer shows whether to open with a thought.
    """
    messages = chat.messages
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    out = system_segment(chat, system)
    questions = [i for i, m in enumerate(messages) if m["role"] == "user"]
    for i, message in enumerate(messages):
        role, last = message["role"], i == len(messages) - 1
        if role == "system" and i == 0:
            continue
        if role == "tool":
            before = "" if messages[i - 1]["role"] == "tool" else "<|im_start|>user"
            after = "<|im_end|>\n" if last or messages[i + 1]["role"] != "tool" else ""
            out.append((f"{before}\n<tool_response>\n{message['content']}\n</tool_response>{after}", False))
        elif role == "assistant":
            out.append(("<|im_start|>assistant\n", False))
            thought = message.get("reasoning_content", "")
            if last and not chat.thinking:
                out.append((NO_THOUGHT, False))
            elif thought and i > questions[-1]:
                out.append((f"<think>\n{thought}\n</think>\n\n", last))
            body = answer_text(message, chat.compact and not last)
            if not last and not thought:
                head, body = split_first(body)
                out.append((head, False))
            out.append((f"{body}<|im_end|>", not chat.compact or last))
            out.append(("\n", False))
        else:
            out.append((f"<|im_start|>{role}\n{message['content']}<|im_end|>\n", False))
    return out


def prompt(messages: list[Json], tools: list[Json], thinking: bool) -> str:
    """The conversation up to where the answer begins."""
    whole = "".join(text for text, _ in render(Chat([*messages, assistant("")], tools, thinking)))
    begin = "<|im_start|>assistant\n"
    return whole[: whole.rindex(begin)] + begin + ("<think>\n" if thinking else NO_THOUGHT)


def split_first(text: str) -> tuple[str, str]:
    """First word or marker of a text, and the rest."""
    for i, c in enumerate(text):
        if i and not c.isalpha() and text[0] != "<":
            return text[:i], text[i:]
        if text[0] == "<" and c == ">":
            return text[: i + 1], text[i + 1 :]
    return text, ""


def check(chat: Chat) -> None:
    """Fails unless the template renders the same text; the last answer is checked up to its generation prompt."""
    import jinja2

    environment = jinja2.Environment()
    style = {"ensure_ascii": False, "separators": (",", ":") if chat.compact else None}
    environment.filters["tojson"] = lambda v: json.dumps(v, **style)
    template = environment.from_string(TEMPLATE.read_text())
    expected = template.render(messages=chat.messages[:-1], tools=chat.tools or None, add_generation_prompt=True,
                               enable_thinking=chat.thinking)
    whole = "".join(text for text, _ in render(chat))
    if not whole.startswith(expected):
        raise AssertionError(f"template:\n{expected}\n\nrender:\n{whole}")
