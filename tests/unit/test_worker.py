"""Workers of one domain come and go under load: nothing is lost, doubled or overtaken, and the partitions are spread."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from adapters.memory import MemoryRpc
from adapters.memory_feed import MemoryFeed
from contracts import subjects
from contracts.domains import Domain
from contracts.subjects import ActorRef
from runtime.ports import Delivery
from runtime.worker import Worker
from tests.kernel_world import LIMITS, Note, World, counter

QUICK = replace(LIMITS, heartbeat_s=0.02, member_s_max=0.15, hello_s=0.01, drain_s_max=0.2, ack_wait_s=30)
ACTORS = [ActorRef(Domain.CEO, "counter", f"c{number}") for number in range(48)]
ALL = frozenset(range(subjects.PARTITIONS))


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 30))


class Load:
    """Sends numbered notes to every actor until stopped; then waits for them in the logs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent = 0
        self._task = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while True:
            for actor in ACTORS:
                await self.world.send(Note(text=str(self.sent)), actor)
            self.sent += 1
            await asyncio.sleep(0.001)

    async def goes_on(self) -> None:
        """Return when every actor has recorded what is sent from now on."""
        after = self.sent + 2
        for actor in ACTORS:
            await self.world.events(actor, at_least=after)

    async def all_in_order(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for number, actor in enumerate(ACTORS):
            found = await self.world.events(actor, at_least=self.sent)
            texts = [int(msgspec.json.decode(one.record.body)["text"]) for one in found]
            assert texts == list(range(len(texts))), actor
            assert len(texts) in (self.sent, self.sent + 1), number


def is_spread(workers: list[Worker]) -> bool:
    loads = [len(one.partitions) for one in workers]
    return (
        frozenset[int]().union(*(one.partitions for one in workers)) == ALL
        and sum(loads) == len(ALL)
        and max(loads) <= min(loads) + 1
    )


async def spread(workers: list[Worker]) -> None:
    """Return when the partitions are held by these workers, each as many as the others or one more."""
    while not is_spread(workers):  # noqa: ASYNC110 - a worker has nobody to tell what it holds
        await asyncio.sleep(0.005)


def test_workers_join_and_leave_under_load() -> None:
    async def body() -> None:
        world = World(counter, limits=QUICK)
        workers = [Worker(Domain.CEO, [counter], world.outside, MemoryRpc(world.broker), f"w{n}") for n in range(3)]
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
        await workers[2].stop()

    run(body)


def test_a_worker_whose_hold_of_a_partition_broke_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the partition would stand still, and nobody would know."""

    async def take(_feed: MemoryFeed) -> Delivery:
        raise ValueError("no such delivery")

    async def body() -> None:
        world = World(counter, limits=QUICK)
        worker = Worker(Domain.CEO, [counter], world.outside, MemoryRpc(world.broker), "w0")
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
        workers = [Worker(Domain.CEO, [counter], world.outside, MemoryRpc(world.broker), f"w{n}") for n in range(2)]
        for worker in workers:
            await worker.start()
        await spread(workers)
        load = Load(world)
        await load.goes_on()
        kill(workers[0])
        await load.goes_on()
        await load.all_in_order()
        assert workers[1].partitions == ALL
        await workers[1].stop()

    run(body)


def kill(worker: Worker) -> None:
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
    handled: Counter[str] = Counter()

    async def body() -> None:
        world = World(counter, limits=QUICK)
        workers = [Worker(Domain.CEO, [counter], world.outside, MemoryRpc(world.broker), f"w{n}") for n in range(3)]
        for worker in workers:
            await worker.start()
        await spread(workers)
        actors = [ActorRef(Domain.CEO, "counter", f"a{number}") for number in range(3_000)]
        for actor in actors:
            await world.send(Note(text="x"), actor)
        for actor in actors:
            await world.events(actor, at_least=1)
        for worker in workers:
            handled[worker._membership.worker] = len(worker.host.live)
            await worker.stop()

    run(body)
    mean = handled.total() / 3
    assert all(abs(number - mean) <= 0.2 * mean for number in handled.values()), handled
