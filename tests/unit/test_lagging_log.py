"""A replica that lags behind says that a record is not there yet: that is no reason to give its reaction up."""

import asyncio
from datetime import timedelta

import msgspec
from msgspec.structs import replace

from adapters.memory import MemoryLog
from contracts.domains import Domain
from contracts.envelope import Stored
from contracts.ids import new_id
from contracts.kernel import Resume
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from tests.kernel_world import LIMITS, Add, Added, Note, Sum, World, decide, evolve


class LaggingLog(MemoryLog):
    """Its first answer of `at` is an old one."""

    lags = True

    async def at(self, domain: Domain, sequence: int) -> Stored | None:
        if self.lags:
            self.lags = False
            return None
        return await super().at(domain, sequence)


async def react(recorded: Recorded[Added], effects: Effects) -> None:
    assert recorded.actor.kind == "counter"
    await effects.sleep(timedelta(seconds=0.1))
    await effects.tell(Note(text="awake"))


def test_a_parked_reaction_is_taken_up_though_a_replica_lags() -> None:
    async def body() -> None:
        world = World(Actor("counter", Sum(), decide, evolve, react), limits=replace(LIMITS, park_after_s=0.01))
        log = LaggingLog(world.broker)
        world.outside = replace(world.outside, log=log)
        async with world:
            await world.send(Add(amount=1))
            found = await world.events(at_least=2)
            assert msgspec.json.decode(found[-1].record.body)["text"] == "awake"
            assert not log.lags

    asyncio.run(asyncio.wait_for(body(), 20))


def test_what_nobody_recorded_is_a_dead_letter_all_the_same() -> None:
    async def body() -> None:
        async with World(Actor("counter", Sum(), decide, evolve, react)) as world:
            await world.send(Resume(reaction=new_id(), sequence=4_711))
            assert "does not stand at 4711" in (await world.letters())[0].reason

    asyncio.run(asyncio.wait_for(body(), 20))
