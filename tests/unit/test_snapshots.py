"""Snapshots: a long log is read from the last one on, and nothing that a snapshot says is believed without the log."""

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

from runtime import snapshots as packing
from runtime.live import FIRST_LOOK_RECORDS, LiveSet
from tests.kernel_world import COUNTER, Noted, Sum, counter
from tests.live_world import (
    LIMITS,
    LONG,
    ToldSnapshots,
    WatchedLog,
    cause,
    ref,
    replaced,
    replayed,
    run,
    started,
    what,
    with_snapshot,
)


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
    "damage",
    ["fingerprint", "garbage", "other log", "other log's beginning", "ahead of the log", "wrong state", "unreachable"],
)
def test_a_snapshot_that_nothing_stands_behind_is_thrown_away(damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        log, snapshots = WatchedLog(), ToldSnapshots()
        await with_snapshot(log, snapshots)
        good = msgspec.msgpack.decode((await snapshots.load(COUNTER)) or b"", type=packing.Snapshot)
        packed = msgspec.msgpack.decode(good.packed, type=packing.Packed)
        bad = {
            "other log": replace(packed, hash=bytes(32), state=b'{"total":999}'),
            "other log's beginning": replace(packed, sequence=packed.sequence - 1, state=b'{"total":999}'),
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
