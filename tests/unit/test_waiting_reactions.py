"""Reactions that wait: parked and run again, cancelled, ended by a deadline; and timers for weeks."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from actors.collaboration import collaboration
from adapters.memory import MemoryBroker, MemoryLog, MemoryQueue
from contracts import subjects
from contracts.catalogue import tag
from contracts.collaboration import Request
from contracts.domains import Domain
from contracts.envelope import Record, Stored
from contracts.ids import new_id
from contracts.kernel import Cancel, Resolve, Resume
from contracts.model import Prompt, Reply
from runtime.actor import Actor, AnyActor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError, UnavailableError
from runtime.model_ports import Call
from tests.kernel_world import COUNTER, LIMITS, PROMPT, Add, Added, CountingModel, Note, Sum, World, decide, evolve

QUICKLY_PARKED = replace(LIMITS, park_after_s=0.01)


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 20))


async def notes(world: World, at_least: int) -> list[str]:
    found = await world.events(at_least=at_least)
    return [msgspec.json.decode(one.record.body).get("text", "") for one in found]


def sleeping(seconds: float, runs: list[int]) -> AnyActor:
    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        runs.append(recorded.event.amount)
        reply = await effects.chat(PROMPT)
        await effects.sleep(timedelta(seconds=seconds))
        await effects.tell(Note(text=reply.sections["answer"]))

    return Actor("counter", Sum(), decide, evolve, react)


def test_a_long_sleep_leaves_the_memory_and_is_taken_up_where_it_was() -> None:
    runs: list[int] = []
    model = CountingModel()

    async def body() -> None:
        async with World(sleeping(0.3, runs), model=model, limits=QUICKLY_PARKED) as world:
            await world.send(Add(amount=1))
            while not world.timers._timers:
                await world.broker.logs[Domain.CEO].change(0.01)
            reactor = world.workers[0].reactor
            while reactor._running:
                await world.broker.logs[Domain.CEO].change(0.01)
            partition = COUNTER.partition
            assert world.broker.durable(Domain.CEO, "reactor", partition).waiting == 0
            assert await notes(world, 2) == ["", "q 1"]

    run(body)
    assert len(runs) == 2
    assert len(model.keys) == 1


def test_a_short_sleep_stays_in_memory() -> None:
    runs: list[int] = []

    async def body() -> None:
        async with World(sleeping(0.01, runs)) as world:
            await world.send(Add(amount=1))
            assert await notes(world, 2) == ["", "q 1"]
            assert not world.timers._timers

    run(body)
    assert len(runs) == 1


def test_an_answer_runs_on_what_was_parked_also_in_another_worker() -> None:
    """The asker is parked and its worker ends before the answer comes."""
    free = asyncio.Event()

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        if recorded.actor.domain is Domain.SOPHIA:
            await free.wait()
            return
        outcome = await effects.ask(Domain.SOPHIA, Request(request_type="unheard of", question="?"))
        await effects.tell(Note(text=outcome.status))

    async def body() -> None:
        world = World(Actor("counter", Sum(), decide, evolve, react), collaboration, limits=QUICKLY_PARKED)
        await world.start(Domain.CEO)
        await world.send(Add(amount=1))
        while not world.timers._timers:
            await world.broker.logs[Domain.CEO].change(0.01)
        while world.workers[0].reactor._running:
            await world.broker.logs[Domain.CEO].change(0.01)
        await world.stop()
        await world.start(Domain.CEO, Domain.SOPHIA)
        assert await notes(world, 2) == ["", "unknown_request_type"]
        await world.stop()

    run(body)


def hanging(reached: asyncio.Event) -> AnyActor:
    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        try:
            reached.set()
            await effects.sleep(timedelta(days=30))
        except OutcomeError as error:
            await effects.tell(Note(text=str(error)))

    return Actor("counter", Sum(), decide, evolve, react)


def test_a_waiting_reaction_is_cancelled() -> None:
    async def body(limits: Any, parked: bool) -> None:
        reached = asyncio.Event()
        async with World(hanging(reached), limits=limits) as world:
            correlation = new_id()
            await world.send(Add(amount=1), id=correlation)
            await reached.wait()
            while parked and (not world.timers._timers or world.workers[0].reactor._running):
                await world.broker.logs[Domain.CEO].change(0.01)
            await world.send(Cancel(correlation=correlation, reason="not wanted"), id=new_id())
            assert await notes(world, 2) == ["", "cancelled: not wanted"]

    run(lambda: body(LIMITS, parked=False))
    run(lambda: body(QUICKLY_PARKED, parked=True))


def test_a_model_call_under_way_is_cancelled() -> None:
    class Hanging(CountingModel):
        async def complete(self, prompt: Prompt, call: Call) -> Reply:
            calling.set()
            await asyncio.Event().wait()
            return await super().complete(prompt, call)

    calling = asyncio.Event()

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        try:
            await effects.chat(PROMPT)
        except OutcomeError as error:
            await effects.tell(Note(text=str(error)))

    async def body() -> None:
        async with World(Actor("counter", Sum(), decide, evolve, react), model=Hanging()) as world:
            correlation = new_id()
            await world.send(Add(amount=1), id=correlation)
            await calling.wait()
            await world.send(Cancel(correlation=correlation, reason="not wanted"), id=new_id())
            assert await notes(world, 2) == ["", "cancelled: not wanted"]

    run(body)


def test_a_deadline_ends_what_is_under_way() -> None:
    reached = asyncio.Event()

    async def body() -> None:
        async with World(hanging(reached)) as world:
            deadline = datetime.now(UTC) + timedelta(seconds=0.1)
            await world.send(Add(amount=1), deadline=deadline)
            assert await notes(world, 2) == ["", "the deadline of the request has passed"]

    run(body)


def test_a_dead_reaction_is_run_again_and_repeats_nothing_of_what_it_did() -> None:
    broken = [True]
    model = CountingModel()

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        reply = await effects.chat(PROMPT)
        if broken:
            raise RuntimeError("a bug")
        await effects.tell(Note(text=reply.sections["answer"]))

    async def body() -> None:
        async with World(Actor("counter", Sum(), decide, evolve, react), model=model) as world:
            await world.send(Add(amount=1))
            [first] = await world.events(at_least=1)
            [letter] = await world.letters()
            assert letter.attempts == LIMITS.attempts_max
            broken.clear()
            resume = Resume(reaction=first.record.envelope.id, sequence=first.sequence)
            for _ in range(2):
                await world.send(resume)
            assert await notes(world, 2) == ["", "q 1"]

    run(body)
    assert len(model.keys) == 1


class SlowJournal(MemoryLog):
    """The second run loads its journal as it was before the answer came, and its first look for that takes 0.1 s."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.loads = 0
        self.loading, self.answered = asyncio.Event(), asyncio.Event()

    async def read(self, subject: str, **options: Any) -> list[Stored]:
        found = await super().read(subject, **options)
        if not subject.startswith(subjects.run(COUNTER, "")) or "after" not in options:
            return found
        self.loads += 1
        if self.loads == 2:
            self.loading.set()
            await self.answered.wait()
        elif self.loads == 3:
            await asyncio.sleep(0.1)
            return await super().read(subject, **options)
        return found


