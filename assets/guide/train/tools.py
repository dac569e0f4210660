"""Tool calling: tools with random names and parameters, requests that need them, their results and the answers."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Callable

import values
from chatml import Chat, Json, assistant, result, user
from domains import DOMAINS, Domain, Parameter
from grammar import Rng, expand
from lexicon import gerund
from loose import DOCS as LOOSE_DOCS, SPOKEN_KIND, describe, draw_slots, draw_topic, loose_request
from product import Qa

SYSTEMS = ("You are a helpful assistant.", "You are a helpful assistant with tools.", "Use the tools when they help.",
           "You are the assistant of a small company.", "Answer briefly.", "You are Maquette's guide.", "Be concise and correct.",
           "You can call tools. Copy the arguments from the user's words.", "Today is 2026-03-14.", "You are a terminal assistant.")
VERBS = ("get set make find add remove update list start stop open close check send read write load save move copy create delete count "
         "measure compute build draw paint wash grind polish fold stack sort merge split scan lock unlock raise lower pack unpack "
         "register cancel confirm reset launch tune mix heat cool fill empty rotate align probe fetch push pull apply submit").split()
PARAMETERS = ("name id size mode level count color speed depth width height weight title label target source owner reason comment "
              "start end limit offset format language unit rate price amount total kind type category region zone room floor day "
              "month year hour minute duration interval angle radius volume power force pressure temperature priority status "
              "code key token tag group team role user email phone address street country city path file folder url query text "
              "message subject body note topic theme style shape pattern filter order ratio factor threshold delay retries "
              "verbose force recursive enabled visible public silent urgent dry_run overwrite confirm notify").split()
DOCS = ("The {n}", "{n} to use", "Value of {n}", "", "", "{n} of the request", "Which {n}", "The {n} to set", "{n}, required")

REMARKS = ("Returns JSON with the field {w}.", "Fails when the {w} does not exist.", "Needs a {w}; takes up to {n} seconds.",
           "Use this only for {w} data.", "Returns at most {n} entries.", "The result is plain text.", "Cached for {n} minutes.",
           "See the {w} manual for details. Do not call it more than {n} times an hour.")


@dataclass
class Tool:
    """A tool as a model sees it, and a way to draw a request with the arguments that it needs."""

    schema: Json
    request: Callable[[Rng], tuple[str, Json]]
    key: str
    """What it is about: two tools with the same key must not be offered together."""
    hints: frozenset[str] = frozenset()
    """Words that a request may hint with: no other tool that is offered may have one of them."""
    kinds: frozenset[str] = frozenset()
    """Kinds of its values, as far as they tell it from other tools."""
    hinted: bool = True
    """Whether the last request had any word of the tool."""
    given: Counter[str] = field(default_factory=Counter)
    """How many values of each type the last request had."""

    @property
    def name(self) -> str:
        return self.schema["function"]["name"]


def join_name(words: str, style: str) -> str:
    """`get weather` in the style of some API."""
    parts = words.split()
    match style:
        case "camel":
            return parts[0] + "".join(p.capitalize() for p in parts[1:])
        case "pascal":
            return "".join(p.capitalize() for p in parts)
        case "kebab":
            return "-".join(parts)
        case "joined":
            return "".join(parts)
    return "_".join(parts)


def draw_style(rng: Rng) -> str:
    return rng.choices(("snake", "camel", "kebab", "pascal", "joined"), (62, 22, 6, 4, 6))[0]


def draw_value(kind: str, rng: Rng) -> tuple[str, Any]:
    """A value as spoken and as argument."""
    head, _, rest = kind.partition(":")
    if head == "enum":
        v = rng.choice(rest.split(","))
        return v, v
    if head == "enum_int":
        v = int(rng.choice(rest.split(",")))
        return str(v), v
    if head == "bool":
        value = rng.random() < 0.5
        return rng.choice(rest.split(";")[0 if value else 1].split(",")), value
    if head == "list":
        items = [values.word(rng) for _ in range(rng.randint(1, 4))]
        return spoken_list(items, rng), items
    if head == "numbers":
        numbers = [rng.randint(0, 99) for _ in range(rng.randint(2, 6))]
        return spoken_list([str(n) for n in numbers], rng), numbers
    v = values.KINDS[head][1](rng)
    return str(v), v


def spoken_list(items: list[str], rng: Rng) -> str:
    if len(items) == 1:
        return items[0]
    if rng.random() < 0.5:
        return ", ".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]


def json_type(kind: str, rng: Rng) -> Json:
    """JSON schema of a kind of value."""
    head, _, rest = kind.partition(":")
    match head:
        case "enum":
            options = rest.split(",")
            return {"type": "string", "enum": options} if len(options) < 7 and rng.random() < 0.85 else {"type": "string"}
        case "enum_int":
            return {"type": "integer"}
        case "bool":
            return {"type": "boolean"}
        case "list":
            return {"type": "array", "items": {"type": "string"}}
        case "numbers":
            return {"type": "array", "items": {"type": rng.choice(("number", "integer"))}}
    return {"type": values.KINDS[head][0]}


def make_schema(name: str, doc: str, properties: Json, required: list[str], rng: Rng) -> Json:
    """The tool in OpenAI's form, with the extras that real servers add."""
    parameters: Json = {"type": "object", "properties": properties}
    if required or rng.random() < 0.5:
        parameters["required"] = required
    extra = rng.random()
    if extra < 0.1:
        parameters["additionalProperties"] = False
    elif extra < 0.15:
        parameters = {"$schema": "http://json-schema.org/draft-07/schema#", **parameters}
    elif extra < 0.2:
        parameters["title"] = f"{name}Arguments"
    function: Json = {"name": name}
    if doc and rng.random() < 0.12:
        doc = f"{doc.rstrip('.')}. {rng.choice(REMARKS).format(w=values.word(rng), n=rng.randint(1, 60))}"
    if doc:
        function["description"] = doc
    return {"type": "function", "function": {**function, "parameters": parameters}}


