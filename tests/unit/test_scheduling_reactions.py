"""Reactions that set timers: what is scheduled comes as a message, what is taken back does not, and what cannot be fails."""

import asyncio
from datetime import timedelta

import msgspec

from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError
from tests.kernel_world import COUNTER, Add, Added, Note, Noted, Sum, World, decide, evolve


async def react(recorded: Recorded[Added], effects: Effects) -> None:
    now = await effects.now()
    await effects.schedule("taken-back", Note(text="taken back"), now + timedelta(seconds=0.02))
    await effects.unschedule("taken-back")
    await effects.unschedule("never-set")
    await effects.schedule("same", Note(text="first"), now + timedelta(seconds=0.02))
    await effects.schedule("same", Note(text="second"), now + timedelta(seconds=0.05), to=recorded.actor)
    try:
        await effects.schedule("a name with spaces", Note(text="never"), now)
    except OutcomeError as error:
        await effects.tell(Note(text=f"refused: {type(error).__name__}"))
    await effects.schedule("last", Note(text="last"), now + timedelta(seconds=0.1))


def test_what_is_scheduled_comes_once_the_last_of_a_name_and_nothing_that_was_taken_back() -> None:
    async def body() -> None:
        async with World(Actor("counter", Sum(), decide, evolve, react)) as world:
            await world.send(Add(amount=1))
            stored = await world.events(COUNTER, at_least=4)
            notes = [msgspec.json.decode(one.record.body, type=Noted).text for one in stored[1:]]
            assert notes == ["refused: OutcomeError", "second", "last"]

    asyncio.run(asyncio.wait_for(body(), 20))
