"""Synonyms for the words that the program's own tables use, and the inflection of verbs.

`paraphrase` turns the description of an action ("Delete the chat") into another wording of the same act.
"""

from __future__ import annotations

import re

from grammar import Rng, expand

# First word of a description -> words for the same act.
VERBS: dict[str, str] = {
    "add": "add|create|insert|put in|include|make|attach|register",
    "answer": "answer|reply to|respond to",
    "approve": "approve|allow|permit|accept|confirm|grant",
    "ask": "ask|pose|submit",
    "attach": "attach|add|include|upload|give",
    "branch": "branch|fork|split",
    "call": "call|run|invoke|execute|use|try out|trigger|test",
    "cancel": "cancel|stop|abort|break off|interrupt|call off",
    "change": "change|set|adjust|modify|edit|alter|switch|pick|tweak",
    "check": "check|verify|test|validate",
    "choose": "choose|pick|select|set|change",
    "clear": "clear|empty|wipe|reset|erase|clean|delete everything in",
    "close": "close|leave|exit|dismiss|hide|get out of|shut",
    "collapse": "collapse|fold|hide|fold up|minimise",
    "complete": "complete|finish|autocomplete",
    "convert": "convert|turn|transform|change",
    "copy": "copy|yank|put on the clipboard|grab|take a copy of|clipboard",
    "create": "create|make|start|open|begin|add",
    "cycle": "cycle|cycle through|switch|toggle through|rotate through|step through|change",
    "decrease": "decrease|lower|reduce|shrink|turn down",
    "delete": "delete|remove|erase|get rid of|throw away|discard|trash|drop|wipe",
    "deny": "deny|refuse|reject|forbid|block",
    "disable": "disable|turn off|switch off|deactivate",
    "discard": "discard|throw away|drop|delete|forget",
    "download": "download|get|fetch|pull|install|grab|obtain",
    "duplicate": "duplicate|copy|clone",
    "edit": "edit|change|modify|correct|rewrite|fix|alter|rephrase|amend",
    "enable": "enable|turn on|switch on|activate",
    "expand": "expand|unfold|open|show|open up",
    "export": "export|save|write out|dump|store|extract",
    "filter": "filter|narrow down|limit|restrict|search|search in|find something in",
    "find": "find|search for|look for|locate",
    "focus": "focus|go to|move to|jump to|put the cursor in|switch to|select|activate|get to",
    "fold": "fold|collapse|hide|close",
    "follow": "follow|tail|keep up with|stay at the end of|track",
    "forget": "forget|remove|drop|delete",
    "generate": "generate|make|create|produce",
    "give": "give|provide|hand over",
    "go": "go|jump|move|scroll|get|navigate|skip",
    "halve": "halve|cut in half",
    "hide": "hide|close|conceal|get rid of|remove|dismiss",
    "import": "import|load|read in|bring in",
    "increase": "increase|raise|grow|turn up",
    "insert": "insert|add|put in|type|enter|start|make|paste",
    "inspect": "inspect|look at|examine|view|see",
    "interrupt": "interrupt|stop|cancel|halt|break off",
    "jump": "jump|go|move|skip|get|scroll",
    "leave": "leave|exit|quit|close|get out of",
    "list": "list|show|print|see|display|enumerate|get a list of|view",
    "load": "load|use|activate|switch to|open|start using|run|select|bring into memory",
    "make": "make|create|build",
    "mark": "mark|select|tag|flag",
    "measure": "measure|benchmark|test|time|find out",
    "move": "move|go|jump|step|navigate|scroll",
    "narrow": "narrow|filter|search|restrict|limit|cut down|reduce",
    "offer": "offer|give|provide",
    "allow": "allow|approve|permit|accept|confirm|grant",
    "refuse": "refuse|deny|reject|decline|forbid|block",
    "draw": "draw|paint|render",
    "put": "put|bring|get|place|insert",
    "submit": "submit|send|confirm",
    "look": "look|search|scan|check",
    "fill": "fill|enter|type",
    "let": "let|make|have",
    "open": "open|show|bring up|go to|get to|see|display|call up|pop up|launch|reach|switch to|view",
    "page": "page|scroll a page|move a page|go a page",
    "paste": "paste|insert|put in",
    "pause": "pause|suspend|hold|halt|interrupt|stop for a while",
    "pick": "pick|choose|select|change|set",
    "pin": "pin|keep in memory|hold|keep loaded|fix",
    "play": "play|run|start",
    "preview": "preview|look at|try",
    "print": "print|show|display|output|write out",
    "quit": "quit|exit|leave|close|end|get out of|shut down|stop",
    "read": "read|see|view|look at|open",
    "redo": "redo|repeat",
    "refresh": "refresh|reload|update|rescan|renew",
    "regenerate": "regenerate|redo|retry|generate again|try again with|get another version of|repeat|ask again for|reroll",
    "reload": "reload|refresh|read again|restart|rescan",
    "remove": "remove|delete|erase|get rid of|throw away|drop|discard|uninstall|wipe",
    "rename": "rename|change the name of|give another name to|retitle|change the title of|call differently",
    "repeat": "repeat|redo|do again",
    "report": "report|show|tell|say",
    "reset": "reset|restore|clear|set back",
    "restart": "restart|reboot|start again|reconnect",
    "restore": "restore|bring back|recover",
    "resume": "resume|continue|go on with|carry on with",
    "retry": "retry|try again|repeat",
    "run": "run|start|launch|execute|do",
    "save": "save|store|write|keep|export|write to a file",
    "scan": "scan|search|look through",
    "scroll": "scroll|move|go|page|read|look",
    "search": "search|find something in|look through|look in|search through|query|find",
    "see": "see|view|show|look at",
    "select": "select|choose|pick|go to|move to|highlight|mark",
    "send": "send|submit|post|fire off|deliver|hand in|transmit|push|give",
    "serve": "serve|run|start|host|offer|expose|provide",
    "set": "set|change|choose|adjust|define|configure",
    "share": "share|give out|publish",
    "show": "show|see|view|display|open|look at|get|find|check|bring up|reveal",
    "skip": "skip|jump over|leave out",
    "sort": "sort|order|arrange|rank",
    "start": "start|begin|launch|run|turn on|switch on|open|create|make|fire up|boot",
    "step": "step|move|go",
    "stop": "stop|halt|cancel|interrupt|abort|end|kill|break off|turn off|terminate",
    "suspend": "suspend|put in the background|background|pause|send to the background",
    "switch": "switch|change|toggle|move|go|flip",
    "take": "take|use",
    "test": "test|check|try",
    "toggle": "toggle|turn on or off|switch|switch on and off|turn on|turn off|enable|disable|flip|change",
    "turn": "turn|switch",
    "undo": "undo|take back|revert|reverse",
    "unfold": "unfold|expand|open|show",
    "unload": "unload|free|remove from memory|release|drop from memory|eject|close",
    "use": "use|work with|choose|apply",
    "verify": "verify|check|validate|test the integrity of|make sure nothing is broken in",
    "view": "view|see|show|open|look at|read",
    "wrap": "wrap|break",
    "write": "write|save|store",
    "yank": "yank|copy",
}