def domain_tool(d: Domain, rng: Rng) -> Tool:
    """A realistic tool under one of its names."""
    style = draw_style(rng)
    words = rng.choice(d.names.split("|"))
    name = join_name(words, style)
    if rng.random() < 0.06:
        name = f"{rng.choice(('tool', 'fn', 'api', values.pseudo(rng)))}{rng.choice(('_', '.', '-'))}{name}"
    doc = rng.choice((d.doc, d.doc, d.doc + ".", d.doc.lower(), f"{d.doc}. Use it when the user asks for it.", words.capitalize()))
    if rng.random() < 0.1:
        name = join_name(f"{values.word(rng)} {rng.choice(words.split())}", style)
    if rng.random() < 0.05:
        name, doc = f"{values.pseudo(rng)}_{rng.randint(1, 99)}", d.doc
    names = []
    for p in d.parameters:
        options = [join_name(n, style) for n in p.names.split("|")]
        if rng.random() < 0.2:
            options = [join_name(rng.choice((f"{values.word(rng)} {n}", values.word(rng), f"{n} {values.word(rng)}")), style) for n in p.names.split("|")]
        names.append(next(n for n in rng.sample(options, len(options)) if n not in names))
    asks = list(d.asks)
    always = [all(f"${i}" in a for a in asks) and not any("{|" in a or "|}" in a for a in asks if f"${i}" in a)
              for i in range(len(d.parameters))]
    properties = {}
    with_docs = rng.random() < 0.8
    for n, p in zip(names, d.parameters):
        properties[n] = json_type(p.kind, rng)
        if with_docs:
            properties[n]["description"] = p.doc
    required = [n for n, need in zip(names, always) if need]

    def request(r: Rng) -> tuple[str, Json]:
        text = expand(r.choice(asks), r)
        arguments: Json = {}
        for i, (n, p) in enumerate(zip(names, d.parameters)):
            if f"${i}" in text:
                spoken, arguments[n] = draw_value(p.kind, r)
                text = text.replace(f"${i}", spoken)
        return text, arguments

    return Tool(make_schema(name, doc, properties, required, rng), request, d.names)


