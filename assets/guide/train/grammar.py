"""A small grammar for wording questions in very many ways, and the noise of real typing.

Patterns hold alternatives, `{how do I|how can I}`, which nest and may be empty, and macros, `<open>`, which are
alternatives with a name.
"""

from __future__ import annotations

import random
import re
from functools import lru_cache
from typing import Callable

Rng = random.Random
Node = Callable[[Rng], str]

MACROS: dict[str, str] = {
    "how": "{how do I|how do I|how do I|how can I|how to|how would I|how does one|how do you|how should I|how could I|"
           "what do I do to|what do I need to do to|what is the way to|what's the best way to|what's the easiest way to|"
           "is there a way to|is it possible to|can I|can you tell me how to|could you tell me how to|tell me how to|"
           "show me how to|explain how to|please explain how to|I want to|I need to|I'd like to|I would like to|"
           "I'm trying to|I am trying to|I don't know how to|I can't figure out how to|I can't work out how to|"
           "help me|can you help me|where do I|where can I|what's the trick to|any way to|am I able to|"
           "how might I|do you know how to|what are the steps to|steps to|way to|let me know how to|"
           "how on earth do I|what must I do to|i wanna|how do people|how does someone|is there any way I can}",
    "key": "{what key|which key|what keys|which keys|what shortcut|which shortcut|what button|which button|"
           "what's the key|what is the key|what's the shortcut|what is the keyboard shortcut|what's the hotkey|"
           "what is the key binding|what's the keybinding|is there a key|is there a shortcut|is there a hotkey|"
           "do you have a key|what keystroke|which key combination|what combo|key|shortcut|hotkey|"
           "tell me the key|remind me of the key|I forgot the key|I forgot the shortcut}",
    "press": "{what do I press to|what should I press to|what do I hit to|what do I type to|which key do I press to|"
             "what key do I press to|which key should I use to|what do I push to|what must I press to|"
             "which key lets me|what key lets me|what shortcut lets me|which button do I use to}",
    "what": "{what is|what's|whats|what are|explain|please explain|tell me about|can you explain|could you explain|"
            "describe|what do you know about|what does it mean,|I don't understand|give me an overview of|"
            "what do you mean by|define|what exactly is|tell me what is|help me understand|info on|more about|"
            "what's the deal with|say something about}",
    "whatdoes": "{what does|what will|tell me what does|explain what does|what exactly does|so what does}",
    "why": "{why|how come|why on earth|what's the reason|any idea why|do you know why|I wonder why}",
    "here": "{||||| here| in maquette| in Maquette| in this app| in this program| in this tool| with maquette|"
            " in the app| in the program| on this thing| in the TUI| inside maquette| within the app}",
    "app": "{maquette|Maquette|the app|this app|the program|this program|this tool|this thing|it|the application|"
           "this software|the TUI}",
    "name": "{maquette|Maquette|Maquette|the maquette program}",
    "model": "{model|model|model|model|llm|LLM|language model|local model|checkpoint|network|AI|set of weights}",
    "models": "{models|models|models|models|llms|LLMs|language models|local models|weights|checkpoints|networks|AIs}",
    "chat": "{chat|chat|conversation|discussion|thread|dialogue}",
    "chats": "{chats|chats|conversations|discussions|threads}",
    "message": "{message|prompt|question|text|input|request}",
    "answer": "{answer|reply|response|output|generation|completion}",
    "pane": "{pane|pane|view|tab|screen|panel|page|window|section|area}",
    "see": "{see|look at|view|show|check|find|read|inspect|display|watch|get to see|have a look at}",
    "open": "{open|show|go to|switch to|get to|jump to|bring up|reach|enter|see|move to|navigate to|find|access|"
            "change to|view|hop to|flip to|move over to|call up|pull up|visit}",
    "change": "{change|set|adjust|modify|edit|configure|alter|customise|customize|tweak|switch|pick|choose|override|"
              "update|redefine}",
    "remove": "{remove|delete|erase|get rid of|drop|throw away|discard|wipe|trash|clear out|uninstall|kill off}",
    "download": "{download|download|download|get|fetch|pull|install|grab|obtain|add|acquire|pull down|bring in|get hold of|snatch|transfer|retrieve}",
    "start": "{start|run|launch|turn on|switch on|enable|open|boot|bring up|fire up|activate|spin up|begin|start up|flip on|set up|bring to life|kick off|expose}",
    "stop": "{stop|halt|end|turn off|switch off|disable|shut down|cancel|abort|kill|interrupt|terminate|quit|break off|cut off|pause|silence|take down}",
    "use": "{use|use|work with|make use of|try|employ|operate}",
    "big": "{larger|bigger|large|big|better|smarter|more capable|more powerful|stronger|real|proper|different|new|"
           "second|another|better quality|more intelligent}",
    "server": "{server|API|api|API server|HTTP server|HTTP API|http api|REST API|openai server|web server|endpoint|"
              "openai compatible API|local server|api endpoint|service|web api|rest interface|http thing|HTTP endpoint|web service|"
             "rest endpoint|serving|http service}",
    "please": "{|||||| please|, please| pls|, thanks| thanks| now| then| quickly| exactly| again|, quick| for me}",
    "problem": "{I get|I'm getting|I got|it says|it said|it shows|I see|there is|maquette says|the app says|"
               "the screen says|it complains|it fails with|the error is|error:|I receive|what does this mean:|"
               "why do I get|why does it say|how do I fix|what to do about|help,|it keeps saying|"
               "the log says|I ran into|I hit|I am stuck with|got this:|what should I do when it says}",
}


