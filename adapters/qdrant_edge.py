"""The embedded vector engine: Qdrant's own segment code in this process, one shard a partition under a data folder.

The engine keeps Python's lock while it works, so the threads here keep calls apart but do not make the loop free, and the engine
belongs in a process of its own role. A change costs a flush: 10 ms in a small partition, 119 ms at 200,000 entries.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from adapters import edge_graph, edge_search, edge_shard, vector_payload
from adapters.edge_shard import Change, EdgeShard
from contracts.domains import Partition
from contracts.retrieval import Hit, Kept, Query
from runtime.errors import InvalidError, UnavailableError
from runtime.vector_ports import Item, Vector

T = TypeVar("T")
logger = logging.getLogger(__name__)


class EdgeVectors:
    """A VectorStore in `folder`, for vectors of `dimensions` numbers; one process at a time may have it open.

    When `upsert` or `remove` returns, the change is flushed to disk; one that has begun is done to its end, whoever stops waiting
    for it. Calls before `start` or after `close` raise UnavailableError, as does a folder that another process holds.

    What changes a partition is done by a thread of its own, so one after the other, in the order it was asked for.
    """

    def __init__(self, folder: Path, dimensions: int) -> None:
        self._folder = folder
        self._dimensions = dimensions
        self._shards: dict[Partition, EdgeShard] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._writers: dict[Partition, ThreadPoolExecutor] = {}
        self._building: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open every partition, creating the missing ones. Raises InvalidError when they hold vectors of another size."""
        self._threads = ThreadPoolExecutor(edge_shard.THREADS, thread_name_prefix="qdrant-edge")
        try:
            for partition in vector_payload.PARTITIONS:
                self._writers[partition] = ThreadPoolExecutor(1, thread_name_prefix=f"qdrant-edge {partition}")
                opened = partial(EdgeShard, partition, self._folder / partition, self._dimensions)
                self._shards[partition] = await self._run(opened)
        except (InvalidError, UnavailableError):
            await self.close()
            raise
        self._consider()

    async def upsert(self, partition: Partition, items: Sequence[Item]) -> None:
        vector_payload.check(partition, items, self._dimensions)
        for item in items:
            vector_payload.point_id(item.entry.id)
        await self._change(partition, Change(put=items))

    async def remove(self, partition: Partition, ids: Sequence[str]) -> None:
        await self._change(partition, Change(gone=[vector_payload.point_id(text) for text in ids]))

    async def search(self, query: Query, vector: Vector) -> list[Hit]:
        vector_payload.check_size(vector, self._dimensions)
        limit = vector_payload.limit(query)
        shards = {partition: self._shard(partition) for partition in vector_payload.partitions(query)}
        return await self._run(partial(edge_search.search, shards, query, list(vector))) if limit else []

    async def count(self, partition: Partition) -> int:
        shard = self._shard(partition)
        return await self._run(shard.count)

    async def listed(self, partition: Partition, *, after: str | None, limit: int) -> list[Kept]:
        shard, page = self._shard(partition), vector_payload.page(after, limit)
        return page.kept(await self._run(partial(shard.scrolled, page.start, page.points)))

    async def versions(self, partition: Partition, ids: Sequence[str]) -> Mapping[str, int]:
        shard, asked = self._shard(partition), vector_payload.asked(ids)
        return vector_payload.versions(asked, await self._run(partial(shard.versions, list(asked))))

    async def close(self) -> None:
        """Finish what runs but for a graph, flush and release the folder. Idempotent."""
        building, self._building = self._building, None
        if building is not None:
            building.cancel()
            await asyncio.wait([building])
        reading, self._threads = self._threads, None
        writing, self._writers = self._writers, {}
        shards, self._shards = self._shards, {}
        for threads in (*writing.values(), *([reading] if reading else [])):
            await asyncio.to_thread(threads.shutdown)
        for shard in shards.values():
            await asyncio.to_thread(shard.close)

    async def _change(self, partition: Partition, change: Change) -> None:
        shard = self._shard(partition)
        await self._write(partition, partial(shard.change, change))
        self._consider()

    async def graphed(self) -> None:
        """Wait until every partition that wants a graph has one, or was refused it."""
        if self._building is not None:
            await asyncio.wait([self._building])

    def _consider(self) -> None:
        """Have graphs built where they are wanted; one partition at a time."""
        if self._building is None or self._building.done():
            wanting = [partition for partition, shard in self._shards.items() if shard.wants_graph()]
            if wanting:
                self._building = asyncio.create_task(self._build(wanting), name="graphs of vectors")

    async def _build(self, wanting: list[Partition]) -> None:
        """Meanwhile they are searched and changed as before."""
        while wanting:
            partition, shard = wanting[0], self._shard(wanting[0])
            try:
                copy = await self._write(partition, shard.copied)
                await edge_graph.build(copy, self._dimensions)
                while not await self._write(partition, shard.catch_up):
                    pass
                await self._write(partition, shard.swap)
            except (UnavailableError, OSError):
                logger.warning("partition %s is searched without a graph, which is slower", partition, exc_info=True)
                await self._write(partition, shard.abandon)
            wanting = [partition for partition, one in self._shards.items() if one.wants_graph()]

    def _shard(self, partition: Partition) -> EdgeShard:
        if self._threads is None:
            raise UnavailableError("qdrant-edge", "the store is not open")
        return self._shards[partition]

    async def _write(self, partition: Partition, work: Callable[[], T]) -> T:
        """What changes a shard; nothing else does meanwhile."""
        return await self._run(work, self._writers.get(partition))

    async def _run(self, work: Callable[[], T], threads: ThreadPoolExecutor | None = None) -> T:
        if self._threads is None:
            raise UnavailableError("qdrant-edge", "the store is not open")
        try:
            return await asyncio.get_running_loop().run_in_executor(threads or self._threads, work)
        except InvalidError:
            raise
        except Exception as error:  # The engine raises bare Exception for everything.
            raise UnavailableError("qdrant-edge", str(error)) from error
