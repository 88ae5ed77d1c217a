"""Workers of one domain that share its partitions under load, on any broker."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from contracts import subjects
from contracts.domains import Domain
from contracts.subjects import ActorRef
from runtime.worker import Worker
from tests.kernel_world import Note, World

ACTORS = [ActorRef(Domain.CEO, "counter", f"c{number}") for number in range(48)]
ALL = frozenset(range(subjects.PARTITIONS))
MANY = 3_000


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
            await asyncio.sleep(0.001)  # The pace of the load: nothing is waited for.

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


def is_spread(workers: Sequence[Worker]) -> bool:
    loads = [len(one.partitions) for one in workers]
    return (
        frozenset[int]().union(*(one.partitions for one in workers)) == ALL
        and sum(loads) == len(ALL)
        and max(loads) <= min(loads) + 1
    )


async def spread(workers: Sequence[Worker]) -> None:
    """Return when the partitions are held by these workers, each as many as the others or one more."""
    while not is_spread(workers):  # noqa: ASYNC110 - a worker has nobody to tell what it holds
        await asyncio.sleep(0.005)


async def join_and_leave(world: World, workers: Sequence[Worker]) -> None:
    """Of three workers that have not been started all join one by one, then all but the last leave: nothing is lost, doubled
    or overtaken.
    """
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


async def one_is_lost(world: World, workers: Sequence[Worker], lose: Callable[[Worker], Awaitable[None]]) -> None:
    """Of two workers that have not been started the second goes on where the first was."""
    for worker in workers:
        await worker.start()
    await spread(workers)
    load = Load(world)
    await load.goes_on()
    await lose(workers[0])
    await load.goes_on()
    await load.all_in_order()
    assert workers[1].partitions == ALL


async def share_within_a_fifth(world: World, workers: Sequence[Worker]) -> None:
    """Workers that have not been started share the messages of many actors, give or take a fifth."""
    for worker in workers:
        await worker.start()
    await spread(workers)
    actors = [ActorRef(Domain.CEO, "counter", f"a{number}") for number in range(MANY)]
    await asyncio.gather(*(world.send(Note(text="x"), actor) for actor in actors))
    for actor in actors:
        await world.events(actor, at_least=1)
    handled = Counter({number: len(worker.host.live) for number, worker in enumerate(workers)})
    mean = MANY / len(workers)
    assert handled.total() == MANY
    assert all(abs(number - mean) <= 0.2 * mean for number in handled.values()), handled
