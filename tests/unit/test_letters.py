"""Dead letters in a running kernel: what is redriven acts once, what fails again is the same letter, back."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from contracts import subjects
from contracts.domains import Clearance, Domain
from contracts.facts import StrategicAlert
from contracts.kernel import DeadLetter, Treatment
from contracts.letters import LetterFilter
from contracts.subjects import ActorRef
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import UnavailableError
from runtime.letters import matches, merged, noted, view_of
from runtime.redriving import Redriving, Selection
from tests.kernel_world import COUNTER, PROMPT, Add, Added, Note, Noted, Sum, World, counter, decide, evolve

ALERT = {"type": "strategic_alert.v1", "title": "t", "text": "x", "origin": "o", "alert_priority": 9}


class Repairable:
    """The counter with a bug that can be taken out."""

    def __init__(self) -> None:
        self.broken = True
        self.decided = 0

    def decide(self, state: Sum, message: Add | Note | StrategicAlert) -> list[Added | Noted]:
        if self.broken and not (isinstance(message, Note) and message.text == "through"):
            raise RuntimeError("a bug")
        self.decided += 1
        return decide(state, message)

    @property
    def actor(self) -> Any:
        return Actor("counter", Sum(), self.decide, evolve)


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 20))


def redriving(world: World, by: str = "ann", clearance: Clearance = Clearance.TOP_SECRET) -> Redriving:
    return Redriving(world.broker.letters, world.queue, lambda: datetime.now(UTC), by=by, clearance=clearance)


async def letter_of(world: World) -> DeadLetter:
    [letter] = await world.letters()
    return letter  # type: ignore[no-any-return]


async def state_of(world: World, *, at_least: int) -> list[str]:
    """The types in the counter's log, once there are so many records."""
    return [one.record.envelope.type for one in await world.events(at_least=at_least)]


@pytest.mark.parametrize("times", [1, 3])
def test_a_repaired_message_acts_once_however_often_it_is_redriven(times: int) -> None:
    async def body() -> None:
        bug = Repairable()
        async with World(bug.actor) as world:
            identity = await world.send(Add(amount=1))
            letter = await letter_of(world)
            bug.broken = False
            found = await asyncio.gather(*(redriving(world, f"admin{n}").redrive(letter.id) for n in range(times)))
            assert [one.outcome for one in found].count("redriven") == 1
            assert {one.outcome for one in found} <= {"redriven", "already"}
            assert await state_of(world, at_least=2) == ["runtime.refused.v1", "counter.added.v1"]
            await world.send(Note(text="after"))
            recorded = await world.events(at_least=3)
            assert [one.record.envelope.type for one in recorded][2:] == ["counter.noted.v1"]
            assert recorded[1].record.envelope.causation == identity
            assert recorded[1].record.envelope.principal == "ann"
            kept = await world.broker.letters.get(letter.id)
            assert kept is not None
            assert kept.letter.ended is not None
            assert kept.letter.ended.how == "redriven"
            assert kept.letter.body == b""

    run(body)


def test_what_was_handled_meanwhile_does_not_act_again() -> None:
    async def body() -> None:
        bug = Repairable()
        async with World(bug.actor) as world:
            await world.send(Add(amount=1))
            letter = await letter_of(world)
            bug.broken = False
            kept = await world.broker.letters.get(letter.id)
            assert kept is not None
            await redriving(world).redrive(letter.id)
            await world.events(at_least=2)
            # As after a crash between sending and ending: the letter stands there as if nothing had happened.
            now = await world.broker.letters.get(letter.id)
            assert now is not None
            await world.broker.letters.replace(now.place, kept.letter)
            assert (await redriving(world, "bob").redrive(letter.id)).outcome == "redriven"
            await world.send(Note(text="after"))
            assert await state_of(world, at_least=3) == [
                "runtime.refused.v1",
                "counter.added.v1",
                "counter.noted.v1",
            ]

    run(body)


def test_what_fails_again_is_the_same_letter_and_says_who_tried() -> None:
    async def body() -> None:
        async with World(counter) as world:
            await world.send(Add(amount=13))
            first = await letter_of(world)
            for burials in (2, 3):
                assert (await redriving(world).redrive(first.id)).outcome in ("redriven", "returned")
                while (letter := await letter_of(world)).burials < burials:
                    await world.broker.inboxes[Domain.CEO].change(0.01)
                assert (letter.id, letter.reason) == (first.id, first.reason)
                assert [one.by for one in letter.history] == ["ann"] * (burials - 1)

    run(body)


