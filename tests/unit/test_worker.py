"""Workers of one domain come and go under load: nothing is lost, doubled or overtaken, and the partitions are spread."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.memory import MemoryRpc
from adapters.memory_feed import MemoryFeed
from contracts.domains import Domain
from runtime.ports import Delivery
from runtime.worker import Worker
from tests.domain_workers import join_and_leave, one_is_lost, share_within_a_fifth
from tests.kernel_world import LIMITS, World, counter

QUICK = replace(LIMITS, heartbeat_s=0.02, member_s_max=0.15, hello_s=0.01, drain_s_max=0.2, ack_wait_s=30)


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 30))


def workers_of(world: World, number: int) -> list[Worker]:
    """They have not been started."""
    return [Worker(Domain.CEO, [counter], world.outside, MemoryRpc(world.broker), f"w{one}") for one in range(number)]


def test_workers_join_and_leave_under_load() -> None:
    async def body() -> None:
        world = World(counter, limits=QUICK)
        workers = workers_of(world, 3)
        await join_and_leave(world, workers)
        await workers[2].stop()

    run(body)


def test_a_worker_whose_hold_of_a_partition_broke_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the partition would stand still, and nobody would know."""

    async def take(_feed: MemoryFeed) -> Delivery:
        raise ValueError("no such delivery")

    async def body() -> None:
        world = World(counter, limits=QUICK)
        [worker] = workers_of(world, 1)
        await worker.start()
        with monkeypatch.context() as broken:
            broken.setattr(MemoryFeed, "take", take)
            with pytest.raises(ValueError, match="no such delivery"):
                await worker.wait()
        await worker.stop()

    run(body)


def test_a_dead_workers_partitions_are_served_by_another() -> None:
    async def body() -> None:
        world = World(counter, limits=QUICK)
        workers = workers_of(world, 2)
        await one_is_lost(world, workers, kill)
        await workers[1].stop()

    run(body)


async def kill(worker: Worker) -> None:
    """End its tasks where they stand, without a word to anybody."""
    membership = worker._membership
    membership._rpc = MemoryRpc(World(counter).broker)
    for task in (worker._task, membership._task, *worker._held.values()):
        assert task is not None
        task.cancel()
    for consumer in (worker.inbox, worker.reactions):
        for state in consumer._partitions.values():
            for task in (state.hold, *state.drains):
                assert task is not None
                task.cancel()


def test_the_load_is_spread_within_a_fifth() -> None:
    async def body() -> None:
        world = World(counter, limits=QUICK)
        workers = workers_of(world, 3)
        await share_within_a_fifth(world, workers)
        await asyncio.gather(*(worker.stop() for worker in workers))

    run(body)
