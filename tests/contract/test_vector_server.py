"""The server adapter, where there is a server, and where there is none."""

import asyncio
import socket

import pytest

from adapters.qdrant_server import ServerVectors
from runtime.errors import UnavailableError
from tests.contract.vector_stores import DIMENSIONS, QDRANT_URL, entry, exercise, items, query, server, vector


@pytest.mark.skipif(
    not QDRANT_URL, reason="QDRANT_URL is not set: the server adapter's HTTP transport is not exercised"
)
def test_the_server_is_asked_over_http() -> None:
    exercise(server, lambda store: store.upsert("ceo_knowledge", items([entry(1)], [vector(1)])))


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: connections are refused.
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        async def run() -> None:
            store = ServerVectors.connect(url, DIMENSIONS)
            with pytest.raises(UnavailableError):
                await store.start()
            with pytest.raises(UnavailableError):
                await store.search(query(), vector(1))
            await store.close()

        asyncio.run(run())