class LostAnswer(MemoryQueue):
    """The first question is stored, but its sender is not told; its answer comes while the second run begins."""

    def __init__(self, broker: MemoryBroker, loading: asyncio.Event) -> None:
        super().__init__(broker)
        self._loading = loading
        self._asked = False

    async def publish(self, subject: str, record: Record, *, attempt: str | None = None) -> None:
        if record.envelope.type == tag(Resolve):
            await self._loading.wait()
        await super().publish(subject, record, attempt=attempt)
        if subjects.domain_of(subject) is Domain.SOPHIA and not self._asked:
            self._asked = True
            raise UnavailableError("broker", "no answer in time")


def test_a_run_is_not_parked_before_it_has_looked_for_what_it_waits_for() -> None:
    """Parked with the answer in its journal it would come back only when the time for the answer is over."""

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        if recorded.actor == COUNTER:
            outcome = await effects.ask(Domain.SOPHIA, Request(request_type="unheard of", question="?"))
            await effects.tell(Note(text=outcome.status))

    async def body() -> None:
        world = World(Actor("counter", Sum(), decide, evolve, react), collaboration, limits=QUICKLY_PARKED)
        log = SlowJournal(world.broker)
        world.outside = replace(world.outside, log=log, queue=LostAnswer(world.broker, log.loading))
        async with world:
            await world.send(Add(amount=1))
            await log.loading.wait()
            [event] = await world.events(at_least=1)
            assert await log.wait(subjects.run(COUNTER, event.record.envelope.id), after=0, timeout_s=5)
            inbox = world.broker.durable(Domain.CEO, "inbox", COUNTER.partition)
            while inbox.waiting:
                await world.broker.inboxes[Domain.CEO].change(0.01)
            log.answered.set()
            assert await notes(world, 2) == ["", "unknown_request_type"]

    run(body)
