"""A long text as overlapping passages that a model reads whole, cut between sentences; pure, and the same on every machine.

A model reads a bounded beginning of a text (MiniLM 256 tokens), so what stands further on is found only as a passage of its own.
Tokens are estimated, for a store does not know the model's: a word of Latin letters is one token for each 8 letters begun, a
number one for each 3 digits, any other sign one. Against MiniLM's own tokens, over 300 texts each: CISI abstracts 1.11 of them on
average (5 % of the texts below 1.04), the Rust manuals 0.97 (0.87), man pages 0.97 (0.91). Where it is too low, a passage's last
words are not read by the model; the overlap has the next passage begin with them.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from contracts.span import Span

TOKENS_MAX = 244
"""Of a passage with its title; two more mark the beginning and the end."""

OVERLAP_TOKENS_MAX = 40
TITLE_TOKENS_MAX = 60
"""Of the title, which stands before each passage: what is longer is cut in the later ones' room, not here."""

EMBEDDED_MAX = 256
"""Passages that get a vector, some 200 KB of English; what comes after is found by its words, not by meaning."""

_TOKENS = re.compile(r"[A-Za-z]{1,8}|\d{1,3}|[^\sA-Za-z\d]")
_BREAK = re.compile(r"[.!?…\n](?:(?<=\n)\s*|[\"'”’)\]]{0,4}\s+)")  # one set first: it is looked for twice as fast
_SPACE = re.compile(r"\s+")
_PIECE_CHARS_MAX = 400


def passages(title: str, text: str) -> tuple[Span, ...]:
    """Spans of the text in order, each with some of the one before; the whole text where it fits, an empty one too."""
    room = TOKENS_MAX - min(tokens(title), TITLE_TOKENS_MAX)
    pieces = [(start, end, tokens(text[start:end])) for start, end in _pieces(text)]
    if sum(size for _, _, size in pieces) <= room:
        return (Span(0, len(text)),)
    found: list[Span] = []
    first = 0
    while True:
        last, size = first, pieces[first][2]
        while last + 1 < len(pieces) and size + pieces[last + 1][2] <= room:
            last += 1
            size += pieces[last][2]
        found.append(Span(pieces[first][0], pieces[last][1]))
        if last + 1 == len(pieces):
            return tuple(found)
        first = _overlapping(pieces, first, last)


def sentences(text: str, within: Span, places: Iterable[int]) -> Iterator[Span]:
    """The sentences or lines of a part of the text in order, at least those that hold one of these places of it."""
    part = text[within.start : within.end]
    breaks = [0, *_breaks(part)]
    for number in sorted({bisect_right(breaks, place - within.start) for place in places}):
        for start, end in _cut(part, breaks[number - 1], breaks[number]):
            yield Span(within.start + start, within.start + end)


def tokens(text: str) -> int:
    return sum(1 for _ in _TOKENS.finditer(text))


def _overlapping(pieces: list[tuple[int, int, int]], first: int, last: int) -> int:
    """Where the passage after `first` to `last` begins: with its last pieces, as far as the overlap goes."""
    begin, size = last + 1, 0
    while begin - 1 > first and size + pieces[begin - 1][2] <= OVERLAP_TOKENS_MAX:
        begin -= 1
        size += pieces[begin][2]
    return begin


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Sentences and lines without the white space around them; longer ones are cut at white space, runs without any anywhere."""
    start = 0
    for end in _breaks(text):
        yield from _cut(text, start, end)
        start = end


def _breaks(text: str) -> list[int]:
    """Where a sentence or line ends, the white space after it included; the end of the text."""
    return [*(match.end() for match in _BREAK.finditer(text)), len(text)]


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    while end - start > _PIECE_CHARS_MAX:
        spaces = list(_SPACE.finditer(text, start + _PIECE_CHARS_MAX // 2, start + _PIECE_CHARS_MAX))
        stop, after = (spaces[-1].start(), spaces[-1].end()) if spaces else (start + _PIECE_CHARS_MAX,) * 2
        yield start, stop
        start = after
    if start < end:
        yield start, end