def free_tool(rng: Rng, known: bool = True) -> Tool:
    """A tool that nobody has ever seen: random words and random parameters. Unless `known`, none of the lists above
    is used, so that an evaluation can draw all words from its own."""
    style = draw_style(rng)
    verb = rng.choice(VERBS) if known and rng.random() < 0.45 else values.word(rng)
    noun = values.word(rng)
    if rng.random() < 0.3:
        noun = f"{values.word(rng)} {noun}"
    name = join_name(f"{verb} {noun}" if rng.random() < 0.85 else noun, style)
    plan = draw_plan(rng, style, known)
    properties: Json = {}
    for spoken, key, kind in plan:
        properties[key] = json_type(kind, rng)
        if doc := rng.choice(DOCS).format(n=spoken):
            properties[key]["description"] = doc.capitalize()
    optional = {key for _, key, _ in plan if rng.random() < 0.2}
    some, other = values.word(rng), values.word(rng)
    doc = rng.choice((f"{verb.capitalize()} the {noun}", f"{verb.capitalize()} {noun}.", f"{verb.capitalize()}s a {noun}", "",
                      f"Tool to {verb} the {noun}", f"{verb.capitalize()} a {noun} {rng.choice(('in', 'on', 'for', 'with', 'of'))} the {some}",
                      f"{verb.capitalize()} the {some} {noun}", f"{some.capitalize()} {other}: {verb} {noun}"))
    if rng.random() < 0.12:
        # The name says nothing: only the description tells what the tool is for.
        name = join_name(f"{some} {other}", style)
        doc = f"{verb.capitalize()} the {noun}"
    schema = make_schema(name, doc, properties, [k for k in properties if k not in optional], rng)

    def request(r: Rng) -> tuple[str, Json]:
        chosen = [p for p in plan if p[1] not in optional or r.random() < 0.5]
        # Without the names of the parameters: the types and the order have to tell.
        bare = len(chosen) == len(plan) and 0 < len(plan) < 4 and r.random() < 0.2
        arguments, parts = {}, []
        shape = r.choice(("{n} {v}", "{n} {v}", "{n}: {v}", "{n}={v}", "{n} = {v}", "{n} set to {v}", "{v} as {n}", "{n} is {v}", "the {n} {v}",
                          "{n} should be {v}", "{n} of {v}"))
        for spoken, key, kind in chosen:
            said, arguments[key] = draw_value(kind, r)
            if kind == "phrase" or (isinstance(arguments[key], str) and r.random() < 0.3):
                said = r.choice(('"{}"', '"{}"', "'{}'", "`{}`")).format(said)
            if kind.startswith("bool") and r.random() < 0.6:
                wish = ("{n} included", "also {n}", "{n}, yes", "make it {n}") if arguments[key] else ("no {n}", "without {n}", "not {n}", "{n}, no")
                parts.append(r.choice(wish).format(n=spoken))
            elif bare:
                parts.append(said)
            elif json_type(kind, r)["type"] in ("integer", "number") and r.random() < 0.35:
                parts.append(f"{said} {spoken}{r.choice(('', '', 's'))}")
            else:
                parts.append(shape.format(n=r.choice((spoken, spoken, key)), v=said))
        if bare and apart(chosen, r) and r.random() < 0.5:
            r.shuffle(parts)
        if bare:
            return bare_request(verb, noun, parts, r), arguments
        if r.random() < 0.3:
            r.shuffle(parts)
        return phrase_request(verb, noun, name, parts, r), arguments

    return Tool(schema, request, name)


def loose_tool(rng: Rng) -> Tool:
    """A tool that people ask for by synonyms and hints, or by values alone."""
    style = draw_style(rng)
    topic = draw_topic(rng)
    slots = draw_slots(rng.choices((0, 1, 2, 3, 4), (5, 29, 37, 24, 5))[0], rng)
    words, doc = describe(topic, slots, rng)
    name = join_name(words, style)
    properties: Json = {}
    with_docs = rng.random() < 0.8
    for slot in slots:
        schema = slot.schema(rng)
        kind = f"number of {slot.units[0]}" if slot.units else SPOKEN_KIND.get(slot.role.kind, "number")
        if with_docs and (text := rng.choice(LOOSE_DOCS).format(n=slot.name, N=slot.name.capitalize(), k=kind)):
            schema["description"] = text[:1].upper() + text[1:]
            if slot.yes and rng.random() < 0.2:
                schema["description"] = f"Whether {slot.name}: true for {slot.yes[0]}, false for {slot.no[0]}"
        properties[join_name(slot.name, style)] = schema
    keys = {slot.name: join_name(slot.name, style) for slot in slots}
    optional = {slot.name for slot in slots if rng.random() < 0.12}
    kinds = frozenset(slot.role.kind for slot in slots)
    hints = frozenset(w for w in ((*topic.objects, *(topic.acts if not topic.hints else ()))) if len(w) > 2)

    told = f"{words} {doc}".lower()

    def request(r: Rng) -> tuple[str, Json]:
        text, arguments, tool.hinted = loose_request(topic, told, slots, optional, r)
        called = {keys[n]: v for n, v in arguments.items()}
        tool.given = Counter(kind_of(properties[k]) for k in called)
        return text, called

    tool = Tool(make_schema(name, doc, properties, [keys[s.name] for s in slots if s.name not in optional], rng), request, name, hints, kinds)
    return tool


