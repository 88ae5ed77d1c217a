"""Who is told of knowledge and alerts: what the table allows, durably, by title only, and until it is no more."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from actors.ceo.knowledge_item import knowledge_item
from actors.signal import signal
from actors.subscriptions import SUBSCRIPTIONS, announced_to, told_of_alert, told_of_item
from adapters.memory_vectors import MemoryVectors
from adapters.retrieval import LocalRetrieval
from contracts import subjects
from contracts.domains import Clearance, Domain, Partition
from contracts.envelope import Message, Stored
from contracts.facts import KnowledgeUpdate, SignalRecorded, StrategicAlert
from contracts.knowledge import (
    AddKnowledge,
    Category,
    DeclassifyKnowledge,
    DeleteKnowledge,
    Knowledge,
    Outline,
    UpdateKnowledge,
)
from contracts.retrieval import Query
from contracts.subjects import ActorRef
from gateway.commands import PARTITION_READ
from runtime.telemetry import NoTelemetry
from tests.kernel_world import World
from tests.unit.test_memory import WordEmbedder

TOP = Clearance.TOP_SECRET
ITEM = ActorRef(Domain.CEO, "knowledge_item", "0199a8f0-0000-7000-8000-000000000001")
PLAN = Knowledge(
    title="Harbour plan",
    content="Nobody but readers of the item may know that we buy the dock.",
    category="strategic_planning",
    confidentiality=Clearance.CONFIDENTIAL,
    strategic_priority=9,
)
HOMES: dict[Domain, Partition] = {Domain.SOPHIA: "sophia_business", Domain.ARTEMIS: "artemis_technical"}


@given(
    st.builds(
        Outline,
        category=st.sampled_from(get_args(Category)),
        confidentiality=st.sampled_from(Clearance),
        strategic_priority=st.integers(1, 10),
    ),
    st.sampled_from(get_args(Partition)),
)
def test_a_domain_is_told_only_what_all_its_readers_could_read(item: Outline, partition: Partition) -> None:
    for domain in told_of_item(item, partition):
        assert PARTITION_READ[partition] in (None, f"{domain.value}:read")
        assert item.confidentiality < TOP
        assert item.strategic_priority >= 7
    assert not told_of_item(structs.replace(item, confidentiality=TOP), partition)


def test_every_category_is_announced_to_somebody_and_secret_alerts_to_nobody() -> None:
    assert frozenset[str]().union(*(one.categories for one in SUBSCRIPTIONS)) == set(get_args(Category))
    assert told_of_alert(Clearance.RESTRICTED, None) == {Domain.SOPHIA, Domain.ARTEMIS}
    assert told_of_alert(Clearance.RESTRICTED, "financial_analysis") == {Domain.SOPHIA}
    assert told_of_alert(Clearance.RESTRICTED, "technology_roadmap") == {Domain.ARTEMIS}
    assert told_of_alert(TOP, None) == frozenset()


class Listening:
    """A world of the CEO's knowledge and the signals of both domains, over one store."""

    def __init__(self) -> None:
        self.store = MemoryVectors(WordEmbedder.dimensions)
        self.retrieval = LocalRetrieval(WordEmbedder(), self.store, NoTelemetry())
        self.world = World(knowledge_item, signal, retrieval=self.retrieval)

    async def __aenter__(self) -> "Listening":
        await self.world.start(Domain.CEO, Domain.SOPHIA, Domain.ARTEMIS)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.world.stop()

    async def told(self, domain: Domain, number: int) -> Stored:
        """The number-th thing (from 1) that a domain was told of the item, once its teams find it or no longer find it."""
        actor = announced_to(domain, ITEM.id)
        stored = (await self.world.events(actor, at_least=number))[number - 1]
        journal = subjects.run(actor, stored.record.envelope.id)
        while not await self.world.log.read(journal):
            assert await self.world.log.wait(journal, after=0, timeout_s=5)
        return stored

    async def found(self, domain: Domain, clearance: Clearance, at: timedelta = timedelta()) -> Sequence[str]:
        query = Query(
            partitions=(HOMES[domain],), text="Harbour plan", clearance=clearance, now=datetime.now(UTC) + at, limit=10
        )
        return [hit.entry.text for hit in await self.retrieval.search(query)]


def fact_of(stored: Stored) -> KnowledgeUpdate:
    fact = msgspec.json.decode(stored.record.body, type=SignalRecorded).fact
    assert isinstance(fact, KnowledgeUpdate)
    return fact


def saying(**changes: object) -> UpdateKnowledge:
    return UpdateKnowledge(by="ann", clearance=TOP, knowledge=structs.replace(PLAN, **changes))


