"""Reactions that wait, and what happens beside them: effects begun at once, a cancel, an answer while they are parked."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from actors.collaboration import collaboration
from adapters.memory import MemoryLog
from adapters.memory_timers import MemoryTimers
from contracts.collaboration import Request
from contracts.domains import Domain
from contracts.envelope import Record
from contracts.kernel import Cancel
from contracts.model import Prompt, Reply
from contracts.subjects import ActorRef
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError
from runtime.model_ports import Call
from runtime.schedule import When
from tests.kernel_world import LIMITS, PROMPT, Add, Added, CountingModel, Note, Sum, World, decide, evolve
from tests.unit.test_waiting_reactions import QUICKLY_PARKED, hanging, notes, run, sleeping

UNHEARD_OF = Request(request_type="unheard of", question="?")


class YieldingLog(MemoryLog):
    """Lets others run before it appends, as a log on a network does."""

    async def append(self, *arguments: Any, **named: Any) -> int:
        for _ in range(5):
            await asyncio.sleep(0)
        return await super().append(*arguments, **named)


async def until_parked(world: World, timers: int = 1) -> None:
    while len(await world.timers.list(Domain.CEO)) < timers or world.workers[0].reactor._running:
        await world.broker.logs[Domain.CEO].change(0.01)


@pytest.mark.parametrize("beside", ["a sleep", "a model call"])
def test_a_sleep_beside_another_effect_is_the_same_when_it_is_run_again(beside: str) -> None:
    runs: list[int] = []

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        runs.append(recorded.event.amount)
        other = effects.chat(PROMPT) if beside == "a model call" else effects.sleep(timedelta(seconds=0.35))
        await asyncio.gather(effects.sleep(timedelta(seconds=0.3)), other)
        await effects.tell(Note(text="woke"))

    async def body() -> None:
        world = World(Actor("counter", Sum(), decide, evolve, react), limits=QUICKLY_PARKED)
        world.outside = replace(world.outside, log=YieldingLog(world.broker))
        async with world:
            await world.send(Add(amount=1))
            assert await notes(world, 2) == ["", "woke"]

    run(body)
    assert len(runs) > 1


async def sleep_until_cancelled(effects: Effects) -> None:
    """And note why it ended."""
    try:
        await effects.sleep(timedelta(days=30))
    except OutcomeError as error:
        await effects.tell(Note(text=str(error)))


def test_a_cancel_reaches_every_reaction_though_one_cannot_be_run_again() -> None:
    """The code of the first changed while it waited."""
    changed: list[bool] = []
    first: list[str] = []

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        first.append(recorded.envelope.id)
        if recorded.envelope.id == first[0]:
            await effects.chat(replace(PROMPT, question="changed") if changed else PROMPT)
        await sleep_until_cancelled(effects)

    async def body() -> None:
        async with World(Actor("counter", Sum(), decide, evolve, react), limits=QUICKLY_PARKED) as world:
            correlation = await world.send(Add(amount=2))
            await until_parked(world, 2)
            changed.append(True)
            await world.send(Cancel(correlation=correlation, reason="not wanted"))
            assert await notes(world, 3) == ["", "", "cancelled: not wanted"]
            [letter] = await world.letters()
            assert letter.reason.startswith("NonDeterministicError")

    run(body)


def test_a_cancel_does_not_run_again_what_is_known_to_have_ended() -> None:
    runs: list[str] = []

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        runs.append(recorded.envelope.id)
        if recorded.envelope.id == runs[0]:
            return
        await sleep_until_cancelled(effects)

    async def body() -> None:
        async with World(Actor("counter", Sum(), decide, evolve, react), limits=QUICKLY_PARKED) as world:
            correlation = await world.send(Add(amount=2))
            await until_parked(world)
            await world.send(Cancel(correlation=correlation, reason="not wanted"))
            assert await notes(world, 3) == ["", "", "cancelled: not wanted"]

    run(body)
    assert runs.count(runs[0]) == 1


def test_a_cancelled_reaction_asks_nobody_any_more() -> None:
    calling = asyncio.Event()

    class Hanging(CountingModel):
        async def complete(self, prompt: Prompt, call: Call) -> Reply:
            calling.set()
            await asyncio.Event().wait()
            return await super().complete(prompt, call)

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.event.amount == 1
        try:
            await effects.chat(PROMPT)
        except OutcomeError:
            try:
                await effects.ask(Domain.SOPHIA, UNHEARD_OF)
            except OutcomeError as error:
                await effects.tell(Note(text=str(error)))

    async def body() -> None:
        world = World(Actor("counter", Sum(), decide, evolve, react), model=Hanging())
        await world.start(Domain.CEO)
        correlation = await world.send(Add(amount=1))
        await calling.wait()
        await world.send(Cancel(correlation=correlation, reason="not wanted"))
        assert await notes(world, 2) == ["", "cancelled: not wanted"]
        assert not world.broker.inboxes[Domain.SOPHIA].messages
        await world.stop()

    run(body)


def test_an_answer_that_comes_while_it_is_being_parked_leaves_no_timer_behind() -> None:
    setting, answered = asyncio.Event(), asyncio.Event()

    class Confirming(MemoryTimers):
        """Confirms a timer only after the answer has come."""

        async def set(self, target: ActorRef, name: str, record: Record, when: When) -> None:
            await super().set(target, name, record, when)
            setting.set()
            await answered.wait()

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.event.amount == 1
        outcome = await effects.ask(Domain.SOPHIA, UNHEARD_OF)
        await effects.tell(Note(text=outcome.status))

    async def body() -> None:
        world = World(Actor("counter", Sum(), decide, evolve, react), collaboration, limits=QUICKLY_PARKED)
        timers = Confirming(world.broker)
        world.outside = replace(world.outside, timers=timers)
        await world.start(Domain.CEO)
        asker = world.workers
        await world.send(Add(amount=1))
        await setting.wait()
        await world.start(Domain.SOPHIA)
        assert await notes(world, 2) == ["", "unknown_request_type"]
        answered.set()
        while asker[0].reactor._running:
            await world.broker.logs[Domain.CEO].change(0.01)
        assert not await timers.list(Domain.CEO)
        world.workers += asker
        await world.stop()

    run(body)


def test_what_finds_no_room_for_a_timer_waits_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    runs: list[int] = []
    limits = replace(QUICKLY_PARKED, timers_actor_max=0)

    async def body() -> None:
        async with World(sleeping(0.2, runs), limits=limits) as world:
            await world.send(Add(amount=1))
            assert await notes(world, 2) == ["", "q 1"]

    run(body)
    assert len(runs) == 1
    assert sum("0 are allowed" in one.message for one in caplog.records) == 1


def test_what_found_no_room_for_a_timer_is_parked_once_there_is_some(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = [OutcomeError("too many") for _ in range(LIMITS.attempts_max)]
    original = MemoryTimers.set

    async def set_(timers: MemoryTimers, *arguments: Any) -> None:
        if refusals:
            raise refusals.pop()
        await original(timers, *arguments)

    monkeypatch.setattr(MemoryTimers, "set", set_)

    async def body() -> None:
        async with World(hanging(asyncio.Event()), limits=QUICKLY_PARKED) as world:
            correlation = await world.send(Add(amount=1))
            await until_parked(world)
            await world.send(Cancel(correlation=correlation, reason="not wanted"))
            assert await notes(world, 2) == ["", "cancelled: not wanted"]
            assert not refusals

    run(body)