def draw_plan(rng: Rng, style: str, known: bool) -> list[tuple[str, str, str]]:
    """Parameters of a free tool: name as spoken, name in the schema, kind of value."""
    plan: list[tuple[str, str, str]] = []
    for _ in range(rng.choices((0, 1, 2, 3, 4), (6, 28, 34, 22, 10))[0]):
        spoken = rng.choice(PARAMETERS).replace("_", " ") if known and rng.random() < 0.4 else values.word(rng)
        key = spoken
        if rng.random() < 0.25:
            key = f"{values.word(rng)} {spoken}"
            spoken = rng.choice((key, key, spoken))
        kind = rng.choice(("word", "word", "phrase", "person", "city", "code", "code", "path", "integer", "integer", "small", "number", "bool",
                           "enum", "enum", "date", "time", "url", "email", "list", "colour"))
        if kind == "enum":
            kind = "enum:" + ",".join(dict.fromkeys(values.word(rng) for _ in range(rng.randint(2, 5))))
        if kind == "bool":
            kind = "bool:on,true,yes,enabled;off,false,no,disabled"
        if join_name(key, style) not in [k for _, k, _ in plan] and spoken not in [n for n, _, _ in plan]:
            plan.append((spoken, join_name(key, style), kind))
    return plan


def apart(plan: list[tuple[str, str, str]], rng: Rng) -> bool:
    """Whether the values can be told apart by their types alone."""
    kinds = ["enum" if k.startswith("enum") else json_type(k, rng)["type"] for _, _, k in plan]
    return len(set(kinds)) == len(kinds) and not {"integer", "number"} <= set(kinds)


def phrase_request(verb: str, noun: str, name: str, parts: list[str], rng: Rng) -> str:
    """A sentence that asks for a free tool."""
    head = expand(rng.choice((f"{verb} the {noun}", f"{verb} {noun}", f"{verb} a {noun}", f"{{use|call|run|invoke}} {name}",
                              f"I {{want|need|would like}} to {verb} the {noun}", f"{{can|could}} you {verb} the {noun}", f"{name}",
                              f"{verb} my {noun} {{now|}}", f"{{time|it is time}} to {verb} the {noun}", f"I {{want|need}} {{a|the|this}} {noun}", f"{noun}", f"the {noun} please",
                              f"{{start|begin|do|try}} {gerund(verb)} the {noun}", f"the {noun} {{should be|must be|has to be|is to be}} {verb}ed",
                              f"{{what about|how about}} the {noun}", f"{verb} {{one|another|this|that|our}} {noun}")), rng)
    if not parts:
        return head
    joined = spoken_list(parts, rng) if rng.random() < 0.7 else rng.choice((", ", "; ", " and ")).join(parts)
    return rng.choice((f"{head} with {joined}", f"{head} with {joined}", f"{head}: {joined}", f"{head}, {joined}", f"{head} using {joined}",
                       f"{head}. {joined[0].upper() + joined[1:]}", f"with {joined}, {head}"))


def bare_request(verb: str, noun: str, values_said: list[str], rng: Rng) -> str:
    """A terse request that names values only, in the order of the parameters."""
    first, *rest = values_said
    if rest and rng.random() < 0.5:
        words = rng.sample(("to", "for", "in", "at", "from", "with", "by", "on", "until", "after", "into"), len(rest))
        tail = " ".join(f"{w} {v}" for w, v in zip(words, rest))
    else:
        tail = rng.choice((" ", ", ")).join(rest)
    return rng.choice((f"{noun} {first} {tail}", f"{verb} the {noun} {first} {tail}", f"{verb} {noun}: {first}, {tail}", f"{verb} {first} {tail}",
                       f"{first}: {verb} the {noun} {tail}", f"I want the {noun} {first}, {tail}", f"{noun}, {first}, {tail}", f"{first} {noun} {tail}",
                       f"{verb} {first} with the {noun} {tail}")).strip(" ,")


