"""Collaboration between domains: every way it can end comes back as a typed outcome, once."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from actors import requests
from actors.collaboration import collaboration
from contracts import subjects
from contracts.collaboration import Outcome, Request, Requested
from contracts.domains import Clearance, Domain
from contracts.kernel import EffectRecorded
from contracts.retrieval import Entry, Hit, Query
from contracts.subjects import ActorRef
from runtime.actor import Actor, AnyActor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError, Rejected
from runtime.telemetry import RUNNING_REACTIONS, NoTelemetry
from tests.kernel_world import COUNTER, LIMITS, Add, Added, Note, OneHit, Sum, World, decide, evolve


def asking(request: Request) -> AnyActor:
    """An actor that asks the CEO's domain and notes how it ended."""

    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        outcome = await effects.ask(Domain.CEO, request)
        await effects.tell(Note(text=f"{outcome.status}: {outcome.reason or sorted(outcome.sections)}"))

    return Actor("counter", Sum(), decide, evolve, react)


def outcome_of(request: Request, **world: Any) -> tuple[str, Clearance]:
    """What the asker noted, and the label of it."""
    found: list[tuple[str, Clearance]] = []

    async def body() -> None:
        async with World(asking(request), collaboration, **world) as running:
            await running.send(Add(amount=1))
            stored = (await running.events(at_least=2))[1]
            found.append((msgspec.json.decode(stored.record.body)["text"], stored.record.envelope.label))

    asyncio.run(asyncio.wait_for(body(), 20))
    return found[0]


def test_a_known_request_is_completed_and_its_label_comes_along() -> None:
    text, label = outcome_of(
        Request(request_type="strategic_alignment", question="?"), retrieval=OneHit(Clearance.RESTRICTED)
    )
    assert text == "completed: ['alignment', 'answer']"
    assert label == Clearance.RESTRICTED


def test_an_alignment_rests_on_what_matches_before_what_is_important() -> None:
    class Strategy(OneHit):
        """Finds eleven items of the highest priority, and behind them the one that was asked for."""

        async def search(self, query: Query) -> list[Hit]:
            said = [(f"far {number}", 10, 0.25) for number in range(11)] + [("sought", 1, 1.6)]
            return [
                Hit(
                    entry=Entry(id=id_, title="t", text="x", label=self.label, priority=priority),
                    partition=query.partitions[0],
                    score=0.3,
                    relevance=relevance,
                )
                for id_, priority, relevance in said
            ]

    outcomes: list[Outcome] = []

    async def react(recorded: Recorded[Added], effects: Effects) -> None:  # noqa: ARG001 - the shape of a reaction
        outcomes.append(await effects.ask(Domain.CEO, Request(request_type="strategic_alignment", question="?")))
        await effects.tell(Note(text="done"))

    async def body() -> None:
        asker = Actor("counter", Sum(), decide, evolve, react)
        async with World(asker, collaboration, retrieval=Strategy(Clearance.PUBLIC)) as running:
            await running.send(Add(amount=1))
            await running.events(at_least=2)

    asyncio.run(asyncio.wait_for(body(), 20))
    found = [one.id for one in outcomes[0].evidence]
    assert (found[0], len(found)) == ("sought", 10)


def test_an_unknown_request_type_names_the_known_ones() -> None:
    text, _ = outcome_of(Request(request_type="divination", question="?"))
    assert text == "unknown_request_type: 'divination' is not one of: strategic_alignment, strategic_summary"


def test_a_request_whose_deadline_has_passed_is_expired() -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    text, _ = outcome_of(Request(request_type="strategic_alignment", question="?", deadline=past))
    assert text.startswith("expired: ")


Handler = Callable[[Requested, Effects], Coroutine[Any, Any, Outcome]]


