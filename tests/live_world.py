"""A log that grows, snapshots that tell, and a live set over them, for its tests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec.structs import replace

from adapters.memory import MemoryBroker, MemoryLog, MemorySnapshots
from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Domain
from contracts.envelope import Envelope, Stored
from contracts.ids import derived_id, keyed_id
from contracts.kernel import Refused
from contracts.subjects import ActorRef
from runtime.chain import GENESIS, seal
from runtime.errors import UnavailableError
from runtime.limits import Limits
from runtime.live import FIRST_LOOK_RECORDS, LiveSet, fold
from runtime.snapshots import Live
from runtime.telemetry import PACKED_ACTORS, NoTelemetry
from tests.golden.freeze import START
from tests.kernel_world import COUNTER, Added, counter

LIMITS = Limits(snapshot_events=40, snapshot_events_min=10, live_actors_max=3, idle_s=0.02)
LONG = 2 * FIRST_LOOK_RECORDS


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await body()

    asyncio.run(bounded())


def ref(number: int) -> ActorRef:
    return ActorRef(Domain.CEO, "counter", f"c{number}")


def cause(actor: ActorRef, number: int) -> str:
    return keyed_id(str(actor), str(number))


class WatchedLog(MemoryLog):
    """Remembers what was read after which sequence."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker())
        self.reads: list[int] = []

    async def read(self, subject: str, *, after: int = 0, limit: int | None = None) -> list[Stored]:
        self.reads.append(after)
        return await super().read(subject, after=after, limit=limit)

    async def grow(self, actor: ActorRef, events: int, *, live: Live | None = None, code: str = "") -> None:
        """Append that many events, each of a message of its own; of an actor that is live, as the host does."""
        subject = subjects.log(actor)
        before = await super().read(subject)
        prev = before[-1].record.envelope.hash if before else GENESIS
        sequence = before[-1].sequence if before else 0
        for number in range(len(before), len(before) + events):
            message = cause(actor, number)
            event = Refused(message=message, code=code, reason="r") if code else Added(amount=1)
            record = seal(envelope(actor, message, tag(type(event))), msgspec.json.encode(event), prev or GENESIS)
            prev = record.envelope.hash
            sequence = await self.append(subject, [record], expected=sequence)
            if live is not None:
                fold(counter, live, [Stored(subject, sequence, record)])


def envelope(actor: ActorRef, message: str, type_name: str) -> Envelope:
    return Envelope(
        id=derived_id(message, "event"),
        type=type_name,
        time=START,
        correlation=message,
        principal="ann",
        source=actor.domain,
        causation=message,
    )


class ToldSnapshots(MemorySnapshots):
    """Says when something was saved; can be told to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: asyncio.Queue[ActorRef] = asyncio.Queue()
        self.fails = False

    async def save(self, actor: ActorRef, snapshot: bytes) -> None:
        await asyncio.sleep(0)
        if self.fails:
            self.saved.put_nowait(actor)
            raise UnavailableError("broker", "told to fail")
        await super().save(actor, snapshot)
        self.saved.put_nowait(actor)

    async def load(self, actor: ActorRef) -> bytes | None:
        if self.fails:
            raise UnavailableError("broker", "told to fail")
        return await super().load(actor)


class Told(NoTelemetry):
    """Tells when an actor was packed."""

    def __init__(self, packed: asyncio.Event) -> None:
        self._packed = packed

    def gauge(self, metric: str, value: float, **_labels: str) -> None:
        if metric == PACKED_ACTORS and value:
            self._packed.set()


@asynccontextmanager
async def started(live: LiveSet) -> AsyncIterator[LiveSet]:
    await live.start()
    try:
        yield live
    finally:
        await live.stop()


async def with_snapshot(log: WatchedLog, snapshots: ToldSnapshots, events: int = LONG) -> None:
    """A log of COUNTER with a snapshot of its end, and five more events."""
    await log.grow(COUNTER, events)
    async with started(LiveSet(log, LIMITS, snapshots)) as live:
        live.keep(counter, COUNTER, await live.load(counter, COUNTER))
        assert await snapshots.saved.get() == COUNTER
    await log.grow(COUNTER, 5)
    log.reads.clear()


async def replayed(log: WatchedLog, actor: ActorRef = COUNTER) -> Live:
    return await LiveSet(log, LIMITS).load(counter, actor)


def what(live: Live) -> tuple[Any, ...]:
    return live.state, live.sequence, live.hash, len(live.handled), live.subject


def replaced(**changes: Any) -> Limits:
    return replace(LIMITS, **changes)
