"""Who is told of what was given up: in an actor that cannot be loaded, and of a reaction that had been parked."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.ids import new_id
from contracts.kernel import Resolve
from contracts.letters import LetterFilter
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.redriving import Redriving
from tests.kernel_world import COUNTER, LIMITS, Add, Added, Note, Noted, Sum, World, decide, evolve

QUICKLY_PARKED = replace(LIMITS, park_after_s=0.01)


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 20))


async def letters(world: World, count: int, domain: Domain = Domain.CEO) -> list[Any]:
    while len(found := await world.broker.letters.find(LetterFilter(domain=domain), limit=10)) < count:
        await world.broker.inboxes[domain].change(0.01)
    return [one.letter for one in found]


async def answer(world: World, domain: Domain) -> Any:
    """What the effect that waits in the domain is told, and its message's cause."""
    inbox = world.broker.inboxes[domain]
    while True:
        for one in inbox.messages:
            if one.record is not None and one.record.envelope.type == tag(Resolve):
                resolve = msgspec.json.decode(one.body, type=Resolve)
                if resolve.name == "ask":
                    return msgspec.json.decode(resolve.result), one.record.envelope.causation
        await inbox.change(0.01)


def asked() -> str:
    return f"sophia/counter/asker/{new_id()}/1/0/digest"


def abandon(_recorded: Recorded[Added], reason: str) -> Note:
    return Note(text=f"abandoned: {reason}")


def redriving(world: World) -> Redriving:
    return Redriving(
        world.broker.letters, world.queue, lambda: datetime.now(UTC), by="ann", clearance=Clearance.TOP_SECRET
    )


def test_messages_to_an_actor_whose_log_cannot_be_folded_become_letters_and_act_once_it_can() -> None:
    broken = False

    def fold(state: Sum, event: Added | Noted) -> Sum:
        if broken:
            raise ValueError("unknown event")
        return evolve(state, event)

    async def body() -> None:
        nonlocal broken
        async with World(Actor("counter", Sum(), decide, fold)) as world:
            await world.send(Add(amount=1))
            await world.events(at_least=1)
            broken = True
            world.workers[0].host.live.drop(COUNTER)
            asking = await world.send(Add(amount=1), reply_to=asked())
            await world.send(Add(amount=1))
            told, cause = await answer(world, Domain.SOPHIA)
            assert (told["status"], cause) == ("failed", asking)
            # Here nobody had asked, so the answer becomes a letter, too, before or after that of the second message.
            assert [one.type for one in await letters(world, 1, Domain.SOPHIA)] == [tag(Resolve)]
            found = await letters(world, 2)
            broken = False
            for letter in found:
                assert (await redriving(world).redrive(letter.id)).outcome == "redriven"
            await world.events(at_least=3)

    run(body)


@pytest.mark.parametrize("parked", [True, False])
def test_of_a_reaction_that_fails_its_actor_is_told_parked_or_not(parked: bool) -> None:
    broken = True

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        if parked:
            await effects.sleep(timedelta(seconds=0.1))
        if broken:
            raise RuntimeError("a bug")
        await effects.tell(Note(text="repaired"))

    async def body() -> None:
        nonlocal broken
        actor = Actor("counter", Sum(), decide, evolve, react, abandon=abandon)
        async with World(actor, limits=QUICKLY_PARKED) as world:
            await world.send(Add(amount=1))
            cause, note = await world.events(at_least=2)
            [letter] = await letters(world, 1)
            expected = f"abandoned: it failed and was put aside as dead letter {letter.id}"
            assert msgspec.json.decode(note.record.body)["text"] == expected
            place = (letter.subject, letter.sequence, letter.reaction)
            assert place == (subjects.log(COUNTER), cause.sequence, cause.record.envelope.id)
            await redriving(world).redrive(letter.id)
            while (await letters(world, 1))[0].burials < 2:
                await world.broker.inboxes[Domain.CEO].change(0.01)
            broken = False
            assert (await redriving(world).redrive(letter.id)).outcome == "redriven"
            assert msgspec.json.decode((await world.events(at_least=3))[2].record.body)["text"] == "repaired"

    run(body)


def test_of_a_reaction_that_fails_after_it_was_parked_who_asked_is_told() -> None:
    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        await effects.sleep(timedelta(seconds=0.1))
        raise RuntimeError("a bug")

    async def body() -> None:
        async with World(Actor("counter", Sum(), decide, evolve, react), limits=QUICKLY_PARKED) as world:
            await world.send(Add(amount=1), reply_to=asked())
            told, cause = await answer(world, Domain.SOPHIA)
            [event] = await world.events(at_least=1)
            assert (told["status"], cause) == ("failed", event.record.envelope.id)

    run(body)
