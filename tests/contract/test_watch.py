"""EventLog.watch: one suite for every adapter, and what only the broker can lose."""

import asyncio

from adapters import jetstream_watch
from adapters.jetstream import Broker, connect
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_streams import ensure_streams
from contracts import subjects
from contracts.envelope import Stored
from runtime.ports import EventLog, Watch
from tests.contract.conftest import Run, World, on_server
from tests.contract.records import actor, record
from tests.servers import NatsServer

LONG_S = 20.0


async def take(watch: Watch, count: int) -> list[Stored]:
    found: list[Stored] = []
    while len(found) < count:
        found += await watch.take(LONG_S)
    return found


async def appended(log: EventLog, subject: str, expected: int, count: int) -> int:
    for _ in range(count):
        expected = await log.append(subject, [record(b'{"a": 1}')], expected=expected)
    return expected


def test_what_was_and_what_is_stored_is_told_once_and_in_order(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject = subjects.log(actor())
        last = await appended(world.log, subject, 0, 3)
        watch = await world.log.watch(subject, after=1)
        last = await appended(world.log, subject, last, 2)
        last = await world.log.append(subject, [record(), record()], expected=last)
        assert await take(watch, 6) == await world.log.read(subject, after=1)
        assert await watch.take(0.0) == []
        await watch.close()
        await watch.close()

    run(scenario)


def test_from_now_tells_what_is_stored_after_the_call_whole(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject = subjects.log(actor())
        last = await appended(world.log, subject, 0, 3)
        watch = await world.log.watch(subject, after=0, from_now=True)
        await appended(world.log, subject, last, 2)
        assert (await take(watch, 2))[-2:] == (await world.log.read(subject))[-2:]
        await watch.close()

    run(scenario)


def test_only_the_exact_subject_is_watched(run: Run) -> None:
    async def scenario(world: World) -> None:
        one, other = subjects.log(actor("a")), subjects.log(actor("b"))
        watch = await world.log.watch(one, after=0, from_now=True)
        await appended(world.log, other, 0, 2)
        await appended(world.log, subjects.run(actor("a"), "reaction"), 0, 1)
        await appended(world.log, one, 0, 1)
        assert [stored.subject for stored in await take(watch, 1)] == [one]
        await watch.close()

    run(scenario)


def test_a_waiting_watch_is_woken(run: Run) -> None:
    async def scenario(world: World) -> None:
        subject = subjects.log(actor())
        watch = await world.log.watch(subject, after=0)
        waiting = asyncio.create_task(take(watch, 1))
        await asyncio.sleep(0)
        await appended(world.log, subject, 0, 1)
        assert len(await waiting) == 1
        await watch.close()

    run(scenario)


def test_notices_that_were_dropped_are_read_from_the_log(nats_server: NatsServer) -> None:
    async def scenario(world: World) -> None:
        subject = subjects.log(actor())
        watch = await world.log.watch(subject, after=0, from_now=True)
        count = jetstream_watch.BUFFER_MAX + 10
        last = await world.log.append(subject, [record()], expected=0)
        for _ in range(0, count, 500):
            last = await world.log.append(subject, [record() for _ in range(500)], expected=last)
        await world.log.wait(subject, after=last - 1, timeout_s=LONG_S)
        found = await take(watch, 1)
        while found[-1].sequence < last:
            found += await take(watch, 1)
        assert found == await world.log.read(subject)
        await watch.close()

    asyncio.run(on_server(nats_server, scenario))


def test_a_watch_outlives_the_brokers_death(own_server: NatsServer) -> None:
    async def other(subject: str, expected: int) -> int:
        broker = await _connected(own_server)
        last = await appended(JetStreamLog(broker), subject, expected, 2)
        await broker.stop()
        return last

    async def scenario() -> None:
        broker = await _connected(own_server)
        await ensure_streams(broker)
        log, subject = JetStreamLog(broker), subjects.log(actor())
        watch = await log.watch(subject, after=0, from_now=True)
        last = await appended(log, subject, 0, 1)
        assert len(await take(watch, 1)) == 1
        own_server.kill()
        own_server.start()
        last = await other(subject, last)
        await broker.wait_connected()
        assert [stored.sequence for stored in await take(watch, 2)] == [last - 1, last]
        await watch.close()
        assert not [
            one for one in broker.on_lost if isinstance(getattr(one, "__self__", None), jetstream_watch.JetStreamWatch)
        ]
        await broker.stop()

    asyncio.run(asyncio.wait_for(scenario(), 60))


async def _connected(server: NatsServer) -> Broker:
    return await connect(server.url, user=server.user, password=server.password)
