"""What of a text matched a query: the sentence of its nearest passage that covers most of the query's words, and these words."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
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
    written, missing = set(_WORD.findall(text, passage.start, passage.end)), sought.keys().isdisjoint
    matching = {word: sought.keys() & _stem(word) for word in written if not missing(_stem(word))}
    best: tuple[float, Span] | None = None
    for sentence in passages.sentences(text, passage) if matching else ():
        covered = {stem for one in _words(text, sentence, matching) for stem in matching[one.group()]}
        weight = sum(sought[stem] for stem in covered)
        if covered and (best is None or weight > best[0]):
            best = weight, sentence
    if best is None:
        return ()
    found = islice(_words(text, best[1], matching), WORDS_MAX)
    return (best[1], *(Span(one.start(), one.end()) for one in found))


def _words(text: str, within: Span, wanted: Mapping[str, object]) -> Iterator[re.Match[str]]:
    """Those of a sentence that are wanted; most have none."""
    if any(text.find(word, within.start, within.end) >= 0 for word in wanted):
        yield from (one for one in _WORD.finditer(text, within.start, within.end) if one.group() in wanted)


@lru_cache(WORDS_REMEMBERED_MAX)
def _stem(word: str) -> tuple[int, ...]:
    return tuple(words.of_query(word))
