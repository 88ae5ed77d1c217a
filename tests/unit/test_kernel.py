"""The kernel on the memory adapter: nothing lost, nothing doubled, whatever is repeated, interrupted or wrong."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.envelope import Record, Stored
from contracts.facts import StrategicAlert
from contracts.ids import derived_id, new_id
from contracts.retrieval import Entry
from runtime.actor import Actor, AnyActor, Recorded
from runtime.chain import broken_at
from runtime.effects import Effects
from runtime.errors import ForbiddenToolError, NonDeterministicError, OutcomeError, UnavailableError
from tests.kernel_world import (
    COUNTER,
    LIMITS,
    PROMPT,
    Add,
    Added,
    CountingModel,
    Note,
    Noted,
    OneHit,
    Sum,
    World,
    counter,
    decide,
    evolve,
)


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 20))


def types(found: list[Stored]) -> list[str]:
    return [stored.record.envelope.type for stored in found]


def test_a_message_becomes_events_that_know_it() -> None:
    async def body() -> None:
        async with World(counter) as world:
            sent = await world.send(Add(amount=3), label=Clearance.INTERNAL, priority=5)
            found = await world.events(at_least=3)
            envelopes = [stored.record.envelope for stored in found]
            assert [envelope.causation for envelope in envelopes] == [sent] * 3
            assert [envelope.id for envelope in envelopes] == [
                derived_id(sent, subjects.log(COUNTER), number) for number in range(3)
            ]
            assert {(envelope.label, envelope.priority, envelope.source) for envelope in envelopes} == {
                (Clearance.INTERNAL, 5, Domain.CEO)
            }
            assert broken_at(found) is None

    run(body)


def test_a_changed_record_breaks_the_chain() -> None:
    async def body() -> None:
        async with World(counter) as world:
            await world.send(Add(amount=3))
            found = await world.events(at_least=3)
            forged = Stored(found[1].subject, found[1].sequence, Record(found[1].record.envelope, b'{"amount":9}'))
            assert broken_at([found[0], forged, found[2]]) == found[1].sequence
            assert broken_at([found[0], found[2]]) == found[2].sequence

    run(body)


def test_a_repeated_message_changes_nothing_even_for_a_new_host() -> None:
    async def body() -> None:
        world = World(counter)
        identity = new_id()
        async with world:
            await world.send(Add(amount=2), id=identity)
            await world.events(at_least=2)
        world.broker.inboxes[Domain.CEO].ids.clear()  # As after the broker's window for repeats.
        async with world:
            await world.send(Add(amount=2), id=identity)
            await world.send(Note(text="end"))
            assert types(await world.events(at_least=3)) == [tag(Added), tag(Added), tag(Noted)]

    run(body)


def test_a_refusal_is_recorded_and_changes_nothing_else() -> None:
    async def body() -> None:
        async with World(counter) as world:
            await world.send(Add(amount=-1))
            await world.send(Add(amount=1))
            found = await world.events(at_least=2)
            assert types(found) == ["runtime.refused.v1", tag(Added)]
            refused = msgspec.json.decode(found[0].record.body)
            assert (refused["code"], refused["reason"]) == ("limit", "amounts are not negative")
            assert broken_at(found) is None

    run(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"{", "truncated"), (b'{"type":"unknown.v1"}', "unknown.v1"), (b'{"type":"counter.add.v1"}', "amount")],
)
def test_what_cannot_be_read_is_buried_and_blocks_nobody(body: bytes, reason: str) -> None:
    async def scenario() -> None:
        async with World(counter) as world:
            await world.broker.publish_plain("ceo.pub.counter.c1", body)
            await world.send(Note(text="next"))
            await world.events(at_least=1)
            letter = (await world.letters())[0]
            assert reason in letter.reason
            assert letter.body == body

    run(scenario)


def test_poison_is_buried_with_its_stack_after_its_attempts() -> None:
    async def body() -> None:
        async with World(counter) as world:
            await world.send(Add(amount=13))
            await world.send(Note(text="next"))
            await world.events(at_least=1)
            letter = (await world.letters())[0]
            assert letter.attempts == LIMITS.attempts_max
            assert "RuntimeError: a bug" in letter.reason
            assert "in decide" in letter.stack

    run(body)


def test_facts_from_outside_reach_their_domain_only_and_nothing_else_does() -> None:
    async def body() -> None:
        alert = msgspec.json.encode(StrategicAlert(title="t", text="x", origin="o", alert_priority=9))
        async with World(counter) as world:
            await world.broker.publish_plain("ceo.pub.counter.c1", alert)
            envelope = (await world.events(at_least=1))[0].record.envelope
            assert (envelope.principal, envelope.label) == ("publisher", Clearance.INTERNAL)
            await world.broker.publish_plain("sophia.pub.counter.c1", alert)
            assert "is for ceo" in (await world.letters())[0].reason
        async with World(counter) as world:
            await world.broker.publish_plain("ceo.pub.counter.c1", msgspec.json.encode(Add(amount=1)))
            assert "not taken from outside" in (await world.letters())[0].reason

    run(body)


def test_two_hosts_of_one_actor_lose_and_double_nothing() -> None:
    async def body() -> None:
        world = World(counter)
        rival = World(counter, broker=world.broker)
        async with world, rival:
            for _ in range(50):
                await world.send(Add(amount=1))
            found = await world.events(at_least=50)
            assert len({stored.record.envelope.causation for stored in found}) == len(found) == 50
            assert broken_at(found) is None

    run(body)


Reaction = Callable[[Effects], Awaitable[None]]


def reacting(reaction: Reaction) -> AnyActor:
    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        await reaction(effects)

    return Actor("counter", Sum(), decide, evolve, react)


async def _journal(world: World) -> list[Any]:
    event = (await world.log.read(subjects.log(COUNTER)))[0].record.envelope.id
    found = await world.log.read(subjects.run(COUNTER, event))
    return [(msgspec.json.decode(stored.record.body), stored.record.envelope) for stored in found]


def test_effects_are_journaled_in_order_and_label_what_follows() -> None:
    async def reaction(effects: Effects) -> None:
        now = await effects.now()
        name = await effects.new_id()
        await effects.search(("ceo_knowledge",), "q")
        with pytest.raises(ForbiddenToolError, match="double needs the permission sophia:read, which the asker lacks"):
            await effects.tool("double", Sum(total=4), Sum)
        effects.grant(("sophia:read",))
        doubled = await effects.tool("double", Sum(total=4), Sum)
        with pytest.raises(OutcomeError, match="double takes Sum, not Prompt"):
            await effects.tool("double", PROMPT, Sum)
        reply = await effects.chat(PROMPT)
        await effects.tell(Note(text=f"{now.year > 2000} {len(name)} {doubled.total} {reply.sections['answer']}"))

    async def body() -> None:
        async with World(reacting(reaction), retrieval=OneHit(Clearance.CONFIDENTIAL)) as world:
            await world.send(Add(amount=1))
            found = await world.events(at_least=2)
            assert msgspec.json.decode(found[1].record.body)["text"] == "True 36 8 q 1"
            assert found[1].record.envelope.label == Clearance.CONFIDENTIAL
            journal = await _journal(world)
            assert [entry["name"] for entry, _ in journal] == [
                "now",
                "new_id",
                "search",
                "tool double",
                "tool double",
                "tool double",
                "chat",
            ]
            assert [envelope.label for _, envelope in journal] == [Clearance.PUBLIC] * 2 + [Clearance.CONFIDENTIAL] * 5
            prompt = await world.outside.blobs.get(journal[6][0]["arguments"])
            assert b'"question":"q"' in prompt

    run(body)


@pytest.mark.parametrize("interrupted", range(4))
def test_an_interrupted_reaction_asks_nothing_twice(interrupted: int) -> None:
    """It fails after its nth effect; run again it uses the recorded results, and the model sees each call once."""
    failures = [interrupted]

    async def reaction(effects: Effects) -> None:
        said = []
        for number in range(4):
            said.append((await effects.chat(replace(PROMPT, question=f"q{number}"))).sections["answer"])
            if failures == [number]:
                failures.clear()
                raise RuntimeError("killed")
        await effects.tell(Note(text=" ".join(said)))

    async def body() -> None:
        async with World(reacting(reaction)) as world:
            await world.send(Add(amount=1))
            found = await world.events(at_least=2)
            assert msgspec.json.decode(found[1].record.body)["text"] == "q0 1 q1 2 q2 3 q3 4"
            assert len(world.model.keys) == len(set(world.model.keys)) == 4

    run(body)


def test_a_call_that_fails_for_now_repeats_with_the_same_key() -> None:
    async def reaction(effects: Effects) -> None:
        await effects.tell(Note(text=(await effects.chat(PROMPT)).sections["answer"]))

    async def body() -> None:
        model = CountingModel([UnavailableError("model", "down")] * (2 * LIMITS.attempts_max))
        async with World(reacting(reaction), model=model) as world:
            await world.send(Add(amount=1))
            await world.events(at_least=2)
            assert len(set(model.keys)) == 1

    run(body)


def test_an_outcome_is_recorded_and_raised_again() -> None:
    runs: list[str] = []

    async def reaction(effects: Effects) -> None:
        try:
            await effects.chat(PROMPT)
        except OutcomeError as error:
            runs.append(str(error))
        if len(runs) == 1:
            raise RuntimeError("once more")
        await effects.tell(Note(text=runs[-1]))

    async def body() -> None:
        model = CountingModel([OutcomeError("no answer")])
        async with World(reacting(reaction), model=model) as world:
            await world.send(Add(amount=1))
            await world.events(at_least=2)
            assert runs == ["no answer", "no answer"]
            assert len(model.keys) == 1

    run(body)


def test_what_is_indexed_and_removed_has_the_place_of_its_cause_in_the_log_as_version() -> None:
    versions: list[tuple[str, int]] = []

    class Versions(OneHit):
        async def index(self, partition: object, entries: object, *, version: int = 0) -> None:  # noqa: ARG002
            versions.append(("index", version))

        async def remove(self, partition: object, ids: object, *, version: int = 0) -> None:  # noqa: ARG002
            versions.append(("remove", version))

    async def reaction(effects: Effects) -> None:
        await effects.index("ceo_knowledge", Entry(id="e", title="t", text="x", label=Clearance.PUBLIC))
        await effects.remove("ceo_knowledge", "e")
        await effects.tell(Note(text="done"))

    async def body() -> None:
        async with World(reacting(reaction), retrieval=Versions(Clearance.PUBLIC)) as world:
            await world.send(Add(amount=1))
            caused = (await world.events(at_least=2))[0].sequence
            assert versions == [("index", caused), ("remove", caused)]

    run(body)


@pytest.mark.parametrize("change", ["another question", "an effect less"])
def test_a_changed_reaction_is_stopped_and_overwrites_nothing(change: str) -> None:
    runs: list[int] = []

    async def reaction(effects: Effects) -> None:
        runs.append(1)
        if len(runs) == 1:
            await effects.chat(PROMPT)
            raise RuntimeError("interrupted")
        if change == "another question":
            await effects.chat(replace(PROMPT, question="other"))

    async def body() -> None:
        async with World(reacting(reaction)) as world:
            await world.send(Add(amount=1))
            letter = (await world.letters())[0]
            assert NonDeterministicError.__name__ in letter.reason
            assert len(await _journal(world)) == 1
            assert len(world.model.keys) == 1

    run(body)