# Words and phrases inside a description -> other words for the same thing. Longer phrases come first.
NOUNS: dict[str, str] = {
    "command palette": "command palette|palette|command list|list of commands|command menu|action menu",
    "system prompt": "system prompt|system message|instructions for the model|persona",
    "chat list": "chat list|list of chats|conversation list|list of conversations|chats|sidebar|chat history|"
                 "overview of chats",
    "api server": "api server|api|server|http server|http api|rest api|openai api|web server",
    "http api": "http api|api|server|api server|rest api|openai server|endpoint|rest interface|http service|web api|http thing|service",
    "new line": "new line|newline|line break|another line|second line|linebreak|carriage return",
    "line break": "line break|newline|new line|another line",
    "last answer": "last answer|last reply|latest response|previous answer|answer|last response|newest reply",
        "log level": "log level|verbosity|minimum level|level of the logs|severity",
    "json": "json|raw json|raw data",
    "key map": "key map|keymap|key bindings|keybindings|shortcuts",
    "keys": "keys|shortcuts|hotkeys|key bindings|keybindings|keyboard shortcuts",
    "help": "help|help screen|manual|documentation|cheat sheet|help page|list of shortcuts",
    "message": "message|prompt|question|text|input|request|what I typed|what I wrote",
    "messages": "messages|prompts|questions|turns",
    "answer": "answer|reply|response|generation|output|text being written",
    "answers": "answers|replies|responses",
    "generation": "generation|answer|reply|response|output|text generation|answering|generating",
    "chat": "chat|conversation|discussion|thread|dialogue|session|talk",
    "chats": "chats|conversations|discussions|threads|sessions|talks",
    "conversation": "conversation|chat|discussion|thread",
    "conversations": "conversations|chats|discussions|threads",
    "model": "model|llm|LLM|language model|selected model|model under the cursor|weights|checkpoint|network",
    "models": "models|llms|LLMs|language models|local models|checkpoints|weights|networks",
    "download": "download|transfer|model download|running download",
    "downloads": "downloads|transfers|running downloads|download queue",
    "library": "library|model library|library pane|list of models|model list",
    "log pane": "log pane|logs|event view|log view|log screen|event list|logs tab",
    "library pane": "library pane|library|model list|list of models|model view|llm list|library tab|models screen",
    "chat pane": "chat pane|chat|conversation view|chat tab|chat screen|talk view",
    "cache pane": "cache pane|cache|charts|statistics view|cache tab|cache screen",
    "tools pane": "tools pane|tools|mcp pane|tool view|tools tab|tool console",
    "logs": "logs|log|log pane|log messages|events|log lines",
    "log": "log|logs|log lines|events|event stream|log messages",
    "theme": "theme|colours|colors|colour scheme|color scheme|look|appearance|skin",
    "themes": "themes|colour schemes|color schemes|skins",
    "pane": "pane|view|tab|screen|panel|window",
    "panes": "panes|views|tabs|screens|panels",
    "tool": "tool|function|mcp tool",
    "tools": "tools|functions|mcp tools|tool calls",
    "settings": "settings|preferences|options|configuration",
    "server": "server|mcp server",
    "servers": "servers|mcp servers",
    "result": "result|outcome|output",
    "arguments": "arguments|parameters|args|inputs",
    "clipboard": "clipboard|copy buffer",
    "thinking": "thinking|reasoning|thought|chain of thought|thoughts|reasoning text|think mode",
    "reasoning": "reasoning|thinking|thoughts|chain of thought",
    "program": "program|app|application|maquette",
    "maquette": "maquette|the program|the app|this program|this app",
    "composer": "composer|input box|text field|input field|prompt box|text box|editor|input line|input area",
    "transcript": "transcript|text of the chat|conversation text|messages|history|chat text",
    "screen": "screen|display|terminal",
    "selection": "selection|selected text|marked text",
    "filter": "filter|search|query",
    "title": "title|name",
    "list": "list|menu|table|overview|rows",
    "text": "text|a word|words|a string",
    "editor": "editor|text editor|vim|external editor",
    "code block": "code block|code|snippet|code snippet",
    "order": "order|sorting|sort order|ranking",
    "newest": "newest|latest|last|most recent",
    "earlier": "earlier|previous|past|former|old|last",
    "calls": "calls|invocations|tool calls|runs",
    "level": "level|severity|verbosity",
    "part": "part|area|section|side|half|field",
    "memory": "memory|ram",
    "cache": "cache|kv cache",
    "previous": "previous|last|earlier|preceding|one before",
    "next": "next|following|later|one after",
    "all": "all|all the|every|each of the",
    "up": "up|upwards|higher",
    "down": "down|downwards|lower",
    "top": "top|start|beginning|very top|first line",
    "end": "end|bottom|last line|very end",
    "bottom": "bottom|end|last line",
    "details": "details|more information|information|more about it",
    "selected": "selected|highlighted|current|chosen|marked",
    "current": "current|present|running|active|open",
    "highlighted": "highlighted|selected|current",
    "page": "page|screenful|screen",
    "word": "word",
    "speed": "speed|performance|tokens per second|throughput",
    "machine": "machine|computer|system|hardware",
    "local": "local|installed|downloaded|my",
    "file": "file|document",
    "once": "once|one time|a single time",
}
NOUN_PATTERN = re.compile(r"\b(" + "|".join(sorted(map(re.escape, NOUNS), key=len, reverse=True)) + r")\b", re.I)
DOUBLING = frozenset("stop get set run cut put drop pin quit submit skip scan tag flag wrap grab trim".split())


