"""Drives a running Maquette through the official `openai` package.

Usage: openai_client.py BASE_URL, where the guide is served. Exits with 1 and a
traceback at the first answer that the client or the assertions refuse.
"""

import json
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0, timeout=120)
QUESTION = [{"role": "user", "content": "Which key opens the help?"}]


def whole_and_streamed():
    whole = client.chat.completions.create(model="guide", messages=QUESTION, temperature=0)
    text = whole.choices[0].message.content
    assert text and whole.choices[0].finish_reason == "stop", whole
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    assert whole.usage.prompt_tokens_details.cached_tokens >= 0
    stream = client.chat.completions.create(
        model="guide", messages=QUESTION, temperature=0, stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    streamed = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert streamed == text, (streamed, text)
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert not chunks[-1].choices


def tool_call():
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "The city"}},
                "required": ["city"],
            },
        },
    }
    ask = [{"role": "user", "content": "What is the weather in Paris?"}]
    arguments = dict(model="guide", messages=ask, tools=[tool], temperature=0)
    answer = client.chat.completions.create(**arguments)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls", answer
    call = choice.message.tool_calls[0]
    assert call.function.name == "get_weather" and call.id, call
    assert json.loads(call.function.arguments) == {"city": "Paris"}, call
    deltas = [
        call
        for chunk in client.chat.completions.create(stream=True, **arguments)
        for call in chunk.choices[0].delta.tool_calls or []
    ]
    assert len(deltas) == 1 and deltas[0].index == 0, deltas
    assert json.loads(deltas[0].function.arguments) == {"city": "Paris"}, deltas
    result = ask + [
        choice.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 21, "sky": "clear"}'},
    ]
    told = client.chat.completions.create(model="guide", messages=result, tools=[tool], temperature=0)
    assert told.choices[0].message.content, told


def thinking():
    for effort, thinks in (("none", False), ("low", True)):
        answer = client.chat.completions.create(
            model="guide", messages=QUESTION, temperature=0, reasoning_effort=effort
        )
        message = answer.choices[0].message
        assert bool(getattr(message, "reasoning_content", None)) == thinks, (effort, message)
        assert "<think>" not in (message.content or ""), message


def completions():
    answer = client.completions.create(
        model="guide", prompt="Maquette is", max_tokens=5, temperature=0, logprobs=2,
        extra_body={"ignore_eos": True},
    )
    logprobs = answer.choices[0].logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == 5, answer
    assert all(len(top) == 2 for top in logprobs.top_logprobs), answer
    assert answer.usage.completion_tokens == 5
    pieces = client.completions.create(
        model="guide", prompt=[5, 6, 7], max_tokens=4, temperature=0, stream=True,
        extra_body={"ignore_eos": True},
    )
    assert list(pieces)[-1].choices[0].finish_reason == "length"


def refused(error, **arguments):
    arguments = {"model": "guide", "messages": QUESTION, **arguments}
    try:
        client.chat.completions.create(**arguments)
    except error as caught:
        assert caught.body["message"], caught.body
        return caught
    raise AssertionError(f"{arguments} was not refused")


def errors():
    assert refused(openai.NotFoundError, model="gpt-9").code == "model_not_found"
    assert refused(openai.BadRequestError, temperature=3).param == "temperature"
    assert refused(openai.BadRequestError, n=2).param == "n"
    assert refused(openai.BadRequestError, messages=[]).param == "messages"
    long = [{"role": "user", "content": "word " * 100_000}]
    assert refused(openai.BadRequestError, messages=long).code == "context_length_exceeded"


def models():
    assert "guide" in [model.id for model in client.models.list()]
    assert client.models.retrieve("guide").id == "guide"


for check in (models, whole_and_streamed, completions, tool_call, errors, thinking):
    check()
    print(f"{check.__name__}: ok")
