"""The live set: what it gives is what the log says, whatever is pushed out, packed, snapshotted, lost or broken."""

import asyncio

import msgspec

from contracts import subjects
from contracts.catalogue import tag
from contracts.envelope import Record, Stored
from contracts.kernel import FAILED
from runtime.chain import GENESIS
from runtime.live import LiveSet
from tests.kernel_world import COUNTER, Added, Sum, counter
from tests.live_world import (
    LIMITS,
    Told,
    WatchedLog,
    cause,
    envelope,
    ref,
    replaced,
    replayed,
    run,
    started,
    what,
)


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
        gone = {one.partition for one in everybody[5:12]}
        lost = {one for one in everybody if one.partition in gone} | {
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
        live.forget({COUNTER.partition})
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


def test_a_message_that_failed_may_come_again_a_refused_one_not() -> None:
    async def body() -> None:
        log = WatchedLog()
        await log.grow(COUNTER, 1, code="conflict")
        await log.grow(COUNTER, 1, code=FAILED)
        found = await replayed(log)
        assert [cause(COUNTER, number) in found.handled for number in range(2)] == [True, False]
        assert found.sequence == 2

    run(body)


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
