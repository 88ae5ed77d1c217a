"""One partition in the embedded engine: a point an entry, with a vector a passage and one of its words. Every call blocks.

Up to some thousand entries are compared with every query exactly. Beyond that the engine wants a graph (HNSW, over vectors of 8
bits a number, what it finds compared exactly again). Building one takes a minute for 100,000 entries and would stop every thread
for as long, so it is built on a copy, by another process (adapters/edge_graph.py), and put in place with what changed meanwhile.
"""

import ctypes
import shutil
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import UUID

import qdrant_edge as engine
from msgspec import Struct

from adapters import edge_files, vector_payload, words
from contracts.domains import Partition
from runtime.errors import InvalidError
from runtime.vector_ports import Item, Vector

PASSAGES, WORDS = "passages", "words"
THREADS = 2
SCROLL_POINTS = 2_000
NEVER_KB = 1 << 30
"""The size from which the engine would build a graph when it is told to optimise: here it must not."""

GRAPH_FROM = 10_000
GRAPH_SHARE = 0.25
"""A graph is built anew when so many entries are in none: 10,000, or a quarter of all if that is more."""

GRAPH_M, GRAPH_EF_BUILT = 16, 100
"""Links of a point, candidates when it is linked: docs/adr/0025."""

SCANNED_KB = 10_000
"""Where so few vectors (6,500) pass a filter, they are all compared instead."""

WHOLE = "whole"
"""The file that marks a folder as complete, and says how many of its points are in the graph (nothing: none are)."""

LOADED_BYTES_MAX = 2 << 30
"""Of a partition: about 500,000 entries."""

MADV_DONTNEED = 4
MADV_POPULATE_READ = 22
_libc = ctypes.CDLL(None)


class Change(Struct, frozen=True):
    """Points put in place of those with their ids, or ids whose points go."""

    put: Sequence[Item] = ()
    gone: Sequence[str] = ()


