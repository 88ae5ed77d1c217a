"""The readable text of an answer that is being written as JSON: `{"sections": {name: text, …}, …}`.

What is shown early is the beginning of what the answer will hold, section after section under its title: what may yet be taken
away (white space at an end, a mark that names no evidence, the end of a text that is too long) is held back. It is a courtesy:
whether the JSON is any good is decided when all of it is there, so what is not understood is shown no further and is no error.
"""

import re
from collections.abc import Sequence

from adapters.citing import without_unknown
from contracts.chat import Delta
from contracts.model import SECTION_CHARS_MAX, Evidence, Prompt
from runtime.model_ports import OnDelta
from runtime.text import titled

_OPEN_MARK = re.compile(r"\[\d{0,6}\Z")
_LOOSE = "".join(filter(str.isspace, map(chr, range(0x3001)))) + ",;:"  # what may be taken from an end
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_PLAIN = re.compile(r'[^"\\]+')
_BETWEEN = re.compile(r'[^"{}\[\],:]+')


def sure_chars(text: str, whole_from: int, chars_max: int) -> int:
    """How many characters of the text stay whatever follows: `clip` cuts a longer one at the last space behind `whole_from`."""
    space = text.rfind(" ", whole_from, chars_max)
    return len(text[: space if space >= 0 else chars_max].rstrip(_LOOSE))


class _SectionText:
    """The text of one section as far as it is sure. What was shown or settled is not looked at again, so this costs the same
    for each piece however long the section is; `cut` says that it is too long, and nothing more of it is sure."""

    def __init__(self, evidence: Sequence[Evidence]) -> None:
        self._evidence = evidence
        self._open: list[str] = []  # the end, which may become a mark, or white space before one
        self._held: list[str] = []  # marks are dealt with; may yet be cut
        self._chars = 0  # shown and held
        self._shown = 0
        self._by_word = False  # a space stands where a cut would be, so it would be at a space
        self.cut = False

    def more(self, piece: str) -> str:
        """What is sure now and was not before."""
        self._open.append(piece)
        if piece.isspace():
            return ""
        text = "".join(self._open)
        mark = _OPEN_MARK.search(text)
        end = len(text[: mark.start() if mark else len(text)].rstrip())
        self._open = [text[end:]]
        piece = self._settle(text[:end])
        if not self.cut and (not piece.strip(_LOOSE) or (self._by_word and " " not in piece)):
            return ""
        return self._sure()

    def rest(self) -> str:
        """At its end: all that was not shown."""
        self._settle("".join(self._open))
        return self._sure() if self.cut else "".join(self._held).rstrip()

    def _settle(self, text: str) -> str:
        text = without_unknown(text, self._evidence)
        if not self._chars:
            text = text.lstrip()
        self._held.append(text)
        self._chars += len(text)
        self.cut = self._chars > SECTION_CHARS_MAX
        return text

    def _sure(self) -> str:
        held = "".join(self._held)
        whole_from = max(0, SECTION_CHARS_MAX // 2 - self._shown)
        self._by_word = " " in held[whole_from:]
        end = sure_chars(held, whole_from, SECTION_CHARS_MAX - 1 - self._shown)
        self._held = [held[end:]]
        self._shown += end
        return held[:end]


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
        self._silent: bool | None = None  # it does not begin as JSON; None: it has not begun
        self._text = _SectionText(prompt.evidence)  # of the section at this place

    @property
    def shown(self) -> bool:
        """Whether anything was."""
        return bool(self._begun)

    def __call__(self, delta: Delta) -> None:
        if self._silent is None and (text := delta.text.lstrip()):
            self._silent = not text.startswith(("{", "`"))  # What it thinks before it answers may look like an answer.
        if self._text.cut or self._silent:
            return  # Behind a cut nothing is sure.
        text, at, out = self._held + delta.text, 0, list[str]()
        self._held = ""
        while at < len(text) and not self._text.cut:
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
                    self._begun, self._text = self._begun + 1, _SectionText(self._evidence)
            case "{" | "[":
                self._path.append(self._key or "")
                self._key = None
            case "}" | "]":
                del self._path[-1:]
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
                out.append(self._text.rest())
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
            out.append(self._text.more(text))
        elif self._key is None and self._string is not None and len(self._string) < 64:
            self._string.append(text)