@pytest.mark.parametrize(
    ("error", "status"), [(OutcomeError("no model"), "failed"), (Rejected("not for you"), "refused")]
)
def test_failures_and_refusals_are_outcomes(monkeypatch: pytest.MonkeyPatch, error: Exception, status: str) -> None:
    async def handler(_requested: Requested, _effects: Effects) -> Outcome:
        raise error

    monkeypatch.setitem(requests.HANDLERS, (Domain.CEO, "strategic_alignment"), handler)
    assert outcome_of(Request(request_type="strategic_alignment", question="?"))[0] == f"{status}: {error}"


def test_a_late_answer_is_expired_for_the_asker_and_changes_nothing_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        late = asyncio.Event()

        async def handler(_requested: Requested, _effects: Effects) -> Outcome:
            await late.wait()
            return Outcome(status="completed", sections={"answer": "too late"})

        monkeypatch.setitem(requests.HANDLERS, (Domain.CEO, "strategic_alignment"), handler)
        deadline = datetime.now(UTC) + timedelta(seconds=0.2)
        request = Request(request_type="strategic_alignment", question="?", deadline=deadline)
        async with World(asking(request), collaboration) as world:
            await world.send(Add(amount=1))
            first, noted = await world.events(at_least=2)
            assert msgspec.json.decode(noted.record.body)["text"].startswith("expired: ")
            late.set()
            journal = subjects.run(COUNTER, first.record.envelope.id)
            inbox = world.broker.inboxes[Domain.CEO]
            while [message.subject for message in inbox.messages].count(subjects.inbox(COUNTER)) < 2:
                await inbox.change(1)  # The request, and now the late answer; what is sent next comes after it.
            await world.send(Note(text="after"))
            await world.events(at_least=3)
            entries = [
                msgspec.json.decode(one.record.body, type=EffectRecorded) for one in await world.log.read(journal)
            ]
            assert [msgspec.json.decode(entry.result)["status"] for entry in entries] == ["expired"]

    asyncio.run(asyncio.wait_for(body(), 20))


class Crowd(NoTelemetry):
    """Says when so many reactions have been taken up in one worker, those that wait for a slot with them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.full = asyncio.Event()

    def gauge(self, metric: str, value: float, **_labels: str) -> None:
        if metric == RUNNING_REACTIONS and value == self.size:
            self.full.set()


def test_an_urgent_request_overtakes_those_of_low_priority_at_the_domain_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[str] = []
    lows = [f"low {number}" for number in range(6)]

    async def body() -> None:
        crowd, begins = Crowd(len(lows) + 1), asyncio.Event()

        async def ask(effects: Effects, question: str, priority: int) -> None:
            request = Request(request_type="strategic_alignment", question=question, priority=priority)
            await effects.ask(Domain.CEO, request)

        async def urgently(effects: Effects) -> None:
            """Once one of the others has begun: it is not the first, and overtakes all that wait."""
            await begins.wait()
            await ask(effects, "urgent", 5)

        async def react(recorded: Recorded[Added], effects: Effects) -> None:  # noqa: ARG001 - the shape of a reaction
            await asyncio.gather(*(ask(effects, low, 1) for low in lows), urgently(effects))
            await effects.tell(Note(text="done"))

        async def handler(requested: Requested, _effects: Effects) -> Outcome:
            order.append(requested.request.question)
            begins.set()
            await crowd.full.wait()
            return Outcome(status="completed", sections={"answer": "yes"})

        monkeypatch.setitem(requests.HANDLERS, (Domain.CEO, "strategic_alignment"), handler)
        one_slot = replace(LIMITS, reactions_kind_max=1)
        world = World(Actor("counter", Sum(), decide, evolve, react), collaboration, limits=one_slot)
        world.outside = replace(world.outside, telemetry=crowd)
        asker = ActorRef(Domain.SOPHIA, "counter", "c1")
        async with world:
            await world.send(Add(amount=1), to=asker)
            await world.events(asker, at_least=2)

    asyncio.run(asyncio.wait_for(body(), 20))
    begun, *waited = order
    assert begun in lows
    assert waited[0] == "urgent"
    assert sorted(order) == sorted([*lows, "urgent"])
