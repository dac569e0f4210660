"""Reads the tables that `maquette facts` prints, and looks up what articles refer to.

An article never names a key, a command or a folder itself: it says `[key chat.send]`, and this module puts in what
the program answers to today. A reference that nothing answers to raises `Missing`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

Json = dict[str, Any]
NAMES = {"enter": "Enter", "esc": "Esc", "tab": "Tab", "space": "Space", "backspace": "Backspace", "delete": "Delete",
         "up": "Up", "down": "Down", "left": "Left", "right": "Right", "home": "Home", "end": "End",
         "pageup": "PageUp", "pagedown": "PageDown", "insert": "Insert", "backtab": "Shift-Tab",
         "ctrl": "Ctrl", "alt": "Alt", "shift": "Shift"}


class Missing(KeyError):
    """An article refers to something that the program does not have."""


def key_name(key: str) -> str:
    """`ctrl-p` -> `Ctrl-P`, `d` -> `d`, `f1` -> `F1`."""
    parts = re.split(r"-(?=.)", key)
    named = [NAMES.get(p.lower(), p) for p in parts]
    last = parts[-1]
    if len(key) == 1 and key.isupper():
        return f"Shift-{key}"
    if re.fullmatch(r"[fF]\d+", last) or (len(parts) > 1 and len(last) == 1):
        named[-1] = last.upper()
    return "-".join(named)


def spell_keys(keys: list[str]) -> str:
    """`**Ctrl-P** or **F2**`; at most two keys, the first ones."""
    return " or ".join(f"**{key_name(k)}**" for k in keys[:2])


class Facts:
    """The program's tables."""

    def __init__(self, path: Path) -> None:
        self.data: Json = json.loads(path.read_text())
        self.actions = {a["name"]: a for a in self.data.get("actions", [])}
        self.commands = {c["name"]: c for c in self.data.get("commands", [])}
        self.settings = {s["key"]: s for s in self.data.get("settings", [])}
        self.folders = {f["name"]: f for f in self.data.get("folders", [])}
        self.panes = {p["name"].lower(): p for p in self.data.get("panes", [])}

    def pane_key(self, name: str) -> str:
        """The key that opens a pane from anywhere."""
        wanted = f"alt-{self.panes[name.lower()]['number']}"
        for action in self.actions.values():
            if wanted in [k.lower() for k in action.get("keys", [])]:
                return key_name(wanted)
        raise Missing(f"key of pane {name}")

    def first_key(self, names: str) -> str:
        """Keys of the first action that exists and has any; names are separated by `|`."""
        for name in names.split("|"):
            if keys := self.actions.get(name, {}).get("keys"):
                return spell_keys(keys)
        raise Missing(f"key {names}")

    def look_up(self, kind: str, name: str) -> str:
        """The text for one reference."""
        try:
            match kind:
                case "key":
                    return self.first_key(name)
                case "pane":
                    return f"**{self.pane_key(name)}**"
                case "cmd":
                    return f"maquette {self.commands[name]['name']}"
                case "flag":
                    command, flag = name.split()
                    flags = [f for o in self.commands[command]["options"] for f in o["flag"].split(", ")]
                    return next(f for f in flags if f == flag)
                case "folder":
                    return next(f["path"] for n in name.split("|") if (f := self.folders.get(n)))
                case "default":
                    return str(next(s["default"] for n in name.split("|") if (s := self.settings.get(n))))
                case "setting":
                    return next(n for n in name.split("|") if n in self.settings)
                case "route":
                    return next(f"{e['method']} {e['path']}" for e in self.data["endpoints"] if e["path"] == name)
                case "families":
                    return ", ".join(f"**{f}**" for f in self.data["families"])
                case "bits" | "groups":
                    numbers = [str(n) for n in self.data["quantisation"][kind]]
                    return ", ".join(numbers[:-1]) + " and " + numbers[-1]
                case "version":
                    return self.data["version"]
        except (KeyError, StopIteration, IndexError) as error:
            raise Missing(f"{kind} {name}") from error
        raise Missing(f"unknown reference {kind}")

    def fill(self, text: str | list[str]) -> str:
        """Replaces every `[kind name]`; of several texts, takes the first whose references all exist."""
        if isinstance(text, list):
            for one in text[:-1]:
                try:
                    return self.fill(one)
                except Missing:
                    continue
            text = text[-1]
        pattern = r"\[(key|pane|cmd|flag|folder|default|setting|route|families|bits|groups|version)(?: ([^\]]+))?\]"
        return re.sub(pattern, lambda m: self.look_up(m.group(1), m.group(2) or ""), text)
