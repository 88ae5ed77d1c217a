"""The readable text of an answer that is being written as JSON: `{"sections": {name: text, …}, …}`.

What is shown early is the beginning of what the answer will hold, section after section under its title: what may yet be taken
away (white space at an end, a mark that names no evidence, the end of a text that is too long) is held back. It is a courtesy:
whether the JSON is any good is decided when all of it is there, so what is not understood is shown no further and is no error.
"""

import re

from adapters.citing import without_unknown
from contracts.chat import Delta
from contracts.model import SECTION_CHARS_MAX, Prompt
from runtime.model_ports import OnDelta
from runtime.text import titled

SURE_CHARS_MAX = SECTION_CHARS_MAX - 200
"""Of a section: a longer text than SECTION_CHARS_MAX is cut at a word before that."""

_UNSURE = re.compile(r"\s*\[?\d*$")  # what may become a mark
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_PLAIN = re.compile(r'[^"\\]+')
_BETWEEN = re.compile(r'[^"{}\[\],:]+')


class SectionStream:
    """An OnDelta for the JSON; tells another one the sections' text."""

    def __init__(self, prompt: Prompt, on_delta: OnDelta) -> None:
        self._names = [section.name for section in prompt.sections]
        self._evidence = prompt.evidence
        self._on_delta = on_delta
        self._path: list[str] = []  # of the objects and arrays around this place, by the keys that lead there
        self._key: str | None = None  # of the value that comes next
        self._string: list[str] | None = None  # of the string at this place
        self._held = ""  # the beginning of an escape
        self._high = ""  # the first half of a surrogate pair
        self._begun = 0  # sections
        self._text = ""  # of the section at this place, as it is written
        self._shown = ""  # of it

    def __call__(self, delta: Delta) -> None:
        text, at, out = self._held + delta.text, 0, list[str]()
        self._held = ""
        while at < len(text):
            at = self._between(text, at, out) if self._string is None else self._within(text, at, out)
        if shown := "".join(out):
            self._on_delta(Delta(text=shown))

    @property
    def _wanted(self) -> bool:
        """Whether the value here is the text of a section."""
        return self._path == ["", "sections"] and self._names[self._begun - 1 : self._begun] == [self._key]

    @property
    def _next(self) -> bool:
        """Whether the value here is the text of the section that comes next: in any other order nothing more is shown."""
        return self._path == ["", "sections"] and self._names[self._begun : self._begun + 1] == [self._key]

    def _between(self, text: str, at: int, out: list[str]) -> int:
        if match := _BETWEEN.match(text, at):
            return match.end()
        match text[at]:
            case '"':
                self._string = []
                if self._next:
                    out.append(f"{chr(10) * 2 if self._begun else ''}{titled(self._key or '')}\n")
                    self._begun, self._text, self._shown = self._begun + 1, "", ""
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
            if self._wanted:
                self._show(without_unknown(self._text, self._evidence).strip(), out)
            elif self._key is None:
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
            self._text += text
            self._show(without_unknown(_UNSURE.sub("", self._text), self._evidence).strip(), out)
        elif self._key is None and self._string is not None and len(self._string) < 64:
            self._string.append(text)

    def _show(self, text: str, out: list[str]) -> None:
        """What is new of the section's text, as far as that is sure not to be cut; behind a cut nothing is sure."""
        sure = text[:SURE_CHARS_MAX]
        if sure != text:
            self._names = self._names[: self._begun]
        out.append(sure[len(self._shown) :])
        self._shown = sure
