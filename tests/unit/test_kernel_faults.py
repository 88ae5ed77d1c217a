"""What must not happen to a message whatever goes wrong around it: overtaken, forgotten, acted on late, waited for in vain."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from actors.collaboration import collaboration
from adapters.memory import MemoryBroker
from contracts import subjects
from contracts.catalogue import tag
from contracts.collaboration import Collaborate, Request
from contracts.domains import Domain
from contracts.envelope import Event, Message
from contracts.ids import new_id
from contracts.subjects import ActorRef
from runtime.actor import Actor, AnyActor, Recorded
from runtime.effects import Effects
from runtime.host import Host
from tests.kernel_world import (
    COUNTER,
    LIMITS,
    Add,
    Added,
    CountingModel,
    Note,
    Noted,
    Sum,
    World,
    counter,
    decide,
    evolve,
)


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 20))


async def texts(world: World, at_least: int) -> list[str]:
    found = await world.events(at_least=at_least)
    return [msgspec.json.decode(one.record.body).get("text", one.record.envelope.type) for one in found]


class Set(Message, frozen=True, kw_only=True, tag="box.set.v1"):
    value: int


class Changed(Event, frozen=True, kw_only=True, tag="box.changed.v1"):
    value: int


class Box(Struct, frozen=True):
    value: int = 0


def decide_box(state: Box, message: Set) -> list[Changed]:
    match message:
        case Set():
            return [] if message.value == state.value else [Changed(value=message.value)]
        case _:
            assert_never(message)


def evolve_box(state: Box, event: Changed) -> Box:
    return replace(state, value=event.value)


box = Actor("counter", Box(), decide_box, evolve_box)


def test_a_message_that_changed_nothing_never_acts_later() -> None:
    async def body() -> None:
        late = new_id()
        async with World(box) as world:
            for value, identity in ((2, new_id()), (2, late), (3, new_id())):
                await world.send(Set(value=value), id=identity)
            await world.events(at_least=3)
            world.broker.inboxes[Domain.CEO].ids.clear()  # As after the broker's window for repeats.
            await world.send(Set(value=2), id=late)
            await world.send(Set(value=4))
            found = await world.events(at_least=4)
            types = [one.record.envelope.type for one in found]
            assert types == ["box.changed.v1", "runtime.unchanged.v1", "box.changed.v1", "box.changed.v1"]
            assert msgspec.json.decode(found[-1].record.body)["value"] == 4

    run(body)


def test_a_stale_worker_does_not_lose_what_it_thinks_changes_nothing() -> None:
    """Its memory says 1 is the value; another worker has made it 2 meanwhile."""

    async def body() -> None:
        world = World(box)
        stale = Host([box], world.outside)
        for value in (1, 2, 1):
            host = Host([box], world.outside) if value == 2 else stale
            await world.send(Set(value=value))
            feed = world.queue.feed(Domain.CEO, "inbox", COUNTER.partition)
            await feed.open()
            delivery = await feed.take()
            await host.handle(delivery)
            await delivery.ack()
        found = await world.events(at_least=3)
        assert [msgspec.json.decode(one.record.body)["value"] for one in found] == [1, 2, 1]

    run(body)


@pytest.mark.parametrize("lane", ["inbox", "reactor"])
def test_what_a_worker_left_is_done_before_what_came_since(lane: str) -> None:
    stuck = asyncio.Event()
    done: list[str] = []

    def holding(state: Sum, message: Add | Note) -> list[Added | Noted]:
        return decide(state, message)

    async def react(recorded: Recorded[Noted], effects: Effects) -> None:
        await effects.now()
        if recorded.event.text == "first" and not stuck.is_set() and lane == "reactor":
            stuck.set()
            await asyncio.Event().wait()
        done.append(recorded.event.text)

    actor: AnyActor = Actor("counter", Sum(), holding, evolve, react)

    async def body() -> None:
        world = World(actor)
        if lane == "inbox":
            await world.send(Note(text="first"))
            feed = world.queue.feed(Domain.CEO, "inbox", COUNTER.partition)
            await feed.open()
            await feed.take()  # A worker takes it and dies.
        else:
            async with world:
                await world.send(Note(text="first"))
                await stuck.wait()
        await world.send(Note(text="second"))
        async with world:
            await world.events(at_least=2)
            while len(done) < 2:
                await world.broker.logs[Domain.CEO].change(0.05)
            assert await texts(world, 2) == ["first", "second"]
            assert done == ["first", "second"]

    run(body)


def asking() -> AnyActor:
    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        outcome = await effects.ask(Domain.SOPHIA, Request(request_type="business_impact_analysis", question="?"))
        await effects.tell(Note(text=outcome.status))

    return Actor("counter", Sum(), decide, evolve, react)


def test_who_asked_is_told_when_the_answer_becomes_a_dead_letter() -> None:
    async def body() -> None:
        model = CountingModel([RuntimeError("a bug")] * LIMITS.attempts_max)
        async with World(asking(), collaboration, model=model) as world:
            await world.send(Add(amount=1))
            assert await texts(world, 2) == [tag(Added), "failed"]

    run(body)


def test_who_asked_is_told_when_the_request_itself_becomes_a_dead_letter() -> None:
    def broken(_state: Sum, message: Collaborate) -> list[Added]:
        raise RuntimeError(f"a bug with {message.asker}")

    def evolve_nothing(state: Sum, event: Added) -> Sum:  # noqa: ARG001 - the form of all
        return state

    broken_collaboration: AnyActor = Actor("collaboration", Sum(), broken, evolve_nothing)

    async def body() -> None:
        async with World(asking(), broken_collaboration) as world:
            await world.send(Add(amount=1))
            assert await texts(world, 2) == [tag(Added), "failed"]

    run(body)


def test_a_tool_that_never_ends_in_time_is_a_dead_letter() -> None:
    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        await effects.now()
        raise TimeoutError

    async def body() -> None:
        async with World(Actor("counter", Sum(), decide, evolve, react)) as world:
            await world.send(Add(amount=1))
            assert (await world.letters())[0].attempts == LIMITS.attempts_max

    run(body)


def test_one_message_id_may_reach_two_actors() -> None:
    async def body() -> None:
        identity = new_id()
        second = ActorRef(Domain.CEO, "counter", "c2")
        async with World(counter) as world:
            await world.send(Note(text="a"), id=identity)
            await world.events(at_least=1)
            world.broker.inboxes[Domain.CEO].ids.clear()
            await world.send(Note(text="b"), second, id=identity)
            assert len(await world.events(second, at_least=1)) == 1
            assert await world.log.read(subjects.log(second))

    run(body)


def test_domains_that_ask_each_other_do_not_wait_for_ever() -> None:
    """More reactions than may be under way wait in both domains, each for the other one."""
    other = {
        Domain.CEO: (Domain.SOPHIA, "business_impact_analysis"),
        Domain.SOPHIA: (Domain.CEO, "strategic_alignment"),
    }

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        domain, request_type = other[recorded.actor.domain]
        outcome = await effects.ask(domain, Request(request_type=request_type, question="?"))
        await effects.tell(Note(text=outcome.status))

    async def body() -> None:
        actors = [ActorRef(domain, "counter", f"c{number}") for domain in other for number in range(8)]
        broker = MemoryBroker(ack_wait_s=LIMITS.ack_wait_s, pending_max=1)
        async with World(Actor("counter", Sum(), decide, evolve, react), collaboration, broker=broker) as world:
            for actor in actors:
                await world.send(Add(amount=1), actor)
            for actor in actors:
                assert len(await world.events(actor, at_least=2)) == 2

    run(body)
