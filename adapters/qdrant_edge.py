"""The embedded vector engine: Qdrant's own segment code in this process, one shard a partition under a data folder.

Search is exact, without an HNSW graph. Measured through this adapter on two cores shared with other work, 384 numbers, limit
10, medians: 11 ms over 40,000 entries of a partition (1.5 ms where the clearance leaves a fifth of them), 105 ms over 200,000.
So the 50 ms of mission C1 hold to some 80,000 readable entries a partition; who has more uses a server.

The engine keeps Python's lock while it works: during a search over 200,000 entries the event loop stood still for as long as
the search took, and `optimize()` building a graph over 15,000 entries stopped every thread for 4 s. Hence the threads here keep
calls apart but do not make the loop free, the engine belongs in a process of its own role, and `optimize()` is called at
start only, with graphs off, to drop what was deleted. A change costs a flush: 10 ms in a small partition, 119 ms at 200,000.
"""

import asyncio
import ctypes
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import qdrant_edge as engine

from adapters import vector_payload
from contracts.domains import Partition
from contracts.retrieval import Entry, Hit, Kept, Query
from runtime.errors import InvalidError, UnavailableError
from runtime.vector_ports import Vector

THREADS = 2
INDEXING_THRESHOLD_KB = 1 << 30  # Never reached: no graph is built, search stays exact.

MADV_DONTNEED = 4
_libc = ctypes.CDLL(None)

T = TypeVar("T")
_Waiting = tuple[Sequence[engine.UpdateOperation], "asyncio.Future[None]"]


