"""Quotes: sentences of a text, and where it says them word for word."""

import re
from collections.abc import Iterator

from msgspec import Struct

from contracts.span import Span
from runtime.text import plain, sentences

_BLANKS = str.maketrans("\n\t\r\f\v", "     ")
# Between two words or signs of a sentence: white space, Markdown's marks, the target of a link.
_GAP = r"(?:[\s*_`>]|\]\([^)\s]{0,1000}\)|!?\[){0,40}"
_TOKEN = re.compile(r"\w+|[^\w\s]")


class Quote(Struct, frozen=True):
    """A sentence and its place: `plain(span.of(text))` is the sentence."""

    text: str
    span: Span


def quotes(text: str) -> Iterator[Quote]:
    """The sentences of a text that it says word for word, but for white space and Markdown's marks, in order."""
    flat, at = text.translate(_BLANKS), 0
    for sentence in sentences(text):
        found = _found(sentence, text, flat, at)
        if found is not None:
            yield Quote(sentence, found)
            at = found.end


def find(sentence: str, text: str) -> Span | None:
    """Where a text says a sentence; None: it does not, word for word."""
    return _found(plain(sentence), text, text.translate(_BLANKS), 0) if sentence.strip() else None


def _found(sentence: str, text: str, flat: str, after: int) -> Span | None:
    start = flat.find(sentence, after)
    if start >= 0:
        return Span(start, start + len(sentence))
    pattern = _GAP.join(map(re.escape, _TOKEN.findall(sentence)))
    match = re.compile(pattern).search(text, after)
    if match is None or plain(match.group()) != sentence:
        return None
    return Span(*match.span())
