"""Findable: every event that puts something into the vector store or takes it out, over all that was ever recorded."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from actors.ceo.knowledge_item import knowledge_item
from actors.findable import changes
from actors.signal import signal
from adapters.memory_vectors import MemoryVectors
from adapters.retrieval import LocalRetrieval
from contracts import subjects
from contracts.catalogue import decode_event
from contracts.domains import Clearance, Domain
from contracts.envelope import Event, from_headers
from contracts.facts import MarketResearch
from contracts.knowledge import AddKnowledge, DeleteKnowledge, Knowledge, UpdateKnowledge
from contracts.retrieval import Put, Query, Remove
from contracts.subjects import ActorRef
from runtime.actor import Recorded
from runtime.telemetry import NoTelemetry
from tests.golden.test_golden import HISTORIES
from tests.kernel_world import World
from tests.unit.test_memory import WordEmbedder

ITEM = ActorRef(Domain.CEO, "knowledge_item", "0199a8f0-0000-7000-8000-000000000001")
PLAN = Knowledge(
    title="The plan?", content="Grow.", category="strategic_planning", confidentiality=Clearance.CONFIDENTIAL
)


def recorded(name: str, domain: Domain) -> list[Recorded[Event]]:
    frozen = HISTORIES[name]
    found: list[Recorded[Event]] = []
    for one in frozen.records:
        envelope = from_headers(one.headers)
        event = decode_event(envelope.type, one.body.encode())
        found.append(Recorded(ActorRef(domain, frozen.kind, "one"), event, envelope))
    return found


@pytest.mark.parametrize("name", HISTORIES)
def test_whatever_was_recorded_says_what_it_changes(name: str) -> None:
    """An id is put at most into one partition, and what is removed was put before."""
    held: dict[str, str] = {}
    for one in recorded(name, Domain.CEO):
        for change in changes(one):
            match change:
                case Put(partition=partition, entry=entry):
                    held[entry.id] = partition
                    assert entry.updated == one.envelope.time
                    assert entry.version == 0
                case Remove(partition=partition, id=id_):
                    assert id_ in held
                    if held[id_] == partition:
                        del held[id_]
    finds = HISTORIES[name].kind in ("knowledge_item", "signal", "conversation", "memory")
    assert finds or not held


def test_a_signal_of_a_domain_without_a_partition_is_not_found() -> None:
    assert not [change for one in recorded("signal.1", Domain.SYSTEM) for change in changes(one)]
    assert [change for one in recorded("signal.1", Domain.ARTEMIS) for change in changes(one)]


def test_reactions_do_what_the_log_says() -> None:
    """Added, moved to another partition, deleted: after each run the store holds what the changes of the log come to."""

    async def body() -> None:
        store = MemoryVectors(WordEmbedder.dimensions)
        retrieval = LocalRetrieval(WordEmbedder(), store, NoTelemetry())
        async with World(knowledge_item, retrieval=retrieval) as world:
            moved = msgspec.structs.replace(PLAN, partition="shared_knowledge")
            messages = [
                AddKnowledge(by="ann", knowledge=PLAN),
                UpdateKnowledge(by="ann", clearance=Clearance.TOP_SECRET, knowledge=moved),
                DeleteKnowledge(by="ann", clearance=Clearance.TOP_SECRET),
            ]
            for number, message in enumerate(messages, 1):
                await world.send(message, ITEM)
                last = (await world.events(ITEM, at_least=number))[-1]
                journal = subjects.run(ITEM, last.record.envelope.id)
                while len(done := await world.log.read(journal)) < (2 if number == 2 else 1):
                    assert await world.log.wait(journal, after=done[-1].sequence if done else 0, timeout_s=5)
                counts = [await store.count("ceo_knowledge"), await store.count("shared_knowledge")]
                assert counts == [[1, 0], [0, 1], [0, 0]][number - 1]
                if number < 3:
                    query = Query(
                        partitions=("ceo_knowledge", "shared_knowledge"),
                        text="The plan?",
                        clearance=Clearance.TOP_SECRET,
                        now=last.record.envelope.time,
                    )
                    assert (await retrieval.search(query))[0].entry.updated == last.record.envelope.time

    asyncio.run(asyncio.wait_for(body(), 20))


def test_what_is_recorded_is_found_however_late_its_run_is() -> None:
    """The log says that it is there; a search that did not find it would be at odds with that for ever."""

    async def body() -> None:
        store = MemoryVectors(WordEmbedder.dimensions)
        retrieval = LocalRetrieval(WordEmbedder(), store, NoTelemetry())
        async with World(signal, retrieval=retrieval) as world:
            actor = ActorRef(Domain.SOPHIA, "signal", "late")
            fact = MarketResearch(title="Late?", text="x", origin="crm")
            await world.send(fact, actor, deadline=datetime(2026, 1, 1, tzinfo=UTC))
            (recorded,) = await world.events(actor, at_least=1)
            assert recorded.record.envelope.deadline is not None
            journal = subjects.run(actor, recorded.record.envelope.id)
            assert await world.log.wait(journal, after=0, timeout_s=5)
            assert await store.count("sophia_business") == 1

    asyncio.run(asyncio.wait_for(body(), 20))
