"""Workers of a domain on a real broker, each with its own connection: they join, leave and lose it under load."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from msgspec.structs import replace

from adapters.jetstream import Broker
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_queue import JetStreamQueue
from adapters.jetstream_rpc import NatsRpc
from adapters.jetstream_streams import ensure_consumers, ensure_streams
from adapters.jetstream_timers import JetStreamTimers
from contracts.domains import Domain
from contracts.ids import new_id
from runtime.limits import Limits
from runtime.worker import Worker
from tests.domain_workers import join_and_leave, one_is_lost, share_within_a_fifth
from tests.kernel_world import World, counter
from tests.servers import NatsServer, connected

LIMITS = Limits(drain_s_max=0.5)


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


def test_two_then_three_workers_join_and_leave_under_load(own_server: NatsServer) -> None:
    async def scenario(world: World, workers: list[Worker], _brokers: list[Broker]) -> None:
        await join_and_leave(world, workers)

    with_workers(own_server, scenario)


def test_a_worker_whose_connection_is_gone_is_replaced(own_server: NatsServer) -> None:
    async def scenario(world: World, workers: list[Worker], brokers: list[Broker]) -> None:
        async def lose(_worker: Worker) -> None:
            await brokers[0].stop()

        await one_is_lost(world, workers[:2], lose)

    with_workers(own_server, scenario)


def test_the_load_is_spread_within_a_fifth(own_server: NatsServer) -> None:
    async def scenario(world: World, workers: list[Worker], _brokers: list[Broker]) -> None:
        await share_within_a_fifth(world, workers)

    with_workers(own_server, scenario)