class EdgeVectors:
    """A VectorStore in `folder`, for vectors of `dimensions` numbers; one process at a time may have it open.

    When `upsert` or `remove` returns, the change is flushed to disk. Calls before `start` or after `close` raise
    UnavailableError, as does a folder that another process holds.
    """

    def __init__(self, folder: Path, dimensions: int) -> None:
        self._folder = folder
        self._dimensions = dimensions
        self._shards: dict[Partition, engine.EdgeShard] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._locks: defaultdict[Partition, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: defaultdict[Partition, list[_Waiting]] = defaultdict(list)

    async def start(self) -> None:
        """Open every partition, creating the missing ones. Raises InvalidError when they hold vectors of another size."""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="qdrant-edge")
        try:
            for partition in vector_payload.PARTITIONS:
                self._shards[partition] = await self._run(partial(self._open, partition))
        except (InvalidError, UnavailableError):
            await self.close()
            raise

    async def upsert(self, partition: Partition, entries: Sequence[Entry], vectors: Sequence[Vector]) -> None:
        vector_payload.check(entries, vectors, self._dimensions)
        points = [
            engine.Point(vector_payload.point_id(entry.id), list(vector), vector_payload.payload(entry))
            for entry, vector in zip(entries, vectors, strict=True)
        ]
        parts = vector_payload.chunks(points, vector_payload.UPSERT_ENTRIES_MAX)
        await self._change(partition, [engine.UpdateOperation.upsert_points(list(part)) for part in parts])

    async def remove(self, partition: Partition, ids: Sequence[str]) -> None:
        points: list[engine.PointId] = [vector_payload.point_id(text) for text in ids]
        await self._change(partition, [engine.UpdateOperation.delete_points(points)] if points else [])

    async def search(self, query: Query, vector: Vector) -> list[Hit]:
        vector_payload.check_size(vector, self._dimensions)
        if not vector_payload.limit(query):
            return []
        request = engine.QueryRequest(
            limit=vector_payload.limit(query),
            query=engine.Query.Nearest(list(vector)),
            filter=_filter(vector_payload.conditions(query)),
            with_payload=True,
            params=engine.SearchParams(exact=True),
        )
        shards = [(partition, self._shard(partition)) for partition in vector_payload.partitions(query)]

        def search() -> list[Hit]:
            return [
                Hit(entry=vector_payload.entry(point.payload or {}), partition=partition, score=point.score)
                for partition, shard in shards
                for point in shard.query(request)
            ]

        return vector_payload.best(await self._run(search), query)

    async def count(self, partition: Partition) -> int:
        shard = self._shard(partition)
        return int(await self._run(lambda: shard.count(engine.CountRequest(exact=True))))

    async def listed(self, partition: Partition, *, after: str | None, limit: int) -> list[Kept]:
        shard, page = self._shard(partition), vector_payload.page(after, limit)
        request = engine.ScrollRequest(offset=page.start, limit=page.points, with_payload=True)
        return await self._run(
            lambda: page.kept((str(record.id), record.payload or {}) for record in shard.scroll(request)[0])
        )

    async def versions(self, partition: Partition, ids: Sequence[str]) -> Mapping[str, int]:
        shard, asked = self._shard(partition), vector_payload.asked(ids)
        points: list[engine.PointId] = list(asked)
        found = await self._run(lambda: shard.retrieve(points, [vector_payload.VERSION], with_vector=False))
        return vector_payload.versions(asked, ((str(record.id), record.payload or {}) for record in found))

    async def close(self) -> None:
        """Finish what runs, flush and release the folder. Idempotent."""
        threads, self._threads = self._threads, None
        shards, self._shards = list(self._shards.values()), {}
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)
            for shard in shards:
                await asyncio.to_thread(shard.close)

    async def _change(self, partition: Partition, operations: Sequence[engine.UpdateOperation]) -> None:
        """Apply and flush. Whoever finds the partition free does so for all who wait: a flush costs the same for many."""
        shard = self._shard(partition)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[partition].append((operations, done))
        async with self._locks[partition]:
            if done.done():
                return done.result()
            batch, self._waiting[partition] = self._waiting[partition], []

            def change() -> None:
                for changes, _ in batch:
                    for operation in changes:
                        shard.update(operation)
                shard.flush()

            problem: BaseException | None = None
            try:
                await self._run(change)
            except BaseException as error:
                problem = error
                raise
            finally:
                for _, waiter in batch:
                    if problem is None:
                        waiter.set_result(None)
                    elif waiter is not done and not waiter.done():
                        waiter.set_exception(UnavailableError("qdrant-edge", str(problem) or "interrupted"))

    def _shard(self, partition: Partition) -> engine.EdgeShard:
        if self._threads is None:
            raise UnavailableError("qdrant-edge", "the store is not open")
        return self._shards[partition]

    async def _run(self, work: Callable[[], T]) -> T:
        if self._threads is None:
            raise UnavailableError("qdrant-edge", "the store is not open")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except InvalidError:
            raise
        except Exception as error:  # The engine raises bare Exception for everything.
            raise UnavailableError("qdrant-edge", str(error)) from error

    def _open(self, partition: Partition) -> engine.EdgeShard:
        """Load the partition's shard; a new one is made beside its place and renamed, so a crash leaves none half made."""
        place = self._folder / partition
        if not place.exists():
            draft = self._folder / f".{partition}.draft"
            if draft.exists():
                shutil.rmtree(draft)
            shard = engine.EdgeShard.create(str(draft), self._config())
            for field, kind in _INDEXES.items():
                shard.update(engine.UpdateOperation.create_field_index(field, kind))
            shard.flush()
            shard.close()
            draft.rename(place)
        try:
            shard = engine.EdgeShard.load(str(place), self._config())
        except Exception as error:
            if "Incompatible config for vector" not in str(error):
                raise
            raise InvalidError(
                f"{place} holds vectors of another size: use another folder or index anew ({error})"
            ) from error
        shard.optimize()
        _unload(place)
        return shard

    def _config(self) -> engine.EdgeConfig:
        return engine.EdgeConfig(
            vectors=engine.EdgeVectorParams(size=self._dimensions, distance=engine.Distance.Cosine),
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


_INDEXES = {
    vector_payload.RANK: engine.PayloadSchemaType.Integer,
    vector_payload.EXPIRES: engine.PayloadSchemaType.Float,
    **dict.fromkeys(vector_payload.KEYWORDS, engine.PayloadSchemaType.Keyword),
}


def _filter(wanted: vector_payload.Conditions) -> engine.Filter:
    rank = engine.FieldCondition(vector_payload.RANK, range=engine.RangeFloat(lte=wanted.rank_max))
    expired = engine.FieldCondition(vector_payload.EXPIRES, range=engine.RangeFloat(lte=wanted.now_epoch_s))
    matches = [engine.FieldCondition(field, match=engine.MatchValue(value)) for field, value in wanted.matches]
    priority = engine.FieldCondition(vector_payload.PRIORITY, range=engine.RangeFloat(gte=wanted.priority_min))
    return engine.Filter(must=[rank, priority, *matches], must_not=[expired])
