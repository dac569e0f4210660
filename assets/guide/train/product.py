"""Questions and answers made from the program's own tables: actions, keys, panes, commands, endpoints, settings,
folders, model families, quantisation and errors.

Every function here draws one question with its canonical answer. Nothing in this file knows a single key, command
or path: all of them come from `Facts`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from facts import Facts, Json, Missing, key_name, spell_keys
from grammar import Rng, expand
from lexicon import VERBS, asked, decapitalise, gerund, paraphrase, spoken_key, third_person


@dataclass
class Qa:
    """A question, its answer, the short thought that leads to it, and what may be asked next."""

    ask: str
    answer: str
    thought: str
    follow: list["Qa"] = field(default_factory=list)


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    if "." not in text.partition(" ")[0][:-1]:
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "`")) else text + "."


PLACES = {"list": "in any list", "filter": "in a filter field", "form": "in a form", "overlay": "in the palette and in dialogues",
          "chats": "in the list of chats"}
ANYWHERE = {"global", "anywhere", "any", "app", "everywhere", ""}


class Product:
    """Draws questions about the tables."""

    def __init__(self, facts: Facts, wordings: dict[str, dict[str, list[str]]]) -> None:
        self.facts = facts
        self.wordings = wordings
        # Of several actions that do the same in different places, questions without a place mean the first.
        self.acts = list({a["doc"]: a for a in reversed(facts.actions.values())}.values())
        self.by_key: dict[str, list[Json]] = defaultdict(list)
        self.by_context: dict[str, list[Json]] = defaultdict(list)
        for action in facts.actions.values():
            for key in action.get("keys", []):
                self.by_key[key_name(key)].append(action)
            if action.get("keys"):
                self.by_context[action.get("context", "")].append(action)
        makers = [(self.action, 42, facts.actions), (self.key, 10, self.by_key), (self.unbound_key, 1, self.by_key),
                  (self.context_keys, 3, self.by_context), (self.pane, 8, facts.panes),
                  (self.command, 7, facts.commands), (self.option, 8, facts.commands),
                  (self.endpoint, 7, facts.data.get("endpoints")), (self.folder, 4, facts.folders),
                  (self.setting, 8, facts.settings), (self.family, 4, facts.data.get("families")),
                  (self.error, 6, facts.data.get("errors")), (self.listing, 3, True)]
        self.makers = [m for m, _, table in makers if table]
        self.weights = [w for _, w, table in makers if table]

    def draw(self, rng: Rng) -> Qa:
        """One question about any table."""
        while True:
            try:
                return rng.choices(self.makers, self.weights)[0](rng)
            except Missing:
                continue

    def worded(self, table: str, name: str, rng: Rng, rate: float = 0.5) -> str | None:
        """A hand-written question about this entry, if there is one and chance wants it."""
        patterns = self.wordings.get(table, {}).get(name)
        return asked(expand(rng.choice(patterns), rng), rng) if patterns and rng.random() < rate else None

    # Actions and keys

    def place(self, action: Json) -> str:
        """`in the library`, or nothing for what works anywhere."""
        context = action.get("context", "").replace("_", " ").replace(".", " ")
        return "" if context.lower() in ANYWHERE else PLACES.get(context, f"in the {context}")

    def action(self, rng: Rng) -> Qa:
        """How do I do this?"""
        action = rng.choice(self.acts)
        act = paraphrase(action["doc"], rng)
        where = self.place(action)
        ask = expand(rng.choice((
            "<how> ACT<here>", "<how> ACT<here>", "<how> ACT", "<press> ACT<here>", "<press> ACT",
            "<key> {to|for|that lets me|I press to} ACT", "<key> for DOING", "ACT", "DOING", "ACT {key|shortcut|hotkey}",
            "{key|shortcut|hotkey} {to|for} ACT", "{where|how} {can|do} I ACT<here>", "which action DOES", "{which|what} {key|shortcut|button|hotkey} DOES", "{which|what} {key|shortcut} DOES PLACE",
            "{can|does} {maquette|it|the app} ACT", "I'd like to ACT, {how|which key|what do I press}",
            "what's the {key|shortcut} {that DOES|for DOING}", "{is|isn't} there {a|any} {key|shortcut|command} {to|for} ACT",
            "how is DOING done<here>", "<press> ACT PLACE", "<how> ACT PLACE", "PLACE, <how> ACT", "ACT PLACE")), rng)
        ask = ask.replace("DOING", gerund(act)).replace("DOES", third_person(act)).replace("ACT", act)
        ask = " ".join(ask.replace("PLACE", where).split()).removeprefix(", ")
        ask = self.worded("action", action["name"], rng) or ask
        return Qa(ask, self.action_answer(action), self.action_thought(action))

    def action_answer(self, action: Json) -> str:
        """`Press **Enter** in the composer: send the message.`"""
        doc, where = decapitalise(action["doc"]), self.place(action)
        if action.get("keys"):
            return sentence(f"Press {spell_keys(action['keys'])}{' ' + where if where else ''}: {doc}")
        palette = self.facts.first_key("app.palette|palette.open|palette|global.palette|view.palette")
        return f"It has no key of its own. Open the command palette with {palette} and choose “{doc}”."

    def action_thought(self, action: Json) -> str:
        keys = spell_keys(action["keys"]).replace("*", "") if action.get("keys") else "none"
        return f"The action is: {decapitalise(action['doc'])}. Key: {keys}."

    def key(self, rng: Rng) -> Qa:
        """What does this key do?"""
        key = rng.choice(list(self.by_key))
        actions = self.by_key[key]
        spoken = spoken_key(key, rng)
        forms = ("<whatdoes> KEY do<here>", "what does KEY do", "what is KEY for", "what happens {if|when} I {press|hit|push|type} KEY",
                 "what's KEY", "KEY", "{meaning|function|purpose} of KEY", "why would I press KEY", "KEY does what",
                 "what's the {use|point|effect} of KEY", "is KEY bound to anything", "I pressed KEY, what {did it do|happened}",
                 "explain KEY", "what can I do with KEY", "{which|what} action is {on|bound to} KEY")
        ask = expand(rng.choice(forms), rng).replace("KEY", spoken)
        placed = [a for a in actions if self.place(a)]
        thought = f"The question is about the key {key}."
        if placed and rng.random() < 0.5:
            action = rng.choice(placed)
            same = [a for a in actions if a.get("context") == action.get("context")]
            where = self.place(action)
            ask = f"{where}, {ask}" if rng.random() < 0.2 else f"{ask.rstrip('?')} {where}"
            acts = "; ".join(decapitalise(a["doc"]) for a in same)
            return Qa(ask, sentence(f"**{key}** {where}: {acts}"), f"{thought[:-1]} {where}.")
        if len(actions) == 1:
            where = self.place(actions[0])
            return Qa(ask, sentence(f"**{key}**{' ' + where if where else ''}: {decapitalise(actions[0]['doc'])}"), thought)
        lines = [f"- {self.place(a) or 'anywhere'}: {decapitalise(a['doc'])}" for a in actions[:6]]
        return Qa(ask, f"**{key}** depends on the place:\n\n" + "\n".join(lines), thought)

    def unbound_key(self, rng: Rng) -> Qa:
        """A key that does nothing."""
        while True:
            key = rng.choice(("Ctrl-", "Alt-", "Ctrl-Alt-")) + rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
            if key not in self.by_key:
                break
        ask = expand(rng.choice(("<whatdoes> KEY do<here>", "what is KEY for", "what happens if I press KEY", "what's KEY")), rng)
        help_key = self.facts.first_key("app.help|help.open|help|global.help|view.help")
        return Qa(ask.replace("KEY", spoken_key(key, rng)), f"**{key}** has no function by default. {help_key} shows all keys.",
                  f"The question is about the key {key}.")

    def context_keys(self, rng: Rng) -> Qa:
        """Which keys work here?"""
        context = rng.choice(list(self.by_context))
        actions = self.by_context[context]
        name = context.replace("_", " ").replace(".", " ")
        spot = "anywhere" if name.lower() in ANYWHERE else PLACES.get(name, f"in the {name}")
        ask = expand(rng.choice((
            f"{{what|which}} {{keys|shortcuts|hotkeys|key bindings}} {{are there|work|can I use|exist|do I have}} {spot}",
            f"{{list|show me|give me|tell me}} {{the|all the|all}} {{keys|shortcuts|hotkeys}} {spot}",
            f"keys {spot}", f"what can I {{press|do}} {spot}", f"{name} {{keys|shortcuts|key bindings}}",
            f"{{which|what}} keys does the {name} have")), rng)
        help_key = self.facts.first_key("app.help|help.open|help|global.help|view.help")
        lines = [f"- {spell_keys(a['keys'][:1])}: {decapitalise(a['doc'])}" for a in actions[:8]]
        return Qa(ask, f"Keys {spot}:\n\n" + "\n".join(lines) + f"\n\n{help_key} shows all keys.",
                  f"The question is about the keys {spot}.")

    # Panes

    def pane(self, rng: Rng) -> Qa:
        """What is this pane, and how do I get there?"""
        pane = rng.choice(list(self.facts.panes.values()))
        name, number = pane["name"], pane["number"]
        key = self.facts.pane_key(name)
        count = "one two three four five six seven".split()[number - 1]
        nth = "first second third fourth fifth sixth seventh".split()[number - 1]
        called = rng.choice((f"<pane> {count}", f"<pane> number {count}", f"<pane> number {number}", f"the {nth} <pane>", f"the {nth} <pane>",
                             f"the {nth} one of the panes", name, name.lower(), f"{name.lower()} <pane>", f"the {name.lower()} <pane>",
                             f"the {name} <pane>", f"<pane> {number}", f"the <pane> {name.lower()}", f"{number} {name}"))
        words = re.findall(r"[a-z-]{5,}", pane["doc"].lower())
        about = f"The question is about pane {number}, {name}."
        kind = rng.random()
        if kind < 0.4:
            ask = expand(f"{{<how> <open> {called}|<press> <open> {called}|<key> {{for|opens}} {called}|<open> {called}|"
                         f"where is {called}|take me to {called}|where do I find {called}|how does one get to {called}|"
                         f"{called} {{key|shortcut}}}}", rng)
            return Qa(ask, f"Press **{key}**: it opens pane {number}, **{name}**.", about)
        if kind < 0.5 and words:
            ask = expand(f"{{where {{do|can}} I <see> {{the|my|some}} WORD|which <pane> {{shows|has|contains|lists}} {{the|my}} WORD|"
                         f"what <pane> is for WORD|where are the WORD}}", rng).replace("WORD", rng.choice(words))
            if sum(words[0] in p["doc"].lower() for p in self.facts.panes.values()) > 1:
                ask = expand(f"what {{can I see|is shown|do I find}} in {called}", rng)
        else:
            ask = expand(f"{{<what> {called}|what {{can I see|is shown|do I find|is there|can I do}} {{in|on}} {called}|"
                         f"{called}|what is {called} {{for|good for}}|{{purpose|meaning}} of {called}|what is {called} about|what {{is|do I get|is there}} on {called}|what's {called} about|"
                         f"tell me what {called} {{has|shows|is}}|<whatdoes> {called} "
                         f"{{show|do|contain|display}}|why would I open {called}|what's in {called}}}", rng)
        return Qa(ask, f"Pane {number}, **{name}**: {sentence(decapitalise(pane['doc']))} Open it with **{key}**.", about)

    # Commands

    def command(self, rng: Rng) -> Qa:
        """What does this command do, or which one does that?"""
        command = rng.choice(list(self.facts.commands.values()))
        name = f"maquette {command['name']}".strip()
        act = paraphrase(command["doc"], rng)
        spoken = rng.choice((f"`{name}`", name, name, f'"{name}"', f"the {command['name']} command",
                             f"the {command['name']} subcommand", f"the command {command['name']}"))
        shell = "{from the shell|from the command line|in a terminal|on the command line|in bash|without the TUI|as a command|" \
                "from a script|in the shell|via the cli|outside the app}"
        ask = expand(rng.choice((
            "<whatdoes> CMD do", "<what> CMD", "what is CMD for", "CMD", "how do I use CMD", "usage of CMD", "CMD usage",
            "explain CMD", "when do I need CMD", f"<how> ACT {shell}", f"<how> ACT {shell}", f"ACT {shell}",
            "{which|what} {command|subcommand} DOES", "command {to|for} ACT", f"can I ACT {shell}",
            "is there a command {to|for} ACT", "what do I type in the shell to ACT")), rng)
        ask = ask.replace("CMD", spoken).replace("DOES", third_person(act)).replace("ACT", act)
        ask = self.worded("command", command["name"], rng) or ask
        return Qa(ask, self.command_answer(command), f"The question is about the command {name}.")

    def command_answer(self, command: Json) -> str:
        name = f"maquette {command['name']}".strip()
        return f"`{name}`: {sentence(decapitalise(command['doc']))}\n\n```sh\n{command.get('usage') or name}\n```"

    def option(self, rng: Rng) -> Qa:
        """What does this option do, which one does that, or which options are there?"""
        command = rng.choice([c for c in self.facts.commands.values() if c.get("options")])
        name = f"maquette {command['name']}".strip()
        spoken = rng.choice((f"`{name}`", name, name, f"the {command['name']} command", command["name"]))
        if rng.random() < 0.2:
            ask = expand("{{what|which} {options|flags|switches|arguments|parameters} {does CMD {have|take|accept|know}|are there for CMD}|"
                         "{list|show|give me} the {options|flags} of CMD|CMD {options|flags|arguments}|options for CMD}", rng)
            lines = [f"- `{self.flag(o)}`: {decapitalise(o['doc'])}" for o in command["options"][:8]]
            return Qa(ask.replace("CMD", spoken), f"Options of `{name}`:\n\n" + "\n".join(lines),
                      f"The question is about the options of {name}.")
        option = rng.choice(command["options"])
        others = [c for c in self.facts.commands.values() if any(o["flag"] == option["flag"] for o in c.get("options", []))]
        act = paraphrase("set " + decapitalise(option["doc"]), rng, 0.4).partition(" ")[2]
        flag = option["flag"]
        spoken_flag = rng.choice(flag.split(", "))
        spoken_flag = rng.choice((spoken_flag, f"`{spoken_flag}`", spoken_flag.lstrip("-") if len(spoken_flag) > 4 else spoken_flag))
        at = f" {{of|for|in|with}} {spoken}"
        forms = ["<whatdoes> FLAG do AT", "<what> FLAG AT", "what is FLAG AT for", "FLAG AT", "meaning of FLAG AT",
                 "{which|what} {option|flag} of CMD {is for|sets|means|controls} ACT", "{flag|option} for ACT with CMD",
                 "<how> {set|choose|change|give|specify|pass} ACT {with|for|in} CMD"]
        ask = expand(rng.choice(forms), rng).replace("FLAG", spoken_flag)
        optional = len(others) == 1 and rng.random() < 0.5
        ask = ask.replace("AT", "" if optional else expand(at, rng)).replace("CMD", spoken).replace("ACT", act)
        return Qa(ask, f"`{self.flag(option)}` of `{name}`: {sentence(decapitalise(option['doc']))}",
                  f"The question is about the option {flag} of {name}.")

    def flag(self, option: Json) -> str:
        return f"{option['flag']} {option['value']}" if option.get("value") else option["flag"]

    # API, folders, settings

    def endpoint(self, rng: Rng) -> Qa:
        """What does this endpoint do, or which one does that?"""
        entry = rng.choice(self.facts.data["endpoints"])
        path = entry["path"]
        spoken = rng.choice((path, f"`{path}`", f"{entry['method']} {path}", path.strip("/"), f"the {path} endpoint"))
        act = paraphrase("get " + decapitalise(entry["doc"]), rng)
        if entry["doc"].split()[0].lower() in VERBS:
            act = paraphrase(entry["doc"], rng)
        ask = expand(rng.choice((
            "<whatdoes> PATH do", "<what> PATH", "what is PATH for", "PATH", "is there a PATH", "does {the|your} <server> {have|support} PATH",
            "{which|what} {endpoint|route|url|path} {is for|do I call for|do I use for|gives me|does} ACT", "endpoint {for|to} ACT",
            "{url|path|route|address} {for|to} ACT", "{which|what} {endpoint|url} {do I call|should I call|must I use} to ACT",
            "<how> ACT {over http|via the api|with curl|through the api|using the API|over the API}", "api {for|to} ACT",
            "can the {api|server} ACT")), rng)
        ask = self.worded("endpoint", path, rng) or ask.replace("PATH", spoken).replace("ACT", act)
        return Qa(ask, f"`{entry['method']} {path}`: {sentence(decapitalise(entry['doc']))}",
                  f"The question is about the endpoint {path}.")

    def folder(self, rng: Rng) -> Qa:
        """Where is it kept?"""
        entry = rng.choice(list(self.facts.folders.values()))
        name = entry["name"].replace("_", " ")
        thing = rng.choice((f"the {name} folder", f"the {name}", f"my {name}", f"{name}", f"the {name} directory", f"the {name} files",
                            decapitalise(entry["doc"])))
        ask = expand("{where {is|are|does it keep|do you keep|does maquette store|does maquette put|can I find|do I find|lives|live} THING|"
                     "{path|location} of THING|in which {folder|directory} {is|are} THING|which {folder|directory} {holds|has|is for} THING|"
                     "THING {path|location|folder|where}|where on {disk|my disk} {is|are} THING|"
                     "where {is|are} THING {stored|kept|saved|located|on disk|written}}", rng).replace("THING", thing)
        ask = self.worded("folder", entry["name"], rng) or ask
        return Qa(ask, f"`{entry['path']}`: {sentence(decapitalise(entry['doc']))}", f"The question is about the {name} folder.")

    def setting(self, rng: Rng) -> Qa:
        """What is this setting, its default, and how do I change it?"""
        entry = rng.choice(list(self.facts.settings.values()))
        key, default = entry["key"], entry.get("default")
        thing = rng.choice((key, f"`{key}`", key, f"the setting {key}", f"the {key} setting", paraphrase("set " + entry["doc"][:1].lower()
                            + entry["doc"][1:], rng).partition(" ")[2], key.split(".")[-1].replace("_", " ")))
        ask = expand("{what is the default {of|for|value of} THING|default THING|<what> THING|<whatdoes> THING do|<how> <change> THING|"
                     "where do I <change> THING|THING|what is THING {set to|by default}|can I <change> THING|"
                     "{which|what} setting {is|controls|changes} THING|setting for THING|what's THING for|"
                     "configure THING|{change|set} THING permanently}", rng).replace("THING", thing)
        ask = self.worded("setting", key, rng) or ask
        shown = "not set" if default in (None, "", [], {}) else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        return Qa(ask, f"`{key}`: {sentence(decapitalise(entry['doc']))} The default is {shown}.",
                  f"The question is about the setting {key}.")

    # Models and errors

    KNOWN = {"llama": "llama|Llama 3|Llama 3.2 1B|Llama-3.1-8B|Llama 2 7b|TinyLlama|llama 3.3 70B|llama3|meta llama",
             "mistral": "mistral|Mistral 7B|Mistral-7B-Instruct|mistral v0.3|Mistral Instruct",
             "qwen2": "qwen2|Qwen2.5 7B|Qwen2.5-0.5B|qwen 2.5|Qwen2|qwen2.5 coder",
             "qwen3": "qwen3|Qwen3 4B|Qwen3-0.6B|qwen 3|Qwen3-8B|Qwen3 1.7B"}
    STRANGERS = ("gemma|Gemma 3|phi|Phi-4|mixtral|Mixtral 8x7B|deepseek|DeepSeek V3|DeepSeek R1|gpt-oss|GPT-OSS 20B|glm|GLM-4|mamba|"
                 "falcon|Falcon 7B|olmo|OLMo 2|command-r|Command R+|starcoder|granite|Granite 3|yi|baichuan|internlm|nemotron|kimi|"
                 "Kimi K2|jamba|rwkv|bloom|gpt2|GPT-2|gpt-neox|t5|bert|whisper|stable diffusion|flux|llava|pixtral|minimax|"
                 "exaone|hunyuan|ernie|lfm2|stablelm|cohere|dbrx|grok|bitnet|openelm|smolvlm|moondream|internvl")

    def family(self, rng: Rng) -> Qa:
        """Does this model run?"""
        families = self.facts.data["families"]
        ask = "{can {I|it|maquette|you} {run|load|use|open|handle} NAME|{does|will} NAME {work|run|load}<here>|is NAME supported|" \
              "do you support NAME|does <app> support NAME|NAME support|NAME|is NAME compatible|" \
              "I have a NAME model, will it {work|load}|how about NAME|what about NAME models|would NAME {run|work|load}{| on it| here| with it|}|" \
              "I've got {a|an|some|my} NAME {model|checkpoint|folder} {lying around|here|on disk}, {any chance|will that do|does it run|can I use it|usable}|" \
              "is NAME {ok|okay|possible|fine|an option|any good here}|could I {use|load|try|run} {a |}NAME{| model| checkpoint|}|{any|is there any} {chance|hope} for NAME|" \
              "what if I {load|try|use} NAME|NAME {model|checkpoint|weights}, {ok|possible|supported|will it run}}"
        listed = ", ".join(f"**{f}**" for f in families)
        if rng.random() < 0.5:
            family = rng.choice([f for f in families if f in self.KNOWN] or families)
            name = rng.choice(self.KNOWN.get(family, family).split("|"))
            return Qa(expand(ask, rng).replace("NAME", name), f"Yes: it belongs to the **{family}** family, which Maquette runs. "
                      f"The families are {listed}.", f"{name} is of the family {family}, which is supported.")
        size = rng.choice(("", "", "-7B", " 9B", "-2b", " 3", "-instruct", " 12B it", " v2"))
        name = rng.choice([n for n in self.STRANGERS.split("|") if not any(n.lower().startswith(f) for f in families)]) + size
        return Qa(expand(ask, rng).replace("NAME", name), f"No: **{name}** is not among the families that this version runs: {listed}.",
                  f"{name} is of no supported family.")

    def error(self, rng: Rng) -> Qa:
        """I see this message; what now?"""
        entry = rng.choice([e for e in self.facts.data["errors"] if e["remedy"]])
        message = self.filled(entry["message"], rng)
        words = message.split()
        if len(words) > 5 and rng.random() < 0.4:
            start = rng.randrange(0, len(words) - 4)
            message = " ".join(words[start : start + rng.randint(4, 9)])
        message = rng.choice((message, message, message.lower(), f'"{message}"', f"`{message}`"))
        ask = expand(rng.choice(("<problem> MSG", "<problem> MSG", "<problem>: MSG", "MSG", "MSG <problem>", "why do I {get|see} MSG",
                                 "what does MSG mean", "how do I fix MSG", "MSG, what {now|should I do|can I do}")), rng)
        return Qa(ask.replace("MSG", message), sentence(entry["remedy"]),
                  f"The message is: {re.sub(r'[{}]', '', entry['message'])}.")

    def filled(self, message: str, rng: Rng) -> str:
        """An error message with its placeholders filled in."""
        message = re.sub(r"\b\d{2,}\b", lambda _: str(rng.randint(10, 20000)), message)
        samples = ("8080", "config.json", "model.safetensors", "gemma3", "my-server", "/home/me/models/test", "4096", "night",
                   "mcp.json", "qwen3-4b", "17", "settings.toml", "default", "layers.3.mlp", "127.0.0.1:8421")
        message = message.replace("NAME", rng.choice(("gemma-3", "Qwen3-4B", "llama", "my-model", "test", "mlx-community/Qwen3-4B-4bit")))
        return re.sub(r"\{[^}]*\}|<[A-Za-z_ ]+>", lambda _: rng.choice(samples), message)

    def listing(self, rng: Rng) -> Qa:
        """Whole tables: panes, commands, endpoints, settings, folders."""
        f = self.facts
        tables = [
            ("panes|views|tabs|screens", "Maquette has these panes:", [f"**{p['number']} {p['name']}**: {decapitalise(p['doc'])}" for p in f.panes.values()]),
            ("commands|subcommands|shell commands|cli commands", "The commands are:",
             [f"`{('maquette ' + c['name']).strip()}`: {decapitalise(c['doc'])}" for c in f.commands.values()]),
            ("endpoints|routes|api routes|api endpoints|urls of the api", "The API has these endpoints:",
             [f"`{e['method']} {e['path']}`: {decapitalise(e['doc'])}" for e in f.data.get("endpoints", [])]),
            ("folders|directories|paths", "Maquette uses these folders:",
             [f"`{d['path']}`: {decapitalise(d['doc'])}" for d in f.folders.values()]),
        ]
        names, head, lines = rng.choice([t for t in tables if t[2]])
        ask = expand("{{what|which} NAMES {are there|exist|do you have|does maquette have|can I use|are available}|"
                     "{list|show me|give me|tell me|enumerate} {the|all|all the|its} NAMES|all NAMES|NAMES|what are the NAMES|"
                     "how many NAMES {are there|does it have|exist}|what are {the|all the|all|its} {|five |various |different }NAMES {called|named|for|}|"
                     "{names|a list|an overview} of {the|all} NAMES|{which|what} {five |}NAMES {make up maquette|can I open|do I have}|overview of the NAMES}", rng)
        name = rng.choice(names.split("|"))
        return Qa(ask.replace("NAMES", name), head + "\n\n" + "\n".join(f"- {line}" for line in lines[:12]),
                  f"The question is about all {names.split('|')[0]}.")