def polite(text: str, rng: Rng, arguments: Json) -> str:
    """A request with the words around it; the values of the arguments stay as they are."""
    starts_with_value = any(text.startswith(str(v)) for a in arguments.values() for v in (a if isinstance(a, list) else [a]))
    kind = rng.random()
    if kind < 0.25:
        text = expand("{please|can you|could you please|hey,|hi,|would you|ok,|now|hello!|I'd like you to|quickly,|next,|also|go and|kindly}", rng) + " " + text
    elif kind < 0.35:
        text += expand("{, please| please|, thanks| for me|, quickly|. Thanks!| now}", rng)
    if rng.random() < 0.5 and not (starts_with_value and kind >= 0.25):
        text = text[0].upper() + text[1:]
    if text[-1].isalnum() or text[-1] in "\"'`":
        text += rng.choice(("", "", ".", ".", "?", "!"))
    return text


FIELDS = ("temperature humidity status price name total count city title date state level size owner speed distance duration weight "
          "score version message value rate balance pages author year country amount category capacity voltage signal battery "
          "delay queue errors warnings users visitors stock quantity rating height width depth population wind pressure").split()


def draw_result(request: str, rng: Rng) -> tuple[str, str]:
    """What a tool returns, and the answer made from it."""
    kind = rng.random()
    style = (",", ":") if rng.random() < 0.4 else None
    if kind < 0.4:
        fields = {f: field_value(rng) for f in rng.sample(FIELDS, rng.choice((1, 2, 2, 3, 4)))}
        if len(fields) == 1:
            f, v = next(iter(fields.items()))
            return json.dumps(fields, separators=style), f"The {f} is **{shown(v)}**."
        lines = "\n".join(f"- **{f}**: {shown(v)}" for f, v in fields.items())
        return json.dumps(fields, separators=style), f"Here is the result:\n\n{lines}"
    if kind < 0.55:
        v = field_value(rng)
        text = shown(v)
        return rng.choice((text, json.dumps({"result": v}, separators=style))), f"The result is **{text}**."
    if kind < 0.7:
        items = [rng.choice((values.word, values.path, values.person, values.city, values.code))(rng) for _ in range(rng.randint(2, 6))]
        text = json.dumps(items, separators=style) if rng.random() < 0.6 else "\n".join(items)
        return text, f"There are {len(items)} results:\n\n" + "\n".join(f"- {i}" for i in items)
    if kind < 0.82:
        done = rng.choice(('{"status": "ok"}', '{"ok": true}', '{"success": true}', "ok", "done", "OK", "success", '{"status":"success"}',
                           '{"result": "ok"}', "Done.", "true", '{"done":true}'))
        return done, "Done."
    if kind < 0.93:
        why = rng.choice(("not found", "permission denied", "timeout", "connection refused", "invalid argument", "no such file",
                          f"{values.word(rng)} does not exist", f"cannot {rng.choice(VERBS)} {values.word(rng)}", "rate limit exceeded",
                          f"unknown {values.word(rng)}", "access denied", "quota exceeded"))
        text = rng.choice((json.dumps({"error": why}, separators=style), f"Error: {why}", f"error: {why}", json.dumps({"ok": False, "error": why}, separators=style)))
        return text, f"The tool failed: {why}."
    text = values.phrase(rng, 3, 8).capitalize() + "."
    return text, f"The tool answered: {text}"


def field_value(rng: Rng) -> Any:
    return rng.choice((values.integer, values.number, values.word, values.city, values.code, values.date, lambda r: r.random() < 0.5))(rng)


def shown(v: Any) -> str:
    """A value as prose."""
    return ("yes" if v else "no") if isinstance(v, bool) else str(v)


