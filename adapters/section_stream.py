"""The readable text of an answer that is being written as JSON: `{"sections": {name: text, …}, …}`.

What is shown early is what the answer will hold, section after section under its title. It is a courtesy: whether the JSON is
any good is decided when all of it is there, so what is not understood here is shown no further and is no error.
"""

import re

from contracts.chat import Delta
from contracts.model import Prompt
from runtime.ports import OnDelta
from runtime.text import titled

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_PLAIN = re.compile(r'[^"\\]+')
_BETWEEN = re.compile(r'[^"{}\[\],:]+')


class SectionStream:
    """An OnDelta for the JSON; tells another one the sections' text."""

    def __init__(self, prompt: Prompt, on_delta: OnDelta) -> None:
        self._names = {section.name for section in prompt.sections}
        self._on_delta = on_delta
        self._path: list[str] = []  # of the objects and arrays around this place, by the keys that lead there
        self._key: str | None = None  # of the value that comes next
        self._string: list[str] | None = None  # of the string at this place
        self._held = ""  # the beginning of an escape
        self._high = ""  # the first half of a surrogate pair
        self._shown = 0

    def __call__(self, delta: Delta) -> None:
        text, at, out = self._held + delta.text, 0, list[str]()
        self._held = ""
        while at < len(text):
            at = self._between(text, at, out) if self._string is None else self._within(text, at, out)
        if out:
            self._on_delta(Delta(text="".join(out)))

    @property
    def _wanted(self) -> bool:
        """Whether the value here is the text of a section."""
        return self._path == ["", "sections"] and self._key in self._names

    def _between(self, text: str, at: int, out: list[str]) -> int:
        if match := _BETWEEN.match(text, at):
            return match.end()
        match text[at]:
            case '"':
                self._string = []
                if self._wanted:
                    out.append(f"{chr(10) * 2 if self._shown else ''}{titled(self._key or '')}\n")
                    self._shown += 1
            case "{" | "[":
                self._path.append(self._key or "")
                self._key = None
            case "}" | "]":
                self._path = self._path[:-1]
                self._key = None
            case ",":
                self._key = None
        return at + 1

    def _within(self, text: str, at: int, out: list[str]) -> int:
        if match := _PLAIN.match(text, at):
            self._put(match.group(), out)
            return match.end()
        if text[at] == '"':
            if self._key is None:
                self._key = "".join(self._string or ())
            self._string = None
            return at + 1
        size = 6 if text[at + 1 : at + 2] == "u" else 2
        if at + size > len(text):
            self._held = text[at:]
            return len(text)
        self._put(self._escaped(text[at + 1 : at + size]), out)
        return at + size

    def _escaped(self, escape: str) -> str:
        if not escape.startswith("u"):
            return _ESCAPES.get(escape, "")
        try:
            unit = int(escape[1:], 16)
        except ValueError:
            return ""
        if 0xD800 <= unit < 0xDC00:
            self._high = chr(unit)
            return ""
        pair, self._high = self._high + chr(unit), ""
        return pair.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _put(self, text: str, out: list[str]) -> None:
        if self._wanted:
            out.append(text)
        elif self._key is None and self._string is not None and len(self._string) < 64:
            self._string.append(text)