ACTING = {word.split()[0] for verb, others in VERBS.items() for word in [verb, *others.split("|")]} - {"do", "have"}


def asked(phrase: str, rng: Rng) -> str:
    """A wording that starts with a verb, often turned into a question; others stay."""
    first, _, rest = phrase.partition(" ")
    if first in ACTING and rest and rest.split()[0] not in ("of", "in", "for", "is", "by") and rng.random() < 0.6:
        return expand("<how> ", rng) + f" {phrase.rstrip('?')}" + rng.choice(("", "", " here", " in maquette", " in this program"))
    return phrase


def decapitalise(text: str) -> str:
    """`Send the message.` -> `send the message`; names such as API keep their capitals."""
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] in (" ", "") else text


def gerund(phrase: str) -> str:
    """`send it` -> `sending it`."""
    verb, _, rest = phrase.partition(" ")
    if verb.endswith("e") and not verb.endswith(("ee", "ye", "oe")):
        verb = verb[:-1]
    elif verb in DOUBLING:
        verb += verb[-1]
    return f"{verb}ing {rest}".strip()


def third_person(phrase: str) -> str:
    """`send it` -> `sends it`."""
    verb, _, rest = phrase.partition(" ")
    if verb.endswith(("s", "sh", "ch", "x", "go", "do")):
        verb += "es"
    elif verb.endswith("y") and verb[-2:-1] not in "aeiou":
        verb = verb[:-1] + "ies"
    else:
        verb += "s"
    return f"{verb} {rest}".strip()


