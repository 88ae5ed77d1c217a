"""The vector stores that one contract is held against: memory, the embedded Qdrant engine, and the server adapter.

With QDRANT_URL the server adapter runs against that server, in collections of its own. There is no server binary among the
packages: without, it runs over qdrant-client's local mode, which exercises its requests, filters and payloads and not its HTTP
transport; the tests' names and a skip with its reason say so.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient

from adapters import edge_files
from adapters.memory_vectors import MemoryVectors
from adapters.qdrant_edge import EdgeVectors
from adapters.qdrant_server import ServerVectors
from adapters.vector_payload import PARTITIONS
from contracts.domains import Clearance, Partition
from contracts.retrieval import Entry, Query
from runtime.vector_ports import Item, Vector, VectorStore

QDRANT_URL = os.environ.get("QDRANT_URL", "")
DIMENSIONS = 8
NOW = datetime(2026, 11, 21, 12, 0, 0, 500_000, tzinfo=UTC)

Opener = Callable[[], AbstractAsyncContextManager[VectorStore]]


@asynccontextmanager
async def memory() -> AsyncIterator[VectorStore]:
    yield MemoryVectors(DIMENSIONS)


@asynccontextmanager
async def edge() -> AsyncIterator[VectorStore]:
    """In memory: what it answers is asked here; that it keeps it on a disk is asked in test_edge_vectors.py."""
    with edge_files.scratch() as folder:
        store = EdgeVectors(folder, DIMENSIONS)
        await store.start()
        try:
            yield store
        finally:
            await store.close()


@asynccontextmanager
async def server() -> AsyncIterator[VectorStore]:
    client = AsyncQdrantClient(url=QDRANT_URL) if QDRANT_URL else AsyncQdrantClient(":memory:")
    prefix = f"test_{uuid4().hex}_"
    store = ServerVectors(client, DIMENSIONS, prefix)
    try:
        await store.start()
        yield store
    finally:
        for partition in PARTITIONS:
            await client.delete_collection(prefix + partition)
        await store.close()


OPENERS = {"memory": memory, "edge": edge, "server" if QDRANT_URL else "server adapter without HTTP": server}

# The local mode of the client says that it ignores payload indexes; a server does not.
quietly = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")
on_every_store = [pytest.mark.parametrize("opener", list(OPENERS.values()), ids=list(OPENERS)), quietly]
"""For modules all of whose tests take an `opener`."""


def exercise(opener: Opener, test: Callable[[VectorStore], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opener() as store:
            await test(store)

    asyncio.run(run())


def entry(number: int, label: Clearance = Clearance.PUBLIC, **fields: object) -> Entry:
    values = {"title": f"title {number}", "text": f"text {number}", **fields}
    return Entry(id=str(UUID(int=number)), label=label, **values)  # type: ignore[arg-type]


def vector(seed: int) -> list[float]:
    numbers = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return [float(number) for number in numbers / np.linalg.norm(numbers)]


def items(entries: Sequence[Entry], vectors: Sequence[Vector]) -> list[Item]:
    return [Item(item, [one]) for item, one in zip(entries, vectors, strict=True)]


def query(*partitions: Partition, **fields: object) -> Query:
    values = {"text": "", "clearance": Clearance.TOP_SECRET, "now": NOW, **fields}
    return Query(partitions=partitions or ("ceo_knowledge",), **values)  # type: ignore[arg-type]