class EdgeShard:
    """A partition's points, in the newest whole folder in `folder`, and how often each word stands in them.

    `lock` is held by whoever reads and by each change, so that a search over several calls sees one state. The caller has
    `change`, `copied`, `catch_up`, `swap` and `abandon` done by one thread: so none passes another by.
    """

    def __init__(self, partition: Partition, folder: Path, dimensions: int) -> None:
        self.lock = Lock()
        self.partition = partition
        self.counts = words.Counts()
        self._dimensions = dimensions
        self._folder = folder
        self._number, self._shard = _opened(folder, config(dimensions), vector_payload.kinds(partition))
        self._fresh: engine.EdgeShard | None = None
        self._behind: set[str] | None = None
        self._copied = 0  # points, of which the copy's graph is built
        self._graphed = _graphed(folder / str(self._number))
        if not self._graphed:
            self._shard.optimize()
        for record in self._all():
            self._count(record, 1)
        self._loose = self.count() - self._graphed
        _unload(folder)
        if self._graphed:
            _load(folder / str(self._number))

    def change(self, change: Change) -> None:
        """Flushed when this returns."""
        for part in vector_payload.chunks(change.put, vector_payload.UPSERT_ENTRIES_MAX):
            self._put(part)
        if change.gone:
            self._update(change.gone, engine.UpdateOperation.delete_points(list(change.gone)))
        self._shard.flush()
        self._loose += len(change.put)

    def wants_graph(self) -> bool:
        return self._loose >= max(GRAPH_FROM, GRAPH_SHARE * self.counts.entries(words.RANK_MAX))

    def copied(self) -> Path:
        """A copy; from now on the ids of what changes are kept."""
        draft = self._folder / str(self._number + 1)
        shutil.rmtree(draft, ignore_errors=True)
        edge_files.copy(self._folder / str(self._number), draft, without=WHOLE)
        self._behind, self._copied = set(), self.count()
        return draft

    def abandon(self) -> None:
        """Forget the copy; the next is made when there is as much again that is in no graph."""
        if self._fresh is not None:
            self._fresh.close()
        self._fresh, self._behind, self._loose = None, None, 0
        shutil.rmtree(self._folder / str(self._number + 1), ignore_errors=True)

    def catch_up(self) -> bool:
        """Bring some of what changed meanwhile to the copy, which has a graph by now; whether only little is left."""
        if self._fresh is None:
            draft = self._folder / str(self._number + 1)
            self._fresh = engine.EdgeShard.load(str(draft), config(self._dimensions))
            _load(draft)
        behind = self._behind or set()
        ids = [behind.pop() for _ in range(min(len(behind), vector_payload.UPSERT_ENTRIES_MAX))]
        if ids:
            records = self._shard.retrieve(list(ids), with_payload=True, with_vector=True)
            points = [engine.Point(record.id, record.vector or {}, record.payload) for record in records]
            self._fresh.update(engine.UpdateOperation.delete_points(list(ids)))
            self._fresh.update(engine.UpdateOperation.upsert_points(points))
        return len(behind) <= vector_payload.UPSERT_ENTRIES_MAX

    def swap(self) -> None:
        """Put the copy in the place of what it was made of."""
        while self._behind:
            self.catch_up()
        if self._fresh is None:
            raise RuntimeError("there is no copy that has caught up")
        self._fresh.flush()
        edge_files.sync_all(self._folder / str(self._number + 1))
        _mark(self._folder / str(self._number + 1), self._copied)
        place = self._folder / str(self._number)
        with self.lock:
            old, self._shard = self._shard, self._fresh
            self._number, self._fresh, self._behind = self._number + 1, None, None
        old.close()
        shutil.rmtree(place, ignore_errors=True)
        self._graphed = self._copied
        self._loose = self.count() - self._graphed

    def search(self, request: engine.SearchRequest) -> Sequence[engine.ScoredPoint]:
        """The caller holds the lock, here and in `payloads` and `vectors`."""
        return self._shard.search(request)

    def payloads(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        found = self._shard.retrieve(list(ids), with_payload=True, with_vector=False)
        return {str(record.id): record.payload or {} for record in found}

    def vectors(self, ids: Sequence[str]) -> dict[str, list[Vector]]:
        """Of each passage of these points."""
        found = self._shard.retrieve(list(ids), with_payload=False, with_vector=[PASSAGES])
        return {str(record.id): _vectors(record)[PASSAGES] for record in found}

    def scrolled(self, start: str | None, points: int) -> list[tuple[str, dict[str, Any]]]:
        request = engine.ScrollRequest(offset=start, limit=points, with_payload=True)
        with self.lock:
            return [(str(record.id), record.payload or {}) for record in self._shard.scroll(request)[0]]

    def versions(self, ids: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
        with self.lock:
            found = self._shard.retrieve(list(ids), [vector_payload.VERSION], with_vector=False)
        return [(str(record.id), record.payload or {}) for record in found]

    def count(self) -> int:
        with self.lock:
            return int(self._shard.count(engine.CountRequest(exact=True)))

    def close(self) -> None:
        if self._fresh is not None:
            self._fresh.close()
        self._shard.close()

    def _put(self, items: Sequence[Item]) -> None:
        latest = {vector_payload.point_id(item.entry.id): item for item in items}
        sparse = {key: words.of_item(item) for key, item in latest.items()}
        points = [_point(item, sparse[key]) for key, item in latest.items()]
        self._update(
            list(latest),
            engine.UpdateOperation.upsert_points(points),
            [(item.entry.label.rank, sparse[key].words) for key, item in latest.items()],
        )

    def _update(
        self, ids: Sequence[str], operation: engine.UpdateOperation, counted: Iterable[tuple[int, Sequence[int]]] = ()
    ) -> None:
        """Change the points with these ids; of those there are afterwards, the ranks and words are `counted`."""
        if self._behind is not None:
            self._behind.update(ids)  # A copy that is being made has them as they were.
        with self.lock:
            before = self._shard.retrieve(list(ids), [vector_payload.RANK], with_vector=[WORDS])
            self._shard.update(operation)
            for record in before:
                self._count(record, -1)
            for rank, found in counted:
                self.counts.add(rank, found)

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


def _point(item: Item, sparse: words.Sparse) -> engine.Point:
    vectors: dict[str, list[float] | list[list[float]] | engine.SparseVector] = {
        PASSAGES: [list(vector) for vector in item.vectors],
        WORDS: engine.SparseVector(sparse.words, sparse.weights),
    }
    return engine.Point(vector_payload.point_id(item.entry.id), vectors, vector_payload.payload(item))


def _opened(folder: Path, wanted: engine.EdgeConfig, fields: Mapping[str, type]) -> tuple[int, engine.EdgeShard]:
    """The newest whole shard and its number; a first one where there is none. What a crash left half made goes."""
    whole = sorted(int(place.parent.name) for place in folder.glob(f"*/{WHOLE}"))
    number = whole[-1] if whole else 1
    place = folder / str(number)
    for other in folder.iterdir() if folder.exists() else ():
        if not whole or other != place:
            shutil.rmtree(other)
    if not whole:
        _create(place, wanted, fields)
    try:
        return number, engine.EdgeShard.load(str(place), wanted)
    except Exception as error:
        if "ncompatible" not in str(error):
            raise
        raise InvalidError(
            f"{place} holds vectors of another size or kind: use another folder or index anew ({error})"
        ) from error


def _create(place: Path, wanted: engine.EdgeConfig, fields: Mapping[str, type]) -> None:
    """An empty shard. It is made in memory: its engine flushes all there is, 540 times, for each index that it is told to have,
    and holds Python's lock meanwhile. Ten seconds for all partitions, on a disk.
    """
    with edge_files.scratch() as folder:
        shard = engine.EdgeShard.create(str(folder / "new"), wanted)
        for field, kind in {**INDEXES, **{path: KINDS[kind] for path, kind in fields.items()}}.items():
            shard.update(engine.UpdateOperation.create_field_index(field, kind))
        shard.flush()
        shard.close()
        edge_files.copy(folder / "new", place, without=WHOLE)
    edge_files.sync_all(place)
    _mark(place, 0)


def _mark(place: Path, graphed: int) -> None:
    """Whole, with this many points in its graph. (The engine's own count of them is also one of the sparse vectors.)"""
    (place / WHOLE).write_text(str(graphed))
    edge_files.sync(place / WHOLE)
    edge_files.sync(place)


def _graphed(place: Path) -> int:
    said = (place / WHOLE).read_text()
    return int(said) if said.isdecimal() else 0


def config(dimensions: int, graph_from_kb: int = NEVER_KB) -> engine.EdgeConfig:
    passages = engine.EdgeVectorParams(
        size=dimensions,
        distance=engine.Distance.Cosine,
        multivector_config=engine.MultiVectorConfig(engine.MultiVectorComparator.MaxSim),
        quantization_config=engine.ScalarQuantizationConfig(engine.ScalarType.Int8, memory=engine.Memory.Pinned),
    )
    return engine.EdgeConfig(
        vectors={PASSAGES: passages},
        sparse_vectors={WORDS: engine.EdgeSparseVectorParams()},
        hnsw_config=engine.HnswIndexConfig(
            m=GRAPH_M, ef_construct=GRAPH_EF_BUILT, full_scan_threshold=SCANNED_KB, max_indexing_threads=THREADS
        ),
        optimizers=engine.EdgeOptimizersConfig(indexing_threshold=graph_from_kb, default_segment_number=1),
        max_search_threads=1,
    )


def _unload(place: Path) -> None:
    """Let go of what opening a shard has read into memory: 4 MiB of each file, most of it holes, 200 MB for all partitions. What
    is needed is read again."""
    for start, length in _mapped(place):
        _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), MADV_DONTNEED)


