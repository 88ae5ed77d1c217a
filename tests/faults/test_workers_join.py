"""Workers of a domain on a real broker, each with its own connection: they join, leave and lose it under load."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from adapters.jetstream import Broker, connect
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_queue import JetStreamQueue
from adapters.jetstream_rpc import NatsRpc
from adapters.jetstream_streams import ensure_consumers, ensure_streams
from adapters.jetstream_timers import JetStreamTimers
from contracts.domains import Domain
from contracts.ids import new_id
from contracts.subjects import ActorRef
from runtime.limits import Limits
from runtime.worker import Worker
from tests.kernel_world import Note, World, counter
from tests.servers import NatsServer
from tests.unit.test_worker import ALL, Load, spread

LIMITS = Limits(drain_s_max=0.5)
ACTORS = 3_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def connected(server: NatsServer) -> AsyncIterator[Broker]:
    broker = await connect(server.url, user=server.user, password=server.password)
    try:
        yield broker
    finally:
        await broker.stop()


def world_of(broker: Broker) -> World:
    world = World(counter, limits=LIMITS)
    world.log, world.queue = JetStreamLog(broker), JetStreamQueue(broker)  # type: ignore[assignment]  # the same ports
    world.outside = replace(world.outside, log=world.log, queue=world.queue, timers=JetStreamTimers(broker))
    return world


def with_workers(server: NatsServer, scenario: Callable[[World, list[Worker], list[Broker]], Awaitable[None]]) -> None:
    """Runs the scenario with three workers that have not been started, and their connections."""

    async def main() -> None:
        async with asyncio.timeout(90), AsyncExitStack() as stack:
            mine, *theirs = [await stack.enter_async_context(connected(server)) for _ in range(4)]
            await ensure_streams(mine)
            await ensure_consumers(mine, Domain.CEO, LIMITS)
            workers = [
                Worker(Domain.CEO, [counter], world_of(broker).outside, NatsRpc(broker), new_id()) for broker in theirs
            ]
            await scenario(world_of(mine), workers, theirs)
            await asyncio.gather(*(worker.stop() for worker in workers))

    asyncio.run(main())


def test_two_then_three_workers_join_and_leave_under_load(server: NatsServer) -> None:
    async def scenario(world: World, workers: list[Worker], _brokers: list[Broker]) -> None:
        await workers[0].start()
        load = Load(world)
        await load.goes_on()
        for number in (1, 2):
            await workers[number].start()
            await spread(workers[: number + 1])
            await load.goes_on()
        for number in (1, 0):
            await workers[number].stop()
            await spread([one for one in workers if one.partitions])
            await load.goes_on()
        assert workers[2].partitions == ALL
        await load.all_in_order()

    with_workers(server, scenario)


def test_a_worker_whose_connection_is_gone_is_replaced(server: NatsServer) -> None:
    async def scenario(world: World, workers: list[Worker], brokers: list[Broker]) -> None:
        for worker in workers[:2]:
            await worker.start()
        await spread(workers[:2])
        load = Load(world)
        await load.goes_on()
        await brokers[0].stop()
        await load.goes_on()
        await load.all_in_order()
        assert workers[1].partitions == ALL

    with_workers(server, scenario)


def test_the_load_is_spread_within_a_fifth(server: NatsServer) -> None:
    async def scenario(world: World, workers: list[Worker], _brokers: list[Broker]) -> None:
        for worker in workers:
            await worker.start()
        await spread(workers)
        actors = [ActorRef(Domain.CEO, "counter", f"a{number}") for number in range(ACTORS)]
        await asyncio.gather(*(world.send(_note(), actor) for actor in actors))
        for actor in actors:
            await world.events(actor, at_least=1)
        handled = Counter({number: len(worker.host.live) for number, worker in enumerate(workers)})
        mean = ACTORS / len(workers)
        assert handled.total() == ACTORS
        assert all(abs(number - mean) <= 0.2 * mean for number in handled.values()), handled

    with_workers(server, scenario)


def _note() -> Note:
    return Note(text="x")