def _parse(pattern: str, at: int, inside: bool) -> tuple[Node, int]:
    """Parses from `at` to the end, or to the brace that closes this group."""
    options: list[list[Node | str]] = [[]]
    text = ""
    while at < len(pattern):
        c = pattern[at]
        if c == "{":
            options[-1].append(text)
            node, at = _parse(pattern, at + 1, True)
            options[-1].append(node)
            text = ""
        elif c == "}" and inside:
            break
        elif c == "|" and inside:
            options[-1].append(text)
            options.append([])
            text = ""
        elif c == "<" and (m := re.match(r"<([a-z_]+)>", pattern[at:])) and m.group(1) in MACROS:
            options[-1] += [text, compiled(MACROS[m.group(1)])]
            text = ""
            at += m.end() - 1
        else:
            text += c
        at += 1
    options[-1].append(text)

    def choose(rng: Rng) -> str:
        parts = options[int(rng.random() * len(options))] if len(options) > 1 else options[0]
        return "".join(p if isinstance(p, str) else p(rng) for p in parts)

    return choose, at


@lru_cache(maxsize=None)
def compiled(pattern: str) -> Node:
    """The pattern as a function that draws one wording."""
    return _parse(pattern, 0, False)[0]


def expand(pattern: str, rng: Rng) -> str:
    """One wording of a pattern, with tidy spaces."""
    return " ".join(compiled(pattern)(rng).split())


LEADS = compiled(
    "{hi|hello|hey|hey there|hi there|ok|okay|so|well|um|hmm|quick question|question|sorry|excuse me|please help|"
    "one more thing|also|another question|good morning|help|I'm new here|I am a beginner|newbie here|"
    "I just installed this|first time using this|sorry if this is obvious|stupid question maybe|"
    "I'm on a mac|I'm on linux|I'm using ssh|I read the readme but|dear guide|hey guide|yo|"
    "I've been using this for a day|my colleague asked me|one question|just wondering|I was wondering}{,|.|:|, |!| -|}")
TAILS = compiled(
    "{thanks|thank you|thx|please|pls|I'm lost|I'm stuck|I'm new to this|can't find it|any help appreciated|"
    "I looked everywhere|asking for a friend|I forgot|it's urgent|cheers|sorry for asking|in short|briefly|"
    "keep it short|in two sentences|in one sentence|in simple words|in a nutshell|step by step|in a few words|just the answer|no idea|if that is possible|I'm on linux|I use a mac|over ssh}{.|!||?}")