def _load(place: Path) -> None:
    """Have in memory what searches will read, up to LOADED_BYTES_MAX: the engine has the system forget it when a graph is built,
    and then a search would wait for the disk some twenty times."""
    left = LOADED_BYTES_MAX
    for start, length in sorted(_mapped(place / "segments"), key=itemgetter(1)):
        left -= length
        if left < 0:
            return
        _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), MADV_POPULATE_READ)


def _mapped(place: Path) -> list[tuple[int, int]]:
    """Where files in a folder are mapped as they are, with how many bytes. Elsewhere than on Linux nothing is known of it."""
    maps = Path("/proc/self/maps")
    found: list[tuple[int, int]] = []
    for line in maps.read_text().splitlines() if maps.exists() else ():
        addresses, permissions, *_ = line.split(maxsplit=2)
        if permissions.endswith("s") and f"{place}/" in line:
            start, end = (int(address, 16) for address in addresses.split("-"))
            found.append((start, end - start))
    return found


KINDS = {
    str: engine.PayloadSchemaType.Keyword,
    int: engine.PayloadSchemaType.Integer,
    bool: engine.PayloadSchemaType.Bool,
}
INDEXES = {
    vector_payload.RANK: engine.PayloadSchemaType.Integer,
    vector_payload.PRIORITY: engine.PayloadSchemaType.Integer,
    vector_payload.EXPIRES: engine.PayloadSchemaType.Float,
    vector_payload.UPDATED: engine.PayloadSchemaType.Float,
    **dict.fromkeys((*vector_payload.KEYWORDS, vector_payload.TAGS), engine.PayloadSchemaType.Keyword),
}