def paraphrase(description: str, rng: Rng, rate: float = 0.6) -> str:
    """Another wording of an action's description, as a verb phrase in lower case."""
    phrase = decapitalise(description)
    # What follows a mark explains; the act itself comes before it, or is one of two.
    if rng.random() < 0.7:
        phrase = re.split(r"[,;:(]| so that | without ", phrase)[0].strip() or phrase
    elif alternative := re.match(r"(\w+) .*,? or ((?:one of )?the .*|a .*)$", phrase):
        phrase = f"{alternative.group(1)} {alternative.group(2)}"
    verb, _, rest = phrase.partition(" ")
    if verb in VERBS and rng.random() < 0.75:
        verb = rng.choice(VERBS[verb].split("|"))

    def swap(m: re.Match[str]) -> str:
        word = m.group(1)
        return rng.choice(NOUNS[word.lower()].split("|")) if rng.random() < rate else word

    rest = NOUN_PATTERN.sub(swap, rest)
    if rng.random() < 0.3:
        rest = re.sub(r"\bthe\b", lambda _: rng.choice(("a", "my", "this", "that", "", "the")), rest)
    elif rng.random() < 0.15:
        rest = re.sub(r"\b(the|a|an) ", "", rest)
    return " ".join(f"{verb} {rest}".split())


def spoken_key(key: str, rng: Rng) -> str:
    """A key as people write it: `Ctrl-P`, `ctrl+p`, `^P`, `control p`."""
    parts = re.split(r"-(?=.)", key)
    if len(parts) == 1:
        forms = [key, key.lower(), f"`{key}`", f'"{key}"', f"the {key} key", f"{key} key", f"the key {key}"]
        return rng.choice(forms)
    modifiers, last = parts[:-1], parts[-1]
    names = {"ctrl": ("Ctrl", "ctrl", "control", "CTRL", "Control"), "alt": ("Alt", "alt", "ALT", "Option", "Meta"),
             "shift": ("Shift", "shift", "SHIFT")}
    words = [rng.choice(names.get(m.lower(), (m,))) for m in modifiers]
    end = last if rng.random() < 0.5 else last.lower()
    if [m.lower() for m in modifiers] == ["ctrl"] and len(last) == 1 and rng.random() < 0.1:
        return "^" + last.upper()
    return rng.choice(("-", "-", "+", "+", " ", " + ")).join([*words, end])


def article(text: str) -> str:
    """With `a` or `an` in front."""
    return ("an " if text[:1].lower() in "aeiou" else "a ") + text


__all__ = ["VERBS", "NOUNS", "article", "asked", "decapitalise", "expand", "gerund", "paraphrase", "spoken_key", "third_person"]
