"""Knowledge that expires, on every broker: the moment comes as a message, and what is gone is gone from the index."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec

from actors.ceo.knowledge_item import knowledge_item
from adapters.memory_vectors import MemoryVectors
from adapters.retrieval import LocalRetrieval
from contracts import subjects
from contracts.catalogue import decode_event, tag
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Event, Message, Record, Stored
from contracts.ids import new_id
from contracts.knowledge import (
    AddKnowledge,
    DeleteKnowledge,
    Knowledge,
    KnowledgeAdded,
    KnowledgeDeleted,
    KnowledgeExpired,
    KnowledgeUpdated,
    UpdateKnowledge,
    outline,
)
from contracts.subjects import ActorRef
from runtime.outside import Outside
from runtime.telemetry import NoTelemetry
from runtime.worker import Worker
from tests.contract.conftest import Run, World
from tests.kernel_world import LIMITS, CountingModel
from tests.unit.test_memory import WordEmbedder

SAID = Knowledge(title="t", content="c", category="risk_management", confidentiality=Clearance.CONFIDENTIAL)
ALL = Clearance.TOP_SECRET


class Keeper:
    """The CEO domain's worker over one broker, and the store its items are indexed in."""

    def __init__(self, world: World, store: MemoryVectors) -> None:
        self.world = world
        self.store = store
        self.item = ActorRef(Domain.CEO, "knowledge_item", new_id())

    async def send(self, message: Message) -> None:
        identity = new_id()
        envelope = Envelope(
            id=identity,
            type=tag(type(message)),
            time=datetime.now(UTC),
            correlation=identity,
            principal="ann",
            source=Domain.SYSTEM,
            target=Domain.CEO,
        )
        await self.world.queue.publish(subjects.inbox(self.item), Record(envelope, msgspec.json.encode(message)))

    async def events(self, at_least: int) -> list[Event]:
        return [decode_event(one.record.envelope.type, one.record.body) for one in await self._read(at_least)]

    async def reacted(self, number: int, effects: int) -> None:
        """Return when the reaction to the event of that number (from 0) has that many effects behind it."""
        event = (await self._read(number + 1))[number]
        journal = subjects.run(self.item, event.record.envelope.id)
        after = 0
        while len(done := await self.world.log.read(journal)) < effects:
            after = done[-1].sequence if done else 0
            assert await self.world.log.wait(journal, after=after, timeout_s=10)

    async def _read(self, at_least: int) -> list[Stored]:
        log = subjects.log(self.item)
        while len(found := await self.world.log.read(log)) < at_least:
            after = found[-1].sequence if found else 0
            assert await self.world.log.wait(log, after=after, timeout_s=10), f"{len(found)} of {at_least} came"
        return found


@asynccontextmanager
async def keeping(world: World) -> AsyncIterator[Keeper]:
    await world.consume(Domain.CEO)
    store = MemoryVectors(WordEmbedder.dimensions)
    outside = Outside(
        log=world.log,
        queue=world.queue,
        timers=world.timers,
        retrieval=LocalRetrieval(WordEmbedder(), store, NoTelemetry()),
        model=CountingModel(),
        blobs=world.blobs,
        telemetry=NoTelemetry(),
        clock=lambda: datetime.now(UTC),
        tools={},
        limits=LIMITS,
    )
    worker = Worker(Domain.CEO, (knowledge_item,), outside, world.rpc(None), new_id())
    await worker.start()
    try:
        yield Keeper(world, store)
    finally:
        await worker.stop()


def expiring(seconds: float) -> Knowledge:
    return msgspec.structs.replace(SAID, expires=datetime.now(UTC) + timedelta(seconds=seconds))


def test_what_expires_is_gone_when_its_moment_comes_and_what_is_past_at_once(run: Run) -> None:
    async def scenario(world: World) -> None:
        for said in (expiring(1.5), expiring(-86_400)):
            async with keeping(world) as keeper:
                await keeper.send(AddKnowledge(by="ann", knowledge=said))
                ended = KnowledgeExpired(partition="ceo_knowledge", previous=outline(said))
                assert await keeper.events(2) == [KnowledgeAdded(by="ann", knowledge=said), ended]
                await keeper.reacted(1, effects=1)
                assert await keeper.store.count("ceo_knowledge") == 0
                assert await world.timers.list(Domain.CEO) == []

    run(scenario)


def test_a_moment_that_is_moved_or_taken_back_does_not_end_the_item(run: Run) -> None:
    async def scenario(world: World) -> None:
        async with keeping(world) as keeper:
            first, moved = expiring(3_600), expiring(7_200)
            await keeper.send(AddKnowledge(by="ann", knowledge=first))
            await keeper.reacted(0, effects=2)
            assert [one.when for one in await world.timers.list(Domain.CEO)] == [first.expires]
            await keeper.send(UpdateKnowledge(by="ann", clearance=ALL, knowledge=moved))
            await keeper.reacted(1, effects=3)
            assert [one.when for one in await world.timers.list(Domain.CEO)] == [moved.expires]
            await keeper.send(UpdateKnowledge(by="ann", clearance=ALL, knowledge=SAID))
            await keeper.reacted(2, effects=2)
            assert await world.timers.list(Domain.CEO) == []
            await keeper.send(UpdateKnowledge(by="ann", clearance=ALL, knowledge=first))
            await keeper.reacted(3, effects=2)
            await keeper.send(DeleteKnowledge(by="ann", clearance=ALL))
            await keeper.reacted(4, effects=2)
            assert await world.timers.list(Domain.CEO) == []
            kinds = [type(event) for event in await keeper.events(5)]
            assert kinds == [KnowledgeAdded, *[KnowledgeUpdated] * 3, KnowledgeDeleted]

    run(scenario)