def lookup(rng: Rng) -> tuple[Tool, str, Json, str, str]:
    """A question about one field, and a result with several."""
    tool = free_tool(rng) if rng.random() < 0.3 else domain_tool(rng.choice(DOMAINS), rng)
    text, arguments = tool.request(rng)
    fields = {f: field_value(rng) for f in rng.sample(FIELDS, rng.randint(2, 5))}
    f = rng.choice(list(fields))
    text = f"{text.rstrip('?.! ')}{rng.choice((' and tell me the ', ', I need the ', '. What is the ', ', then say the '))}{f}"
    return tool, text, arguments, json.dumps(fields), f"The {f} is **{shown(fields[f])}**."


def kind_of(schema: Json) -> str:
    """The type of a parameter as a request shows it."""
    return "choice " + "/".join(schema["enum"]) if "enum" in schema else str(schema["type"])


def takes(tool: Tool, given: Counter[str]) -> bool:
    """Whether a tool can be called with such values and no others."""
    parameters = tool.schema["function"]["parameters"]
    all_of, least = Counter(), Counter()
    for name, schema in parameters["properties"].items():
        all_of[kind_of(schema)] += 1
        least[kind_of(schema)] += name in parameters.get("required", ())
    # A whole number may be meant for any number, one of the choices for any string.
    given, all_of, least = (Counter({"number": c["number"] + c["integer"], "string": sum(n for k, n in c.items() if k == "string" or k[:7] == "choice ")}
                                    | {k: n for k, n in c.items() if k in ("boolean", "array")}) for c in (given, all_of, least))
    return given <= all_of and least <= given


def apart_from(other: Tool, needed: Tool) -> bool:
    """Whether nobody could take a request for one tool as one for the other."""
    if not needed.hinted:
        return bool(other.kinds) and not other.kinds & needed.kinds or not takes(other, needed.given)
    if needed.hints:
        function = other.schema["function"]
        told = f"{function['name']} {function.get('description', '')}".lower()
        return not other.hints & needed.hints and not any(h in told for h in needed.hints)
    return True


