"""The live set: what it gives is what the log says, whatever is pushed out, packed, snapshotted, lost or broken."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from adapters.memory import MemoryBroker, MemoryLog, MemorySnapshots
from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Domain
from contracts.envelope import Envelope, Record, Stored
from contracts.ids import derived_id, keyed_id
from contracts.kernel import Refused
from contracts.subjects import ActorRef
from runtime import snapshots as packing
from runtime.chain import GENESIS, seal
from runtime.errors import UnavailableError
from runtime.limits import Limits
from runtime.live import FAILED, FIRST_LOOK_RECORDS, LiveSet, fold
from runtime.snapshots import Live
from runtime.telemetry import PACKED_ACTORS, NoTelemetry
from tests.golden.freeze import START
from tests.kernel_world import COUNTER, Added, Noted, Sum, counter

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


def test_actors_pushed_out_are_packed_and_come_back_as_they_were() -> None:
    async def body() -> None:
        log = WatchedLog()
        live = LiveSet(log, LIMITS)
        for number in range(8):
            await log.grow(ref(number), number)
            await live.load(counter, ref(number))
        assert len(live) == 8
        log.reads.clear()
        for number in range(8):
            found = await live.load(counter, ref(number))
            assert found.state == Sum(total=number)
            assert all(cause(ref(number), one) in found.handled for one in range(number))
            assert cause(ref(number), number) not in found.handled
        assert log.reads == [], "all of it was in memory"

    run(body)


def test_both_tiers_are_bounded_the_oldest_go_first() -> None:
    async def body() -> None:
        log = WatchedLog()
        live = LiveSet(log, replaced(idle_actors_bytes_max=5_000))
        for number in range(30):
            await live.load(counter, ref(number))
        assert 4 < len(live) < 15
        log.reads.clear()
        await live.load(counter, ref(29))
        await live.load(counter, ref(25))
        assert log.reads == []
        await live.load(counter, ref(0))
        assert log.reads == [0]

    run(body)


def replaced(**changes: Any) -> Limits:
    return replace(LIMITS, **changes)


def test_a_commit_of_an_actor_pushed_out_meanwhile_counts() -> None:
    async def body() -> None:
        log = WatchedLog()
        live = LiveSet(log, LIMITS)
        held = await live.load(counter, ref(0))
        for number in range(1, 6):
            await live.load(counter, ref(number))
        await log.grow(ref(0), 2, live=held)
        live.keep(counter, ref(0), held)
        assert await live.load(counter, ref(0)) is held
        for number in range(1, 6):
            await live.load(counter, ref(number))
        log.reads.clear()
        assert (await live.load(counter, ref(0))).state == Sum(total=2)
        assert log.reads == []

    run(body)


def test_what_is_dropped_or_forgotten_is_read_again() -> None:
    async def body() -> None:
        log = WatchedLog()
        live = LiveSet(log, LIMITS)
        everybody = [ref(number) for number in range(20)]
        for one in everybody:
            await live.load(counter, one)
        live.drop(everybody[0])
        live.drop(everybody[19])
        gone = {subjects.partition(one.kind, one.id) for one in everybody[5:12]}
        lost = {one for one in everybody if subjects.partition(one.kind, one.id) in gone} | {
            everybody[0],
            everybody[19],
        }
        live.forget(gone)
        assert len(live) == 20 - len(lost)
        log.reads.clear()
        for one in everybody:
            await live.load(counter, one)
        assert len(log.reads) == len(lost)

    run(body)


def test_what_is_dropped_while_it_is_read_is_not_kept() -> None:
    async def body() -> None:
        log = WatchedLog()
        live = LiveSet(log, LIMITS)
        read, going, go = log.read, asyncio.Event(), asyncio.Event()

        async def slow_read(subject: str, *, after: int = 0, limit: int | None = None) -> list[Stored]:
            found = await read(subject, after=after, limit=limit)
            going.set()
            await go.wait()
            return found

        log.read = slow_read  # type: ignore[method-assign]
        loading = asyncio.create_task(live.load(counter, COUNTER))
        await going.wait()
        await log.grow(COUNTER, 1)
        live.forget({subjects.partition(COUNTER.kind, COUNTER.id)})
        go.set()
        assert (await loading).sequence == 0
        assert (await live.load(counter, COUNTER)).state == Sum(total=1)

    run(body)


def test_what_is_idle_is_packed() -> None:
    async def body() -> None:
        log = WatchedLog()
        await log.grow(COUNTER, 3)
        packed = asyncio.Event()
        async with started(LiveSet(log, LIMITS, telemetry=Told(packed))) as live:
            first = await live.load(counter, COUNTER)
            await packed.wait()
            again = await live.load(counter, COUNTER)
            assert again is not first
            assert what(again) == what(first)

    run(body)


def test_a_long_log_is_read_from_its_snapshot_on() -> None:
    async def body() -> None:
        log, snapshots = WatchedLog(), ToldSnapshots()
        await with_snapshot(log, snapshots)
        found = await LiveSet(log, LIMITS, snapshots).load(counter, COUNTER)
        assert what(found) == what(await replayed(log))
        assert log.reads[:2] == [0, LONG - 1], "a first look, then from the snapshot's last record on"
        assert all(cause(COUNTER, number) in found.handled for number in range(LONG + 5))

    run(body)


def test_a_short_log_does_not_ask_for_a_snapshot() -> None:
    async def body() -> None:
        log, snapshots = WatchedLog(), ToldSnapshots()
        await log.grow(COUNTER, FIRST_LOOK_RECORDS - 1)
        snapshots.fails = True  # it would say so in the log's warnings, and read twice
        await LiveSet(log, LIMITS, snapshots).load(counter, COUNTER)
        assert log.reads == [0]

    run(body)


@pytest.mark.parametrize(
    "damage", ["fingerprint", "garbage", "other log", "ahead of the log", "wrong state", "unreachable"]
)
def test_a_snapshot_that_nothing_stands_behind_is_thrown_away(damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        log, snapshots = WatchedLog(), ToldSnapshots()
        await with_snapshot(log, snapshots)
        good = msgspec.msgpack.decode((await snapshots.load(COUNTER)) or b"", type=packing.Snapshot)
        packed = msgspec.msgpack.decode(good.packed, type=packing.Packed)
        bad = {
            "other log": replace(packed, hash=bytes(32)),
            "ahead of the log": replace(packed, sequence=packed.sequence + 100),
            "wrong state": replace(packed, state=b'{"total":"many"}'),
        }
        if damage in bad:
            await snapshots.save(
                COUNTER, msgspec.msgpack.encode(replace(good, packed=msgspec.msgpack.encode(bad[damage])))
            )
        elif damage == "garbage":
            await snapshots.save(COUNTER, b"\xc1garbage")
        elif damage == "fingerprint":
            monkeypatch.setitem(packing._fingerprints, (counter.kind, Sum), b"of other code")
        else:
            snapshots.fails = True
        found = await LiveSet(log, LIMITS, snapshots).load(counter, COUNTER)
        assert what(found) == what(await replayed(log))
        assert found.state == Sum(total=LONG + 5)

    run(body)


def test_a_snapshot_is_asked_for_every_so_many_events_and_at_the_end() -> None:
    async def body() -> None:
        log, snapshots = WatchedLog(), ToldSnapshots()
        async with started(LiveSet(log, LIMITS, snapshots)) as live:
            held = await live.load(counter, COUNTER)
            for _ in range(100):
                await log.grow(COUNTER, 1, live=held)
                live.keep(counter, COUNTER, held)
                await asyncio.sleep(0)
            assert [await snapshots.saved.get() for _ in range(2)] == [COUNTER] * 2
            few = await live.load(counter, ref(2))
            await log.grow(ref(2), LIMITS.snapshot_events_min - 1, live=few)
            live.keep(counter, ref(2), few)
        assert snapshots.saved.qsize() == 1, "of the one with enough new events"
        assert (await LiveSet(log, LIMITS, snapshots).load(counter, COUNTER)).state == Sum(total=100)
        assert log.reads[-1] == held.sequence - 1

    run(body)


def test_failing_snapshots_are_in_nobody_s_way() -> None:
    async def body() -> None:
        log, snapshots = WatchedLog(), ToldSnapshots()
        snapshots.fails = True
        async with started(LiveSet(log, replaced(snapshots_waiting_max=1), snapshots)) as live:
            for number in range(4):
                held = await live.load(counter, ref(number))
                await log.grow(ref(number), LONG, live=held)
                live.keep(counter, ref(number), held)
            await snapshots.saved.get()
            live.keep(counter, ref(3), held)
            await snapshots.saved.get()
            assert (await live.load(counter, ref(3))).state == Sum(total=LONG)
            snapshots.fails = False
            await log.grow(ref(3), LONG, live=held)
            live.keep(counter, ref(3), held)
            await snapshots.saved.get()

    run(body)


def test_a_snapshot_that_is_too_large_is_not_written() -> None:
    async def body() -> None:
        log, snapshots = WatchedLog(), ToldSnapshots()
        await log.grow(COUNTER, LONG)
        async with started(LiveSet(log, replaced(snapshot_bytes_max=500), snapshots)) as live:
            live.keep(counter, COUNTER, await live.load(counter, COUNTER))
        assert await snapshots.load(COUNTER) is None

    run(body)


def test_an_actor_let_go_for_good_leaves_a_snapshot() -> None:
    async def body() -> None:
        log, snapshots = WatchedLog(), ToldSnapshots()
        async with started(LiveSet(log, replaced(live_actors_max=1, idle_actors_bytes_max=1), snapshots)) as live:
            await log.grow(COUNTER, LIMITS.snapshot_events_min)
            await live.load(counter, COUNTER)
            await live.load(counter, ref(2))
            assert await snapshots.saved.get() == COUNTER

    run(body)


def test_a_message_that_failed_may_come_again_a_refused_one_not() -> None:
    async def body() -> None:
        log = WatchedLog()
        await log.grow(COUNTER, 1, code="conflict")
        await log.grow(COUNTER, 1, code=FAILED)
        found = await replayed(log)
        assert [cause(COUNTER, number) in found.handled for number in range(2)] == [True, False]
        assert found.sequence == 2

    run(body)


def test_the_fingerprint_follows_from_kind_state_and_code() -> None:
    assert packing.fingerprint(counter) == packing.fingerprint(counter)
    digests = [
        packing._digest("a", Sum, ["runtime.live"]),
        packing._digest("b", Sum, ["runtime.live"]),
        packing._digest("a", Noted, ["runtime.live"]),
        packing._digest("a", Sum, ["runtime.host"]),
        packing._digest("a", Sum, ["no such module"]),
        packing._digest("a", Sum, ["no such module"]),
    ]
    assert len(set(digests)) == len(digests), "code that cannot be read is never the same"


def test_a_state_that_cannot_be_packed_is_let_go() -> None:
    async def body() -> None:
        log = WatchedLog()
        live = LiveSet(log, replaced(live_actors_max=1))
        (await live.load(counter, COUNTER)).state = object()
        await live.load(counter, ref(2))
        assert len(live) == 1
        assert (await live.load(counter, COUNTER)).state == Sum()

    run(body)


def test_records_without_hashes_are_no_reason_to_stop() -> None:
    async def body() -> None:
        log = WatchedLog()
        record = Record(envelope(COUNTER, cause(COUNTER, 0), tag(Added)), msgspec.json.encode(Added(amount=1)))
        await log.append(subjects.log(COUNTER), [record], expected=0)
        found = await replayed(log)
        assert (found.hash, found.state) == (GENESIS, Sum(total=1))

    run(body)