STOP_WORDS = frozenset("the a an do i to can in of is how what my me please you it this for that's what's are does "
                       "there way".split())
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
NEAR = {c: (row[max(0, i - 1)], row[min(len(row) - 1, i + 1)]) for row in ROWS for i, c in enumerate(row)}
CONTRACTIONS = (("what's", "whats"), ("I'm", "im"), ("can't", "cant"), ("don't", "dont"), ("I'd", "id"),
                ("isn't", "isnt"), ("doesn't", "doesnt"), ("won't", "wont"))
SHORTHAND = (("you", "u"), ("please", "pls"), ("are", "r"), ("thanks", "thx"), ("something", "sth"),
             ("because", "bc"), ("message", "msg"), ("to", "2"), ("conversation", "convo"))


def typo(word: str, rng: Rng) -> str:
    """One slip of the fingers inside a word."""
    i = rng.randrange(1, len(word) - 1)
    kind = rng.random()
    if kind < 0.3:
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    if kind < 0.6:
        return word[:i] + word[i + 1 :]
    if kind < 0.8:
        return word[:i] + word[i] + word[i:]
    return word[:i] + rng.choice(NEAR.get(word[i], (word[i],))) + word[i + 1 :]


def misspell(text: str, rng: Rng) -> str:
    """Slips in one or two of the plain words."""
    words = text.split(" ")
    plain = [i for i, w in enumerate(words) if len(w) > 3 and w.isalpha() and w.islower()]
    for i in rng.sample(plain, min(len(plain), rng.choice((1, 1, 2)))):
        words[i] = typo(words[i], rng)
    return " ".join(words)


def telegraph(text: str) -> str:
    """Keywords only, as typed into a search box."""
    words = [w for w in text.split() if w.lower().strip("?,.!") not in STOP_WORDS]
    return " ".join(words) if len(words) > 1 else text


FILLERS = ("actually really just somehow simply maybe perhaps quickly basically here there now again still already always never quite "
           "exactly properly anyway today right currently honestly please also even only usually normally suddenly somewhere "
           "my your this that some any all the old new big whole little nice whatever stuff thing things").split()


def shake(text: str, rng: Rng) -> str:
    """The sentence with a filler more or a word less: what matters must not hang on every word."""
    words = text.split(" ")
    if len(words) < 4:
        return text
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(words) + 1)
        kind = rng.random()
        if kind < 0.65:
            words.insert(at, rng.choice(FILLERS))
        elif at < len(words) and words[at].lower() in STOP_WORDS:
            del words[at]
        elif kind < 0.8 and at < len(words) - 1:
            words[at], words[at + 1] = words[at + 1], words[at]
    return " ".join(words)


def noise(text: str, rng: Rng) -> str:
    """The question as somebody might really type it. Words that carry values are left alone."""
    if rng.random() < 0.08:
        text = telegraph(text)
    if rng.random() < 0.12:
        text = shake(text, rng)
    if rng.random() < 0.15:
        for full, short in CONTRACTIONS:
            text = text.replace(full, short)
    if rng.random() < 0.03:
        words = dict(SHORTHAND)
        text = " ".join(words.get(w, w) for w in text.split())
    if rng.random() < 0.15:
        text = misspell(text, rng)
    if rng.random() < 0.15:
        text = " ".join((LEADS(rng) + " " + text).split())
    asks = text.split(" ", 1)[0].lower().strip("'") in (
        "how", "what", "which", "where", "why", "can", "is", "does", "do", "are", "who", "could", "when", "should")
    if text[-1] not in "?!.:":
        text += rng.choice(("?", "?", "", "", "??", " ?") if asks else (".", "", "", "?", "!"))
    if rng.random() < 0.08:
        text += " " + TAILS(rng)
    case = rng.random()
    if case < 0.35:
        text = text[0].upper() + text[1:]
    elif case < 0.65:
        text = text.lower()
    elif case < 0.67:
        text = text.upper()
    return text.strip()