def test_a_fact_from_outside_keeps_its_identity() -> None:
    async def body() -> None:
        bug = Repairable()
        async with World(bug.actor) as world:
            await world.broker.publish_plain(subjects.publisher(COUNTER), msgspec.json.encode(ALERT))
            letter = await letter_of(world)
            assert (letter.type, letter.label) == ("strategic_alert.v1", Clearance.INTERNAL)
            refused = (await world.events(at_least=1))[0].record.envelope
            assert (await redriving(world).redrive(letter.id)).outcome in ("redriven", "returned")
            while (back := await letter_of(world)).burials < 2:
                await world.broker.inboxes[Domain.CEO].change(0.01)
            assert back.id == letter.id
            assert subjects.lane_of(back.subject) == "in"
            bug.broken = False
            await redriving(world).redrive(letter.id)
            noted = (await world.events(at_least=3))[2].record.envelope
            assert (noted.causation, noted.principal, noted.type) == (
                refused.causation,
                "publisher",
                "counter.noted.v1",
            )

    run(body)


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"type":"unknown.v1"}', b'{"type":"counter.add.v1","amount":1}'])
def test_what_cannot_be_read_stays_and_says_why(content: bytes) -> None:
    async def body() -> None:
        async with World(counter) as world:
            await world.broker.publish_plain(subjects.publisher(COUNTER), content)
            letter = await letter_of(world)
            said = await redriving(world).redrive(letter.id)
            assert said.outcome == "unreadable"
            assert said.detail
            assert (await letter_of(world)).body == content
            assert (await redriving(world, "bob").drop(letter.id)).outcome == "dropped"
            kept = await world.broker.letters.get(letter.id)
            assert kept is not None
            assert kept.letter.ended is not None
            assert (kept.letter.ended.by, kept.letter.body) == ("bob", b"")
            again = await redriving(world).redrive(letter.id)
            assert (again.outcome, again.detail[:14]) == ("already", "dropped by bob")

    run(body)


def test_a_dead_reaction_goes_on_from_its_journal() -> None:
    broken = True

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        reply = await effects.chat(PROMPT)
        if broken:
            raise RuntimeError("after the model")
        await effects.tell(Note(text=reply.sections["answer"]), to=recorded.actor)

    async def body() -> None:
        nonlocal broken
        async with World(Actor("counter", Sum(), decide, evolve, react)) as world:
            await world.send(Add(amount=1))
            letter = await letter_of(world)
            assert subjects.lane_of(letter.subject) == "log"
            for burials in (2, 3):
                await redriving(world).redrive(letter.id)
                while (back := await letter_of(world)).burials < burials:
                    await world.broker.inboxes[Domain.CEO].change(0.01)
                assert (back.id, back.subject, back.sequence) == (letter.id, letter.subject, letter.sequence)
            broken = False
            assert (await redriving(world).redrive(letter.id)).outcome == "redriven"
            assert (await state_of(world, at_least=2))[1] == "counter.noted.v1"
            assert len(world.model.keys) == 1  # The model was paid for once.

    run(body)


def test_nobody_touches_what_is_above_his_clearance() -> None:
    async def body() -> None:
        async with World(counter) as world:
            await world.send(Add(amount=13))  # sent on behalf of somebody cleared for restricted
            letter = await letter_of(world)
            low = redriving(world, clearance=Clearance.CONFIDENTIAL)
            assert (await low.redrive(letter.id)).outcome == "forbidden"
            assert (await low.drop(letter.id)).outcome == "forbidden"
            assert await low.select(LetterFilter(), limit=10) == Selection(letters=(), withheld=1, more=False)
            assert (await low.select(LetterFilter(reason="bug"), limit=10)).withheld == 0
            seen = view_of(letter, Clearance.CONFIDENTIAL)
            assert seen.withheld
            assert (seen.reason, seen.stack, seen.headers, seen.body, seen.text) == ("", "", {}, None, None)
            assert "a bug" in view_of(letter, Clearance.RESTRICTED).reason

    run(body)


def test_nothing_is_ended_that_could_not_be_sent() -> None:
    async def body() -> None:
        async with World(counter) as world:
            await world.send(Add(amount=13))
            letter = await letter_of(world)

            class Full:
                async def publish(self, *_: object, **__: object) -> None:
                    raise UnavailableError("broker", "full")

            low = Redriving(
                world.broker.letters,
                Full(),  # type: ignore[arg-type]  # of a Queue only this is used
                lambda: datetime.now(UTC),
                by="ann",
                clearance=Clearance.TOP_SECRET,
            )
            with pytest.raises(UnavailableError):
                await low.redrive(letter.id)
            assert (await letter_of(world)).body == letter.body

    run(body)


def test_selected_are_the_newest_oldest_first() -> None:
    async def body() -> None:
        async with World(counter) as world:
            for number in range(5):
                await world.send(Add(amount=13), ActorRef(Domain.CEO, "counter", f"n{number}"))
            while len(await world.letters()) < 5:
                await world.broker.inboxes[Domain.CEO].change(0.01)
            everything = await redriving(world).select(LetterFilter(kind="counter"), limit=10)
            places = [one.place for one in everything.letters]
            assert (places, everything.more) == (sorted(places), False)
            for limit in (2, 5):
                newest = await redriving(world).select(LetterFilter(), limit=limit)
                assert [one.place for one in newest.letters] == places[-limit:]
                assert newest.more == (limit < 5)
            assert all(matches(LetterFilter(reason="A BUG"), one.letter) for one in everything.letters)

    run(body)


def test_a_reaction_that_fails_again_while_it_is_redriven_is_not_lost() -> None:
    """Its letter is at the same place as before; only when it was stored tells a new failure from a repeated burial."""
    first = DeadLetter(id="a", subject=subjects.log(COUNTER), sequence=7, reason="x", attempts=1, time="", time_ns=1)
    assert merged(first, first) is None
    again = msgspec.structs.replace(first, reason="y", time_ns=2)
    assert merged(again, first) is None  # Nobody tried again: another answer met the same bug.
    tried = noted(first, Treatment(how="redriven", by="ann", time=""))
    assert merged(first, tried) is None
    back = merged(again, tried)
    assert back == msgspec.structs.replace(again, burials=2, history=tried.history)
    assert merged(again, back) is None