class ToolChats:
    """Draws whole conversations with tools."""

    def __init__(self, plain: Callable[[Rng], Qa], refuse: Callable[[Rng], Qa]) -> None:
        self.plain, self.refuse = plain, refuse

    def tool(self, rng: Rng) -> Tool:
        kind = rng.random()
        if kind < 0.45:
            return loose_tool(rng)
        return free_tool(rng) if kind < 0.72 else domain_tool(rng.choice(DOMAINS), rng)

    def offered(self, needed: list[Tool], rng: Rng) -> list[Tool]:
        """The tools that are needed among others, in any order."""
        tools = {t.key: t for t in needed}
        names = {t.name for t in needed}
        for _ in range(rng.choices((0, 1, 2, 3, 4, 5, 8, 11), (24, 22, 19, 14, 10, 6, 3, 2))[0]):
            t = self.tool(rng)
            if t.key not in tools and t.name not in names and all(apart_from(t, n) for n in needed):
                tools[t.key] = t
                names.add(t.name)
        return rng.sample(list(tools.values()), len(tools))

    def draw(self, rng: Rng) -> Chat:
        """One conversation that ends with a call, with an answer from a result, or without any call."""
        kind = rng.random()
        if kind < 0.17:
            return self.without_call(rng)
        if kind < 0.23:
            return self.two_calls(rng)
        if kind < 0.29:
            tool, text, arguments, returned, answer = lookup(rng)
            messages = [user(polite(text, rng, arguments)), *self.call_turn(tool, arguments, rng), result(returned), assistant(answer, self.answer_thought(rng))]
            return self.finish(messages, [tool], rng)
        if kind < 0.5:
            return self.many_calls(rng)
        tool = self.tool(rng)
        text, arguments = tool.request(rng)
        if kind < 0.62:
            returned, answer = draw_result(text, rng)
            messages = [user(polite(text, rng, arguments)), *self.call_turn(tool, arguments, rng), result(returned), assistant(answer, self.answer_thought(rng))]
            if rng.random() < 0.3:
                again, more = tool.request(rng)
                messages += [user(polite(rng.choice(("and ", "now ")) + again, rng, {})), self.call(tool, more)]
        else:
            messages = [user(polite(text, rng, arguments)), self.call(tool, arguments)]
        return self.finish(messages, [tool], rng)

    def many_calls(self, rng: Rng) -> Chat:
        """A conversation in which several of the same tools are called, one after the other."""
        tools: list[Tool] = []
        asked = []
        for _ in range(rng.randint(3, 7)):
            tool = rng.choice(tools) if tools and rng.random() < 0.4 else self.tool(rng)
            text, arguments = tool.request(rng)
            if not tool.hinted or tool not in tools and any(tool.key == t.key or tool.name == t.name or not apart_from(t, tool) or not apart_from(tool, t) for t in tools):
                continue
            if tool not in tools:
                tools.append(tool)
            asked.append((tool, text, arguments))
        if not asked:
            return self.without_call(rng)
        for tool in tools:
            tool.hinted = True
        messages: list[Json] = []
        for i, (tool, text, arguments) in enumerate(asked):
            messages.append(user(polite(text, rng, arguments) if rng.random() < 0.6 else text))
            if i == len(asked) - 1:
                messages.append(self.call(tool, arguments))
                break
            past = self.call(tool, arguments)
            del past["reasoning_content"]
            returned, answer = draw_result(text, rng) if rng.random() < 0.4 else ("ok", "Done.")
            messages += [past, result(returned), assistant(answer)]
        chat = self.finish(messages, tools, rng)
        # Past calls count for the loss only in the style that the guide writes itself.
        chat.compact = rng.random() < 0.1
        return chat

    def call(self, tool: Tool, arguments: Json) -> Json:
        listed = ", ".join(f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in arguments.items()) or "no arguments"
        return assistant("", f"The tool {tool.name} fits: {listed}.", [(tool.name, arguments)])

    def call_turn(self, tool: Tool, arguments: Json, rng: Rng) -> list[Json]:
        """A past call, with its thought or without."""
        message = self.call(tool, arguments)
        if rng.random() < 0.6:
            del message["reasoning_content"]
        return [message]

    def answer_thought(self, rng: Rng) -> str:
        return "The tool has answered. I say what it returned."

    def two_calls(self, rng: Rng) -> Chat:
        """Two requests in one message."""
        first = self.tool(rng)
        second = first if rng.random() < 0.5 else self.tool(rng)
        if second.key == first.key or second.name == first.name:
            second = first
        (a, x), (b, y) = first.request(rng), second.request(rng)
        if second is not first and not (apart_from(second, first) and apart_from(first, second)):
            second = first
            b, y = first.request(rng)
        a = re.sub(r"[?.!]$", "", a)
        text = a + rng.choice((" and ", ", and ", ". Also ", " and also ", ", then ", ". Then ", "; and ")) + b
        tools = [first] if second is first else [first, second]
        names = first.name if second is first else f"{first.name} and {second.name}"
        answer = assistant("", f"Two calls are needed: {names}.", [(first.name, x), (second.name, y)])
        return self.finish([user(polite(text, rng, x)), answer], tools, rng)

    def without_call(self, rng: Rng) -> Chat:
        """Tools are offered, but the question needs none of them, or needs one that is not there."""
        kind = rng.random()
        if kind < 0.56:
            qa = self.plain(rng)
            return self.finish([user(qa.ask), assistant(qa.answer, qa.thought)], [], rng)
        if kind < 0.89:
            qa = self.refuse(rng)
            return self.finish([user(qa.ask), assistant(qa.answer, qa.thought)], [], rng)
        missing = domain_tool(rng.choice(DOMAINS), rng)
        others = [t for t in self.offered([], rng) if t.key != missing.key and not t.hints] or [free_tool(rng)]
        text, wanted = missing.request(rng)
        refusal = self.refuse(rng)
        return self.finish([user(polite(text, rng, wanted)), assistant(refusal.answer, "No tool fits, and this is not about Maquette.")], others, rng)

    def finish(self, messages: list[Json], needed: list[Tool], rng: Rng) -> Chat:
        """Adds the offered tools, a system prompt and earlier turns."""
        tools = self.offered(needed, rng) or [self.tool(rng)]
        if rng.random() < 0.1:
            qa = self.plain(rng)
            messages = [user(qa.ask), assistant(qa.answer)] + messages
        if rng.random() < 0.4:
            messages = [{"role": "system", "content": rng.choice(SYSTEMS)}] + messages
        return Chat(messages, [t.schema for t in tools], thinking=rng.random() < 0.35, compact=rng.random() < 0.35)


__all__ = ["Parameter", "Tool", "ToolChats", "domain_tool", "free_tool", "loose_tool", "polite"]
