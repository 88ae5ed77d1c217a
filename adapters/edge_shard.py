"""One partition in the embedded engine: a point an entry, with a vector a passage and one of its words. Every call blocks."""

import ctypes
import shutil
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import UUID

import qdrant_edge as engine
from msgspec import Struct

from adapters import vector_payload, words
from adapters.ranking import Candidate
from contracts.domains import Partition
from runtime.errors import InvalidError
from runtime.vector_ports import Item, Vector

PASSAGES, WORDS = "passages", "words"
THREADS = 2
SCROLL_POINTS = 2_000
INDEXING_THRESHOLD_KB = 1 << 30  # Never reached: no graph is built, search stays exact.

MADV_DONTNEED = 4
_libc = ctypes.CDLL(None)


class Change(Struct, frozen=True):
    """Points put in place of those with their ids, or ids whose points go."""

    put: Sequence[Item] = ()
    gone: Sequence[str] = ()


class Sought(Struct, frozen=True):
    """A query as every partition that it names is asked."""

    vector: list[float]
    words: words.Sparse
    filter: engine.Filter
    limit: int


class EdgeShard:
    """A partition's points in the folder `place`, and how often each word stands in them.

    `lock` is held by whoever reads and by each change, so that a search over several calls sees one state.
    """

    def __init__(self, partition: Partition, place: Path, dimensions: int) -> None:
        self.lock = Lock()
        self.partition = partition
        self.counts = words.Counts()
        self._shard = _opened(place, _config(dimensions))
        for record in self._all():
            self._count(record, 1)
        _unload(place)

    def change(self, changes: Sequence[Change]) -> None:
        for change in changes:
            for part in vector_payload.chunks(change.put, vector_payload.UPSERT_ENTRIES_MAX):
                self._put(part)
            if change.gone:
                with self.lock:
                    self._forget(change.gone)
                    self._shard.update(engine.UpdateOperation.delete_points(list(change.gone)))
        self._shard.flush()

    def candidates(self, sought: Sought) -> list[Candidate]:
        """The nearest by meaning and by words, all with both."""
        queries = {
            PASSAGES: engine.Query.Nearest(sought.vector, using=PASSAGES),
            WORDS: engine.Query.Nearest(engine.SparseVector(sought.words.words, sought.words.weights), using=WORDS),
        }
        if not sought.words.words:
            del queries[WORDS]
        requests = [_request(query, sought.filter, sought.limit) for query in queries.values()]
        answers = self._shard.query_batch(engine.QueryBatchRequest(requests))
        found = {leg: {str(point.id): point for point in points} for leg, points in zip(queries, answers, strict=True)}
        if WORDS in found:
            for leg, other in ((PASSAGES, WORDS), (WORDS, PASSAGES)):
                missing = found[other].keys() - found[leg].keys()
                if missing:
                    only = engine.Filter(must=[engine.HasIdCondition(set(missing)), sought.filter])
                    for point in self._shard.query(_request(queries[leg], only, len(missing))):
                        found[leg][str(point.id)] = point
        matching = {key: point.score for key, point in found.get(WORDS, {}).items()}
        return [
            vector_payload.candidate(self.partition, key, point.payload or {}, point.score, matching.get(key, 0.0))
            for key, point in found[PASSAGES].items()
        ]

    def payloads(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        found = self._shard.retrieve(list(ids), with_payload=True, with_vector=False)
        return {str(record.id): record.payload or {} for record in found}

    def vectors(self, ids: Sequence[str]) -> dict[str, list[Vector]]:
        """Of each passage of these points."""
        found = self._shard.retrieve(list(ids), with_payload=False, with_vector=[PASSAGES])
        return {str(record.id): _vectors(record)[PASSAGES] for record in found}

    def scrolled(self, start: str | None, points: int) -> list[tuple[str, dict[str, Any]]]:
        request = engine.ScrollRequest(offset=start, limit=points, with_payload=True)
        return [(str(record.id), record.payload or {}) for record in self._shard.scroll(request)[0]]

    def versions(self, ids: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
        found = self._shard.retrieve(list(ids), [vector_payload.VERSION], with_vector=False)
        return [(str(record.id), record.payload or {}) for record in found]

    def count(self) -> int:
        return int(self._shard.count(engine.CountRequest(exact=True)))

    def close(self) -> None:
        self._shard.close()

    def _put(self, items: Sequence[Item]) -> None:
        latest = {vector_payload.point_id(item.entry.id): item for item in items}
        points, sparse = [], {}
        for key, item in latest.items():
            sparse[key] = words.of_entry(item.entry)
            vectors: dict[str, list[float] | list[list[float]] | engine.SparseVector] = {
                PASSAGES: [list(vector) for vector in item.vectors],
                WORDS: engine.SparseVector(sparse[key].words, sparse[key].weights),
            }
            points.append(engine.Point(key, vectors, vector_payload.payload(item)))
        with self.lock:
            self._forget(list(latest))
            self._shard.update(engine.UpdateOperation.upsert_points(points))
            for key, item in latest.items():
                self.counts.add(item.entry.label.rank, sparse[key].words)

    def _forget(self, ids: Sequence[str]) -> None:
        for record in self._shard.retrieve(list(ids), [vector_payload.RANK], with_vector=[WORDS]):
            self._count(record, -1)

    def _count(self, record: engine.Record, change: int) -> None:
        self.counts.add((record.payload or {})[vector_payload.RANK], _vectors(record)[WORDS].indices, change)

    def _all(self) -> Sequence[engine.Record]:
        found: list[engine.Record] = []
        start: int | str | UUID | None = None
        while True:
            request = engine.ScrollRequest(
                offset=start, limit=SCROLL_POINTS, with_payload=[vector_payload.RANK], with_vector=[WORDS]
            )
            records, start = self._shard.scroll(request)
            found += records
            if start is None:
                return found


def _vectors(record: engine.Record) -> dict[str, Any]:
    """By their names, as far as they were asked for."""
    return record.vector if isinstance(record.vector, dict) else {}


def _request(query: engine.Query, allowed: engine.Filter, limit: int) -> engine.QueryRequest:
    return engine.QueryRequest(
        limit=limit,
        query=query,
        filter=allowed,
        with_payload=vector_payload.PLACING,
        params=engine.SearchParams(exact=True),
    )


def _opened(place: Path, config: engine.EdgeConfig) -> engine.EdgeShard:
    """Load a shard; a new one is made beside its place and renamed, so a crash leaves none half made."""
    if not place.exists():
        draft = place.with_name(f".{place.name}.draft")
        if draft.exists():
            shutil.rmtree(draft)
        shard = engine.EdgeShard.create(str(draft), config)
        for field, kind in INDEXES.items():
            shard.update(engine.UpdateOperation.create_field_index(field, kind))
        shard.flush()
        shard.close()
        draft.rename(place)
    try:
        shard = engine.EdgeShard.load(str(place), config)
    except Exception as error:
        if "ncompatible" not in str(error):
            raise
        raise InvalidError(
            f"{place} holds vectors of another size or kind: use another folder or index anew ({error})"
        ) from error
    shard.optimize()
    return shard


def _config(dimensions: int) -> engine.EdgeConfig:
    several = engine.MultiVectorConfig(engine.MultiVectorComparator.MaxSim)
    return engine.EdgeConfig(
        vectors={
            PASSAGES: engine.EdgeVectorParams(
                size=dimensions, distance=engine.Distance.Cosine, multivector_config=several
            )
        },
        sparse_vectors={WORDS: engine.EdgeSparseVectorParams()},
        optimizers=engine.EdgeOptimizersConfig(indexing_threshold=INDEXING_THRESHOLD_KB),
        max_search_threads=THREADS,
    )


def _unload(place: Path) -> None:
    """Let go of what opening a shard has read into memory: 4 MiB of each file, most of it holes, 200 MB for all partitions.

    Only of mappings shared with their files: what is needed is read again from there. Elsewhere than on Linux nothing is done.
    """
    maps = Path("/proc/self/maps")
    for line in maps.read_text().splitlines() if maps.exists() else ():
        addresses, permissions, *_ = line.split(maxsplit=2)
        if permissions.endswith("s") and f"{place}/" in line:
            start, end = (int(address, 16) for address in addresses.split("-"))
            _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED)


INDEXES = {
    vector_payload.RANK: engine.PayloadSchemaType.Integer,
    vector_payload.EXPIRES: engine.PayloadSchemaType.Float,
    **dict.fromkeys(vector_payload.KEYWORDS, engine.PayloadSchemaType.Keyword),
}


def allowed(wanted: vector_payload.Conditions) -> engine.Filter:
    rank = engine.FieldCondition(vector_payload.RANK, range=engine.RangeFloat(lte=wanted.rank_max))
    expired = engine.FieldCondition(vector_payload.EXPIRES, range=engine.RangeFloat(lte=wanted.now_epoch_s))
    matches = [engine.FieldCondition(field, match=engine.MatchValue(value)) for field, value in wanted.matches]
    priority = engine.FieldCondition(vector_payload.PRIORITY, range=engine.RangeFloat(gte=wanted.priority_min))
    return engine.Filter(must=[rank, priority, *matches], must_not=[expired])