def test_a_change_is_announced_by_title_under_the_items_label_and_replaced_by_the_next_one() -> None:
    async def body() -> None:
        async with Listening() as here:
            await here.world.send(AddKnowledge(by="ann", knowledge=PLAN), ITEM)
            for domain in HOMES:
                stored = await here.told(domain, 1)
                assert stored.record.envelope.label is Clearance.CONFIDENTIAL
                assert (fact_of(stored).operation, fact_of(stored).item) == ("create", ITEM.id)
                assert b"dock" not in stored.record.body
                assert len(await here.found(domain, Clearance.CONFIDENTIAL)) == 1
                assert await here.found(domain, Clearance.INTERNAL) == []
            raised = saying(title="Harbour plan two", confidentiality=Clearance.RESTRICTED)
            await here.world.send(raised, ITEM)
            for domain in HOMES:
                stored = await here.told(domain, 2)
                assert (stored.record.envelope.label, fact_of(stored).operation) == (Clearance.RESTRICTED, "update")
                (text,) = await here.found(domain, Clearance.RESTRICTED)
                assert text.startswith("Harbour plan two: an item on strategic planning of strategic priority 9")
                assert await here.found(domain, Clearance.CONFIDENTIAL) == []

    asyncio.run(asyncio.wait_for(body(), 20))


@pytest.mark.parametrize(
    "message",
    [
        DeleteKnowledge(by="ann", clearance=TOP),
        saying(confidentiality=TOP),
        saying(strategic_priority=6),
        saying(partition="agent_memories"),
        saying(expires=datetime(2020, 1, 1, tzinfo=UTC)),
    ],
)
def test_what_a_domain_may_not_be_told_any_more_is_taken_back(message: Message) -> None:
    """Deleted, raised above its ceiling, of less priority, moved where not all may read, expired."""

    async def body() -> None:
        async with Listening() as here:
            await here.world.send(AddKnowledge(by="ann", knowledge=PLAN), ITEM)
            await here.told(Domain.SOPHIA, 1)
            await here.world.send(message, ITEM)
            number = 1
            while (fact := fact_of(await here.told(Domain.SOPHIA, number := number + 1))).operation != "delete":
                pass
            assert "Harbour" not in msgspec.json.encode(fact).decode()
            assert await here.found(Domain.SOPHIA, TOP) == []

    asyncio.run(asyncio.wait_for(body(), 20))


def test_what_is_lowered_into_reach_is_announced_and_expires_where_it_was_announced() -> None:
    async def body() -> None:
        async with Listening() as here:
            expires = datetime.now(UTC) + timedelta(days=1)
            secret = structs.replace(PLAN, confidentiality=TOP, expires=expires, category="technology_roadmap")
            await here.world.send(AddKnowledge(by="ann", knowledge=secret), ITEM)
            lower = DeclassifyKnowledge(
                by="ann", clearance=TOP, confidentiality=Clearance.INTERNAL, reason="announced to all"
            )
            await here.world.send(lower, ITEM)
            assert fact_of(await here.told(Domain.ARTEMIS, 1)).operation == "create"
            assert len(await here.found(Domain.ARTEMIS, Clearance.INTERNAL)) == 1
            assert await here.found(Domain.ARTEMIS, Clearance.INTERNAL, timedelta(days=2)) == []
            assert await here.world.log.read(subjects.log(announced_to(Domain.SOPHIA, ITEM.id))) == []

    asyncio.run(asyncio.wait_for(body(), 20))


@pytest.mark.parametrize(("priority", "attention"), [(7, False), (8, True)])
def test_a_strategic_alert_reaches_both_domains_as_it_was_said(priority: int, attention: bool) -> None:
    async def body() -> None:
        async with Listening() as here:
            alert = StrategicAlert(title="Harbour plan", text="The dock is lost.", origin="w", alert_priority=priority)
            await here.world.send(alert, ActorRef(Domain.CEO, "signal", "dock"), label=Clearance.RESTRICTED)
            for domain in HOMES:
                actor = ActorRef(domain, "signal", "dock")
                stored = (await here.world.events(actor, at_least=1))[0]
                recorded = msgspec.json.decode(stored.record.body, type=SignalRecorded)
                assert (recorded.fact, recorded.executive_attention) == (alert, attention)
                assert stored.record.envelope.label is Clearance.RESTRICTED
            secret = StrategicAlert(title="Secret", text="x", origin="w", alert_priority=9)
            await here.world.send(secret, ActorRef(Domain.CEO, "signal", "dock"), label=TOP)
            await here.world.send(alert, ActorRef(Domain.CEO, "signal", "dock"), label=Clearance.PUBLIC)
            for domain in HOMES:
                told = await here.world.events(ActorRef(domain, "signal", "dock"), at_least=2)
                assert all(b"Secret" not in one.record.body for one in told)

    asyncio.run(asyncio.wait_for(body(), 20))
