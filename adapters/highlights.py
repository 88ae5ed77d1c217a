"""What of a text matched a query: the sentence of its best passage that covers most of the query's words, and these words."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from adapters import passages, ranking, vector_payload, words
from adapters.ranking import Placed
from contracts.retrieval import Hit
from contracts.span import Span
from runtime.vector_ports import Vector

WORDS_MAX = 16
"""Highlighted words of a hit."""

PARTS_CHARS_MAX = 1 << 19
"""Of the parts of texts that are remembered: some 80,000."""

STEMS_MAX = 1 << 12
_WORD = re.compile(r"\w{1,64}")


def hit(placed: Placed, values: dict[str, Any], vectors: ArrayLike, sought: Vector, words: Mapping[int, float]) -> Hit:
    """What a reader gets of a point: `vectors` are those of its passages, needed where it has several."""
    candidate, entry = placed.candidate, vector_payload.entry(values)
    spans = vector_payload.passages(values)
    cosines = (np.asarray(vectors) @ np.asarray(sought)).tolist() if spans else []
    nearest = best_passage(entry.text, spans, cosines, words) if spans else None
    return Hit(
        entry=entry,
        partition=candidate.partition,
        score=candidate.cosine,
        relevance=candidate.relevance,
        place=placed.place,
        passage=nearest,
        highlights=highlights(entry.text, nearest or Span(0, len(entry.text)), words),
    )


def best_passage(text: str, spans: Sequence[Span], cosines: Sequence[float], sought: Mapping[int, float]) -> Span:
    """The one that answers a query best by meaning and words, as entries are ranked. Those behind the ones that have a cosine are
    found by their words only."""
    whole = Span(0, len(text))
    found = sorted(_occurrences(text, whole, _matching(text, frozenset(sought))))
    starts = [start for start, _, _ in found]

    def relevance(place: int) -> float:
        span = spans[place]
        inside = found[bisect_left(starts, span.start) : bisect_left(starts, span.end)]
        weight = sum(sought[stem] for stem in {stem for _, _, stems in inside for stem in stems})
        return ranking.relevance(cosines[place] if place < len(cosines) else 0.0, weight)

    return spans[max(range(len(spans)), key=relevance)]


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
    written = {word for part in _seen.having(sought, set(passage.split())) for word in _WORD.findall(part)}
    return {word: stems for word in written if (stems := tuple(sought & _stems(word)))}


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


class _Seen:
    """What has stood between white space in texts, by the stems in it. So of a text most parts are looked up once."""

    def __init__(self) -> None:
        self._parts: tuple[set[str], dict[int, set[str]]] = set(), {}
        self._chars = 0

    def having(self, stems: Iterable[int], parts: set[str]) -> set[str]:
        """Those of the parts with one of the stems."""
        known, by_stem = self._parts
        for part in parts - known:
            for stem in words.of_query(part):
                by_stem.setdefault(stem, set()).add(part)
            known.add(part)
            self._chars += len(part)
        if self._chars > PARTS_CHARS_MAX:
            self._parts, self._chars = (set(), {}), 0
        return set().union(*(parts & by_stem[stem] for stem in stems if stem in by_stem))


_seen = _Seen()


@lru_cache(STEMS_MAX)
def _stems(word: str) -> frozenset[int]:
    return frozenset(words.of_query(word))
