"""Logs written by hand and a vector index built of them, in memory: for tests of the index's life cycle."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec

from actors.findable import changes
from adapters.memory import MemoryBroker, MemoryLog
from adapters.vector_payload import PARTITIONS
from adapters.vector_shelf import MemoryShelf
from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain, Partition
from contracts.envelope import Envelope, Event, Record
from contracts.ids import new_id
from contracts.knowledge import Knowledge, KnowledgeAdded, KnowledgeDeleted, KnowledgeUpdated
from contracts.retrieval import Entry, Put, Query
from contracts.subjects import ActorRef
from contracts.vectors import Spec
from runtime.actor import Recorded
from runtime.errors import UnavailableError
from runtime.generations import Generations
from runtime.ports import EventLog
from runtime.telemetry import NoTelemetry
from runtime.vector_ports import ENTRY, Purpose, Vector


class Counting:
    """An Embedder by letters, under any name. It notes what it embeds, holds entries back until it may go on, and is away after
    so many of them."""

    dimensions = 8

    def __init__(self, model: str) -> None:
        self.model = model
        self.entries: list[str] = []
        self.queries: list[str] = []
        self.entries_max = 1_000_000
        self.error: Exception = UnavailableError("model", "it is away")
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.begun = asyncio.Event()

    async def embed(self, texts: Sequence[str], purpose: Purpose = ENTRY) -> list[Vector]:
        if purpose.use == "query":
            self.queries.extend(texts)
        else:
            self.begun.set()
            await self.go_on.wait()
            if len(self.entries) >= self.entries_max:
                raise self.error
            self.entries.extend(texts)
        vectors: list[Vector] = []
        for text in texts:
            counts = [text.count(letter) + 0.01 for letter in "abcdefgh"]
            norm = sum(count * count for count in counts) ** 0.5
            vectors.append([count / norm for count in counts])
        return vectors


class Logs:
    """The CEO's log, and the items in it."""

    def __init__(self, log: EventLog | None = None) -> None:
        self.log = log or MemoryLog(MemoryBroker(ack_wait_s=30))

    async def record(self, event: Event, id_: str) -> int:
        """Append an event of a knowledge item; its sequence."""
        actor = ActorRef(Domain.CEO, "knowledge_item", id_)
        envelope = Envelope(
            id=new_id(),
            type=tag(type(event)),
            time=datetime.now(UTC),
            correlation=new_id(),
            principal="ann",
            source=Domain.CEO,
            clearance=Clearance.TOP_SECRET,
        )
        subject = subjects.log(actor)
        before = await self.log.read(subject)
        record = Record(envelope, msgspec.json.encode(event))
        return await self.log.append(subject, [record], expected=before[-1].sequence if before else 0)

    async def add(self, title: str, partition: Partition = "ceo_knowledge") -> str:
        id_ = new_id()
        await self.record(KnowledgeAdded(by="ann", knowledge=knowledge(title, partition)), id_)
        return id_

    async def update(self, id_: str, title: str, partition: Partition = "ceo_knowledge") -> int:
        event = KnowledgeUpdated(by="ann", knowledge=knowledge(title, partition), previous_partition="ceo_knowledge")
        return await self.record(event, id_)

    async def delete(self, id_: str) -> int:
        return await self.record(KnowledgeDeleted(by="ann", partition="ceo_knowledge"), id_)

    async def entry(self, id_: str) -> tuple[Entry, int]:
        """What an item's last event makes findable, and its version."""
        actor = ActorRef(Domain.CEO, "knowledge_item", id_)
        stored = (await self.log.read(subjects.log(actor)))[-1]
        event = msgspec.json.decode(stored.record.body, type=KnowledgeAdded | KnowledgeUpdated)
        put = changes(Recorded(actor, event, stored.record.envelope))[0]
        assert isinstance(put, Put)
        return put.entry, stored.sequence


async def three(logs: Logs) -> list[str]:
    """Three items: one as it was, one updated into another partition; the third is deleted again."""
    ids = [await logs.add(title) for title in ("as it was", "before", "gone")]
    await logs.update(ids[1], "after", "shared_knowledge")
    await logs.delete(ids[2])
    return ids


def knowledge(title: str, partition: Partition = "ceo_knowledge") -> Knowledge:
    return Knowledge(
        title=title, content="x", category="risk_management", confidentiality=Clearance.PUBLIC, partition=partition
    )


def spec(model: str = "one", schema: int = 1) -> Spec:
    return Spec(model, Counting.dimensions, schema)


def play(scenario: Callable[[Logs], Awaitable[None]]) -> None:
    async def body() -> None:
        await scenario(Logs())

    asyncio.run(asyncio.wait_for(body(), 20))


def generations(logs: Logs, shelf: MemoryShelf, wanted: Spec | None = None) -> Generations:
    return Generations(
        logs.log,
        changes,
        shelf,
        wanted or spec(),
        PARTITIONS,
        telemetry=NoTelemetry(),
        clock=lambda: datetime.now(UTC),
    )


@asynccontextmanager
async def running(owner: Generations) -> AsyncIterator[Generations]:
    await owner.start()
    try:
        yield owner
    finally:
        await owner.stop()


async def titles(owner: Generations, text: str = "a", *partitions: Partition) -> set[str]:
    query = Query(
        partitions=partitions or ("ceo_knowledge", "shared_knowledge"),
        text=text,
        clearance=Clearance.TOP_SECRET,
        now=datetime.now(UTC),
        limit=1_000,
    )
    return {hit.entry.title for hit in await owner.search(query)}


async def built(owner: Generations, generation: str) -> None:
    """Wait until the build of a generation has ended."""

    async def ended() -> bool:
        status = await owner.status()
        return status.last is not None and status.last.generation == generation and status.building is None

    await until(ended)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Let the others go on until it holds."""
    while True:
        if await holds():
            return
        await asyncio.sleep(0)
