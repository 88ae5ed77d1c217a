"""Quotes: sentences of a text, and where it says them word for word."""

import re
from collections.abc import Iterator

from msgspec import Struct

from contracts.span import Span
from runtime.text import SENTENCE_CHARS_MAX, plain, sentences

_BLANKS = str.maketrans("\n\t\r\f\v", "     ")
# Between two words or signs of a sentence: white space, Markdown's marks, the target of a link.
_GAP = r"(?:[\s*_`>]|\]\([^)\s]{0,1000}\)|!?\[){0,40}"
_TOKEN = re.compile(r"\w+|[^\w\s]")
MISSES_MAX = 20


class Quote(Struct, frozen=True):
    """A sentence and its place: `plain(span.of(text))` is the sentence."""

    text: str
    span: Span


def quotes(text: str) -> Iterator[Quote]:
    """The sentences of a text that it says word for word, but for white space and Markdown's marks, in order.

    What is in vain is much work: after `MISSES_MAX` sentences that are not in the text but for their marks, the others are only
    looked for as they are. One that was cut off is not in it.
    """
    flat, at, misses = text.translate(_BLANKS), 0, 0
    for sentence in sentences(text):
        cut = len(sentence) > SENTENCE_CHARS_MAX // 2 and sentence.endswith("…")
        start = flat.find(sentence, at)
        found = Span(start, start + len(sentence)) if start >= 0 else None
        if found is None and not cut and misses < MISSES_MAX:
            found = _marked(sentence, text, at)
            misses += found is None
        if found is not None:
            yield Quote(sentence, found)
            at = found.end


def find(sentence: str, text: str) -> Span | None:
    """Where a text says a sentence; None: it does not, word for word."""
    if not sentence.strip():
        return None
    said = plain(sentence)
    start = text.translate(_BLANKS).find(said)
    return Span(start, start + len(said)) if start >= 0 else _marked(said, text, 0)


def _marked(sentence: str, text: str, after: int) -> Span | None:
    """Where a text says it with white space and marks between its words."""
    pattern = _GAP.join(map(re.escape, _TOKEN.findall(sentence)))
    match = re.compile(pattern).search(text, after)
    if match is None or plain(match.group()) != sentence:
        return None
    return Span(*match.span())
