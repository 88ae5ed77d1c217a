"""A search over partitions of the embedded engine: every call blocks.

The engine holds Python's lock while it works, so what counts is processor time, and at 100,000 entries about half of it was not
the comparison of vectors: the payloads of points that are no hits, and keys that are costly to hash (docs/adr/0025).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import ExitStack
from functools import partial
from math import inf
from typing import Any
from uuid import UUID

import qdrant_edge as engine
from msgspec import Struct

from adapters import highlights, ranking, vector_payload, words
from adapters.edge_shard import PASSAGES, WORDS, EdgeShard
from adapters.ranking import Placed
from contracts.domains import Partition
from contracts.retrieval import Hit, Query
from runtime.vector_ports import Vector

GRAPH_EF = 100
"""Candidates of a search in the graph: docs/adr/0025."""

OVERSAMPLING = 1.0

READ_MIN = 20
"""So many points are read at once, or two a hit that is wanted: what is read next depends on these."""

_PARAMS = engine.SearchParams(
    hnsw_ef=GRAPH_EF, quantization=engine.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING)
)
_EXACT = engine.SearchParams(exact=True)


class Sought(Struct, frozen=True):
    """A query as every partition that it names is asked."""

    vector: list[float]
    words: words.Sparse
    filter: engine.Filter
    limit: int
    relevance_min: Callable[[Iterable[float]], float]
    """Of the relevances of some points: what is below this cannot be a hit (`ranking.relevance_min`)."""


class Scored(Struct, frozen=True):
    """A point of which nothing is read yet."""

    partition: Partition
    point: UUID
    cosine: float
    words: float
    relevance: float


def search(shards: Mapping[Partition, EdgeShard], query: Query, vector: list[float]) -> list[Hit]:
    """All partitions in one go, under one state of each."""
    limit, wanted = vector_payload.limit(query), vector_payload.conditions(query)
    with ExitStack() as held:
        for partition in sorted(shards):
            held.enter_context(shards[partition].lock)
        weights = words.weighted(query.text, wanted.rank_max, [shard.counts for shard in shards.values()])
        least = partial(ranking.relevance_min, query, limit)
        sought = Sought(vector, weights, _allowed(wanted), ranking.candidates(limit), least)
        found = [one for shard in shards.values() for one in _scored(shard, sought)]
        read = _best(shards, found, query, limit)
        long = [placed for placed, values in read if vector_payload.passages(values)]
        vectors = _vectors(shards, long) if long else {}
    pairs = weights.pairs()
    return [highlights.hit(placed, values, vectors.get(_place(placed), ()), vector, pairs) for placed, values in read]


def _scored(shard: EdgeShard, sought: Sought) -> list[Scored]:
    """The nearest by meaning and by words, each with both, but for those that cannot be hits."""
    by_meaning = engine.Query.Nearest(sought.vector, using=PASSAGES)
    parts = range(shard.counts.parts if sought.words.words else 0)
    by_words = [_by_words(sought.words.of_part(part)) for part in parts]
    ids: dict[int, UUID] = {}  # by the number of each, which is found in a dictionary ten times as fast
    near = _scores([shard.search(_nearest(by_meaning, sought))], ids)
    answers = [shard.search(_nearest(query, sought)) for query in by_words]
    matching = _scores(answers, ids)
    near |= _exactly(shard, [by_meaning], matching.keys() - near.keys(), ids)

    relevances = ranking.relevances(near, matching)
    least = sought.relevance_min(relevances.values())
    # Others match the words in a part, too, but there no better than the last of these.
    most = max((points[-1].score for points in answers if len(points) == sought.limit), default=0.0)
    enough = least - ranking.relevance(0.0, most)
    hopeful = {key for key, cosine in near.items() if cosine >= enough and matching.get(key, 0.0) < most}
    found = _exactly(shard, by_words, hopeful, ids)
    matching |= found
    relevances |= ranking.relevances({key: near[key] for key in found}, found)
    return [
        Scored(shard.partition, ids[key], near[key], matching.get(key, 0.0), relevance)
        for key, relevance in relevances.items()
        if relevance >= least
    ]


def _nearest(query: engine.Query, sought: Sought) -> engine.SearchRequest:
    return engine.SearchRequest(query, sought.limit, filter=sought.filter, params=_PARAMS)


def _by_words(sought: words.Sparse) -> engine.Query:
    return engine.Query.Nearest(engine.SparseVector(sought.words, sought.weights), using=WORDS)


def _exactly(
    shard: EdgeShard, queries: Iterable[engine.Query], keys: Set[int], ids: dict[int, UUID]
) -> dict[int, float]:
    """The scores of points that are known to pass the filter."""
    if not keys:
        return {}
    only = engine.Filter(must=[engine.HasIdCondition({ids[key] for key in keys})])
    requests = [engine.SearchRequest(query, len(keys), filter=only, params=_EXACT) for query in queries]
    return _scores(map(shard.search, requests), ids)


def _scores(answers: Iterable[Iterable[engine.ScoredPoint]], ids: dict[int, UUID]) -> dict[int, float]:
    """The highest of each point."""
    scores: dict[int, float] = {}
    id_: Any  # a UUID, as all of them are stored
    for points in answers:
        for point in points:
            id_, score = point.id, point.score
            if score > scores.get(id_.int, -inf):
                scores[id_.int], ids[id_.int] = score, id_
    return scores


def _best(
    shards: Mapping[Partition, EdgeShard], found: list[Scored], query: Query, limit: int
) -> list[tuple[Placed, dict[str, Any]]]:
    """The hits and what is stored of them. The most relevant are read first, until what is left can be none."""
    found.sort(key=lambda one: one.relevance, reverse=True)
    placed: list[Placed] = []
    payloads: dict[tuple[Partition, str], dict[str, Any]] = {}
    read = 0
    while True:
        least = ranking.relevance_left(query, limit, placed)
        some = [one for one in found[read : read + max(READ_MIN, 2 * limit)] if one.relevance >= least]
        if not some:
            return [(one, payloads[_place(one)]) for one in placed]
        read += len(some)
        candidates = [one.candidate for one in placed]
        for partition, shard in shards.items():
            mine = {str(one.point): one for one in some if one.partition == partition}
            for point, values in shard.payloads(list(mine)).items() if mine else ():
                one = mine[point]
                payloads[partition, point] = values
                candidates.append(vector_payload.candidate(partition, point, values, one.cosine, one.words))
        placed = ranking.best(candidates, query, limit)


def _vectors(
    shards: Mapping[Partition, EdgeShard], wanted: Iterable[Placed]
) -> dict[tuple[Partition, str], list[Vector]]:
    """Of each passage of these."""
    points: defaultdict[Partition, list[str]] = defaultdict(list)
    for partition, point in map(_place, wanted):
        points[partition].append(point)
    return {
        (partition, point): vectors
        for partition, mine in points.items()
        for point, vectors in shards[partition].vectors(mine).items()
    }


def _place(placed: Placed) -> tuple[Partition, str]:
    return placed.candidate.partition, placed.candidate.point


def _allowed(wanted: vector_payload.Conditions) -> engine.Filter:
    """Each condition is looked at for every point that is come by, so there is none that all fulfil."""
    rank = engine.FieldCondition(vector_payload.RANK, range=engine.RangeFloat(lte=wanted.rank_max))
    expired = engine.FieldCondition(vector_payload.EXPIRES, range=engine.RangeFloat(lte=wanted.now_epoch_s))
    matches = [engine.FieldCondition(field, match=engine.MatchValue(value)) for field, value in wanted.matches]
    ranges: list[tuple[str, engine.RangeFloat]] = []
    if wanted.priority_min > vector_payload.PRIORITY_MIN:
        ranges.append((vector_payload.PRIORITY, engine.RangeFloat(gte=wanted.priority_min)))
    if wanted.dated:
        ranges.append((vector_payload.UPDATED, engine.RangeFloat(gte=wanted.updated_from_s, lte=wanted.updated_to_s)))
    within = [engine.FieldCondition(field, range=between) for field, between in ranges]
    return engine.Filter(must=[rank, *matches, *within], must_not=[expired])
