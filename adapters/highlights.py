"""What of a text matched a query: the sentence of its nearest passage that covers most of the query's words, and these words."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from adapters import passages, vector_payload, words
from adapters.ranking import Placed
from contracts.retrieval import Hit, Span
from runtime.vector_ports import Vector

WORDS_MAX = 16
"""Highlighted words of a hit."""

WORDS_REMEMBERED_MAX = 1 << 16
_WORD = re.compile(r"\w{1,64}")


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
    best: tuple[float, Span, list[Span]] | None = None
    for sentence in passages.sentences(text, passage):
        matched, covered = [], set()
        for span, word in _words(text, sentence):
            if word in sought:
                matched.append(span)
                covered.add(word)
        weight = sum(sought[word] for word in covered)
        if matched and (best is None or weight > best[0]):
            best = weight, sentence, matched
    return () if best is None else (best[1], *best[2][:WORDS_MAX])


def _words(text: str, within: Span) -> Iterator[tuple[Span, int]]:
    for match in _WORD.finditer(text, within.start, within.end):
        for word in _stem(match.group()):
            yield Span(match.start(), match.end()), word


@lru_cache(WORDS_REMEMBERED_MAX)
def _stem(word: str) -> tuple[int, ...]:
    return tuple(words.of_query(word))
