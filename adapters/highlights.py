"""What of a text matched a query: the sentence of its nearest passage that covers most of the query's words, and these words."""

import re
from collections.abc import Iterator, Mapping, Set
from functools import lru_cache
from itertools import compress
from operator import not_
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from adapters import passages, vector_payload, words
from adapters.ranking import Placed
from contracts.retrieval import Hit
from contracts.span import Span
from runtime.vector_ports import Vector

WORDS_MAX = 16
"""Highlighted words of a hit."""

PART_CHARS_MAX = 64
PARTS_REMEMBERED_MAX = 1 << 16
_WORD = re.compile(rf"\w{{1,{PART_CHARS_MAX}}}")


def hit(placed: Placed, values: dict[str, Any], vectors: ArrayLike, sought: Vector, words: Mapping[int, float]) -> Hit:
    """What a reader gets of a point: `vectors` are those of its passages, needed where it has several."""
    candidate, entry = placed.candidate, vector_payload.entry(values)
    spans = vector_payload.passages(values)
    nearest = spans[int(np.argmax(np.asarray(vectors) @ np.asarray(sought)))] if spans else None
    return Hit(
        entry=entry,
        partition=candidate.partition,
        score=candidate.cosine,
        relevance=candidate.relevance,
        place=placed.place,
        passage=nearest,
        highlights=highlights(entry.text, nearest or Span(0, len(entry.text)), words),
    )


def highlights(text: str, passage: Span, sought: Mapping[int, float]) -> tuple[Span, ...]:
    """The best sentence, then the words in it; nothing where no word matches. `sought`: a query's words by their weight."""
    found = sorted(_occurrences(text, passage, _matching(text[passage.start : passage.end], frozenset(sought))))
    best: tuple[Span, ...] = ()
    most = 0.0
    for sentence in passages.sentences(text, passage, [start for start, _, _ in found]):
        inside = [one for one in found if sentence.start <= one[0] and one[1] <= sentence.end]
        weight = sum(sought[stem] for stem in {stem for _, _, stems in inside for stem in stems})
        if weight > most:
            most = weight
            best = sentence, *(Span(start, end) for start, end, _ in inside[:WORDS_MAX])
    return best


def _matching(passage: str, sought: Set[int]) -> dict[str, tuple[int, ...]]:
    """The words of a passage that are sought, with the stems they are sought by."""
    parts = set(passage.split())
    if max(map(len, parts), default=0) > PART_CHARS_MAX:
        parts = set(_WORD.findall(passage))
    strange = map(sought.isdisjoint, map(_stems, parts))  # Most are: no line of Python is spent on them.
    written = {word for part in compress(parts, map(not_, strange)) for word in _WORD.findall(part)}
    return {word: stems for word in written if (stems := tuple(sought & set(_stems(word))))}


def _occurrences(
    text: str, within: Span, matching: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Where these words begin and end, as whole words, with their stems."""
    for word, stems in matching.items():
        start = text.find(word, within.start, within.end)
        while start >= 0:
            end = start + len(word)
            if not (_in_word(text, start - 1, within) or _in_word(text, end, within)):
                yield start, end, stems
            start = text.find(word, end, within.end)


def _in_word(text: str, place: int, within: Span) -> bool:
    return within.start <= place < within.end and (text[place].isalnum() or text[place] == "_")


@lru_cache(PARTS_REMEMBERED_MAX)
def _stems(part: str) -> tuple[int, ...]:
    return tuple(words.of_query(part))
