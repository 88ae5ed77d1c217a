"""The order of what was found by meaning and by words: one formula for every store.

    relevance = cosine of the nearest passage + 0.5 · how well the words match (adapters/words.py)

Both are absolute: neither depends on what else was found, so hits of several partitions compare, and a query that is a name or an
error code is decided by its words, while a question in many common words is decided by its meaning. (Convex combinations of
normalised scores before reciprocal ranks: Bruch, Gai and Ingber, ACM TOIS 42(1), 2023. docs/adr/0025 has the figures.)
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import TypeVar

from msgspec import UNSET, Struct

from contracts.domains import Partition
from contracts.retrieval import Query, Ranking

K = TypeVar("K")

WORDS_SHARE = 0.5
ADDED_MAX = 0.2
"""The most that priority and recency may each add."""

ROUNDED = 1e-9
"""More than sums of the same numbers in another order differ."""

CANDIDATES_MIN = 100
CANDIDATES_A_HIT = 5
"""By meaning, and as many by words, an engine gives at least 100 candidates a partition, and 5 a hit that is wanted."""

_DAY_S = 86_400.0
UNRANKED = Ranking(priority=0, recency=0)


class Candidate(Struct):
    """A point that may become a hit: how near it is, how well its words match, and what else its place depends on."""

    partition: Partition
    point: str
    cosine: float
    words: float
    priority: int
    updated_epoch_s: float | None

    @property
    def relevance(self) -> float:
        return relevance(self.cosine, self.words)


class Placed(Struct, frozen=True):
    candidate: Candidate
    place: float


def candidates(limit: int) -> int:
    return max(CANDIDATES_MIN, CANDIDATES_A_HIT * limit)


def relevance(cosine: float, words: float) -> float:
    return cosine + WORDS_SHARE * words


def relevances(cosines: Mapping[K, float], words: Mapping[K, float]) -> dict[K, float]:
    """Of each that has a cosine."""
    return {key: cosine + WORDS_SHARE * words.get(key, 0.0) for key, cosine in cosines.items()}


def relevance_min(query: Query, limit: int, relevances: Iterable[float]) -> float:
    """What is less relevant than this is not among the first `limit` of these, however important and new it is."""
    first = sorted(relevances, reverse=True)[:limit]
    return first[-1] - sum(_shares(query)) - ROUNDED if first else 0.0


def relevance_left(query: Query, limit: int, placed: Sequence[Placed]) -> float:
    """What is less relevant than this comes behind all of these, which are the best `limit` of what was looked at."""
    return placed[-1].place - sum(_shares(query)) - ROUNDED if len(placed) == limit else -inf


def best(found: Iterable[Candidate], query: Query, limit: int) -> list[Placed]:
    """The first `limit`, best first; of equals the one with the lesser id, so that the order is always the same."""
    ranking, (priority, recency) = _ranking(query), _shares(query)
    half_life_s = max(ranking.half_life_days, 1e-3) * _DAY_S
    now = query.now.timestamp()

    def place(candidate: Candidate) -> float:
        added = priority * (candidate.priority - 1) / 9
        if candidate.updated_epoch_s is not None:
            added += recency * 2 ** (-max(0.0, now - candidate.updated_epoch_s) / half_life_s)
        return candidate.relevance + added

    placed = [Placed(candidate, place(candidate)) for candidate in found]
    return sorted(placed, key=lambda one: (-one.place, one.candidate.point))[:limit]


def _ranking(query: Query) -> Ranking:
    return Ranking() if query.ranking is UNSET else query.ranking


def _shares(query: Query) -> tuple[float, float]:
    """The most that priority and recency add."""
    ranking = _ranking(query)
    return min(max(ranking.priority, 0.0), ADDED_MAX), min(max(ranking.recency, 0.0), ADDED_MAX)
