"""Snapshots: one suite for every adapter."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from adapters.jetstream import connect
from adapters.jetstream_snapshots import JetStreamSnapshots
from adapters.jetstream_streams import ensure_streams
from adapters.memory import MemorySnapshots
from contracts.domains import Domain
from runtime.errors import InvalidError, UnavailableError
from runtime.ports import Snapshots
from tests.contract.records import actor
from tests.servers import NatsServer

MIB = 1 << 20
Run = Callable[[Callable[[Snapshots], Awaitable[None]]], None]


@asynccontextmanager
async def on_server(server: NatsServer) -> AsyncIterator[Snapshots]:
    broker = await connect(server.url, user=server.user, password=server.password)
    try:
        await ensure_streams(broker)
        yield JetStreamSnapshots(broker)
    finally:
        await broker.stop()


@pytest.fixture(params=["memory", "jetstream"])
def run(request: pytest.FixtureRequest) -> Run:
    def go(scenario: Callable[[Snapshots], Awaitable[None]]) -> None:
        async def body() -> None:
            async with asyncio.timeout(30):
                if request.param == "memory":
                    return await scenario(MemorySnapshots())
                async with on_server(request.getfixturevalue("nats_server")) as snapshots:
                    return await scenario(snapshots)

        asyncio.run(body())

    return go


def test_the_last_snapshot_of_each_actor_is_kept(run: Run) -> None:
    async def scenario(snapshots: Snapshots) -> None:
        one, other, third = actor(), actor(), actor(domain=Domain.CEO)
        assert await snapshots.load(one) is None
        for number in range(3):
            await snapshots.save(one, b"%d" % number)
        await snapshots.save(other, bytes(2 * MIB))
        await snapshots.save(third, b"")
        assert [await snapshots.load(each) for each in (one, other, third)] == [b"2", bytes(2 * MIB), b""]

    run(scenario)


def test_what_is_too_large_is_refused(nats_server: NatsServer) -> None:
    async def body() -> None:
        async with on_server(nats_server) as snapshots:
            with pytest.raises(InvalidError):
                await snapshots.save(actor(), bytes(9 * MIB))

    asyncio.run(body())


def test_a_dead_server_is_unavailable(own_server: NatsServer) -> None:
    async def body() -> None:
        async with on_server(own_server) as snapshots:
            one = actor()
            await snapshots.save(one, b"kept")
            own_server.kill()
            with pytest.raises(UnavailableError):
                await snapshots.load(one)
            with pytest.raises(UnavailableError):
                await snapshots.save(one, b"late")

    asyncio.run(body())
