"""Generations of the vector index while one is swapped in: who reads is answered by what served when he began, whole."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from adapters.memory_vectors import MemoryVectors
from adapters.vector_payload import PARTITIONS
from adapters.vector_shelf import MemoryShelf
from contracts.domains import Partition
from contracts.retrieval import Hit, Kept, Query
from contracts.vectors import Generation
from runtime.errors import UnavailableError
from runtime.generations import MANIFEST, Generations
from runtime.vector_ports import Shelved, Vector
from tests.indexing import Counting, Logs, built, generations, running, titles


class Closed(MemoryVectors):
    """A store that answers nobody once it is closed."""

    closed = False

    async def close(self) -> None:
        self.closed = True

    async def search(self, query: Query, vector: Vector) -> list[Hit]:
        self._demand_open()
        return await super().search(query, vector)

    async def count(self, partition: Partition) -> int:
        self._demand_open()
        await asyncio.sleep(0)
        self._demand_open()
        return await super().count(partition)

    async def listed(self, partition: Partition, *, after: str | None, limit: int) -> list[Kept]:
        self._demand_open()
        return await super().listed(partition, after=after, limit=limit)

    def _demand_open(self) -> None:
        if self.closed:
            raise UnavailableError("store", "it is closed")


class Swapping(MemoryShelf):
    """Begins something when the manifest of the next swap has been written, just before the swap itself."""

    def __init__(self) -> None:
        super().__init__(Counting("one"))
        self.begin: Callable[[], Awaitable[object]] | None = None
        self.begun: asyncio.Future[object] | None = None

    async def open(self, generation: Generation) -> Shelved:
        self.stores.setdefault(generation.name, Closed(Counting.dimensions))
        return await super().open(generation)

    async def save(self, note: str, content: bytes) -> None:
        await super().save(note, content)
        if note == MANIFEST and self.begin is not None and b'"building"' not in content:
            self.begun, self.begin = asyncio.ensure_future(self.begin()), None
            await asyncio.sleep(0)


async def read_in_a_swap(
    read: Callable[[Generations], Awaitable[object]], swapped: Sequence[Partition], logs: Logs
) -> tuple[object, set[str]]:
    """What a reader is told who begins just before these partitions are swapped, and the generations that are closed then."""
    shelf = Swapping()
    async with running(generations(logs, shelf)) as owner:
        await built(owner, await owner.rebuild(["shared_knowledge"]))  # Two generations serve.
        shelf.begin = lambda: read(owner)
        await built(owner, await owner.rebuild(swapped))
        assert shelf.begun is not None
        told = await shelf.begun
        return told, {name for name, store in shelf.stores.items() if isinstance(store, Closed) and store.closed}


async def status(owner: Generations) -> dict[str, int]:
    counts = (await owner.status()).counts
    return {partition: count for partition, count in counts.items() if count}


@pytest.mark.parametrize("swapped", [PARTITIONS, ("shared_knowledge",)])
def test_a_search_over_two_generations_finds_all_though_both_are_replaced(swapped: Sequence[Partition]) -> None:
    async def body() -> None:
        logs = Logs()
        for number in range(9):
            await logs.add(f"item {number}", "shared_knowledge" if number % 2 else "ceo_knowledge")
        told, closed = await read_in_a_swap(titles, swapped, logs)
        assert told == {f"item {number}" for number in range(9)}
        assert closed

    asyncio.run(asyncio.wait_for(body(), 20))


def test_the_status_counts_what_served_when_it_was_asked_for() -> None:
    async def body() -> None:
        logs = Logs()
        await logs.add("one", "shared_knowledge")
        await logs.add("two", "ceo_knowledge")
        assert (await read_in_a_swap(status, PARTITIONS, logs))[0] == {"ceo_knowledge": 1, "shared_knowledge": 1}

    asyncio.run(asyncio.wait_for(body(), 20))
