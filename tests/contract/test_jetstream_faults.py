"""What only the real broker can be asked: kill -9, restarts, idleness."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress

import pytest

from adapters.jetstream import REQUEST_S_MAX, Broker, connect
from adapters.jetstream_letters import JetStreamLetters
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_queue import JetStreamQueue
from adapters.jetstream_rpc import NatsRpc
from adapters.jetstream_streams import ensure_consumers, ensure_streams
from adapters.nats_wire import parse_header_lines
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Stored
from contracts.letters import LetterFilter
from runtime.errors import ConflictError, InvalidError, UnavailableError
from runtime.limits import Limits
from tests.contract.holding import ONE, holding
from tests.contract.records import actor, record
from tests.servers import NatsServer, with_broker

BOTH: tuple[subjects.Lane, ...] = ("log", "run")


async def restart(server: NatsServer) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


class Traffic:
    """A writer that behaves as the kernel does, a follower and a consumer, and what each has seen."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.log = JetStreamLog(broker)
        self.queue = JetStreamQueue(broker)
        self.kept: list[str] = []  # events whose append was acknowledged
        self.published: set[str] = set()  # messages whose publish was acknowledged
        self.followed: list[Stored] = []
        self.consumed: set[str] = set()
        self.stop_writing = False
        self._progress = asyncio.Condition()

    async def follow(self) -> None:
        async for batch in self.log.follow(Domain.SOPHIA, BOTH, after=0):
            self.followed.extend(batch)
            await self._tell()

    async def consume(self) -> None:
        async with holding(self.queue) as holder:
            while True:
                delivery = await holder.next()
                self.consumed.add(delivery.headers["Nats-Msg-Id"])
                await delivery.ack()
                await self._tell()

    async def write(self) -> None:
        subject, last = subjects.log(actor()), 0
        while not self.stop_writing:
            events, message = [record() for _ in range(1 + last % 3)], record()
            try:
                last = await self.log.append(subject, events, expected=last)
                self.kept += [event.envelope.id for event in events]
                await self.queue.publish(subjects.inbox(ONE), message)
                self.published.add(message.envelope.id)
            except (UnavailableError, ConflictError):
                last = await self._reread(subject)

    async def _reread(self, subject: str) -> int:
        while True:
            await self.broker.wait_connected()
            with suppress(UnavailableError):
                stored = await self.log.read(subject)
                return stored[-1].sequence if stored else 0

    async def grown(self) -> None:
        followed, consumed = len(self.followed) + 50, len(self.consumed) + 50
        await self.until(lambda: len(self.followed) > followed and len(self.consumed) > consumed)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self._progress:
            await self._progress.wait_for(condition)

    async def _tell(self) -> None:
        async with self._progress:
            self._progress.notify_all()


def test_nothing_acknowledged_is_lost_by_kill_9_and_all_go_on(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        traffic = Traffic(broker)
        readers = [asyncio.create_task(work()) for work in (traffic.follow, traffic.consume)]
        writers = [asyncio.create_task(traffic.write()) for _ in range(4)]
        await traffic.grown()
        for _ in range(2):
            await restart(own_server)
            await traffic.grown()
        traffic.stop_writing = True
        await asyncio.gather(*writers)
        last = await traffic.log.last(Domain.SOPHIA)
        await traffic.until(lambda: traffic.followed[-1].sequence == last and traffic.published <= traffic.consumed)
        await end(readers)
        followed = [one.record.envelope.id for one in traffic.followed]
        assert [one.sequence for one in traffic.followed] == list(range(1, last + 1))
        assert set(traffic.kept) <= set(followed)
        assert len(set(followed)) == len(followed)

    with_broker(own_server, scenario)


async def end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results


def test_calls_fail_at_once_while_the_broker_is_away(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        log, queue, rpc = JetStreamLog(broker), JetStreamQueue(broker), NatsRpc(broker)
        subject = subjects.log(actor())
        hanging = asyncio.Event()
        asked = asyncio.Event()

        async def hang(body: bytes) -> bytes:
            asked.set()
            await hanging.wait()
            return body

        await rpc.serve("sophia.rpc.hang", hang)
        call = asyncio.create_task(rpc.call("sophia.rpc.hang", b"", timeout_s=60))
        await asked.wait()
        await asyncio.to_thread(own_server.kill)
        async with asyncio.timeout(REQUEST_S_MAX - 0.5):  # sooner than one of them is given up
            with pytest.raises(UnavailableError):
                await call
            assert not broker.is_connected
            for attempt in (
                log.append(subject, [record()], expected=0),
                log.append(subject, [record(), record()], expected=0),
                log.read(subject),
                log.last(Domain.SOPHIA),
                log.wait(subject, after=0, timeout_s=30),
                queue.publish(subjects.inbox(actor()), record()),
                JetStreamLetters(broker).find(LetterFilter(), limit=1),
            ):
                with pytest.raises(UnavailableError):
                    await attempt
        await asyncio.to_thread(own_server.start)
        await broker.wait_connected()
        assert await log.read(subject) == []  # what failed did not arrive later
        assert await log.append(subject, [record()], expected=0) == 1

    with_broker(own_server, scenario)


def test_a_wait_survives_a_restart(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        log = JetStreamLog(broker)
        subject = subjects.log(actor())

        async def wait() -> bool:
            while True:
                try:
                    return await log.wait(subject, after=0, timeout_s=30)
                except UnavailableError:
                    await broker.wait_connected()

        waiting = asyncio.create_task(wait())
        await restart(own_server)
        await broker.wait_connected()
        await log.append(subject, [record()], expected=0)
        assert await waiting

    with_broker(own_server, scenario)


def test_the_topology_may_be_ensured_again(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        log, queue = JetStreamLog(broker), JetStreamQueue(broker)
        subject = subjects.log(actor())
        await log.append(subject, [record()], expected=0)
        await queue.publish(subjects.inbox(ONE), record())
        async with holding(queue) as holder:
            await (await holder.next()).ack()
        await ensure_streams(broker)
        await ensure_consumers(broker, Domain.SOPHIA, Limits())
        assert await log.append(subject, [record()], expected=1) == 2

    with_broker(own_server, scenario)


def test_the_topology_may_be_made_by_several_at_once(own_server: NatsServer) -> None:
    async def main() -> None:
        brokers = [await connect(own_server.url, user=own_server.user, password=own_server.password) for _ in range(4)]
        await asyncio.gather(*(ensure_streams(broker) for broker in brokers))
        assert await JetStreamLog(brokers[0]).append(subjects.log(actor()), [record()], expected=0) == 1
        await asyncio.gather(*(broker.stop() for broker in brokers))

    asyncio.run(main())


def test_a_follower_whose_consumer_is_deleted_goes_on(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        log = JetStreamLog(broker)
        subject = subjects.log(actor())
        last = await log.append(subject, [record()], expected=0)
        async with aclosing(log.follow(Domain.SOPHIA, BOTH, after=0)) as batches:
            assert [one.sequence for one in await anext(batches)] == [1]
            stream = subjects.log_stream(Domain.SOPHIA)
            names = (await broker.api(f"CONSUMER.NAMES.{stream}", {}, dict))["consumers"]
            for name in names:
                await broker.api(f"CONSUMER.DELETE.{stream}.{name}", {}, dict)
            await log.append(subject, [record(), record()], expected=last)
            assert [one.sequence for one in await anext(batches)] == [2, 3]

    with_broker(own_server, scenario)


def test_what_is_too_large_is_refused_before_it_costs_the_connection(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        log, queue = JetStreamLog(broker), JetStreamQueue(broker)
        subject = subjects.log(actor())
        for size in (broker.payload_bytes_max - 100, broker.payload_bytes_max + 1):
            huge = record(bytes(size))
            with pytest.raises(InvalidError):
                await log.append(subject, [huge], expected=0)
            with pytest.raises(InvalidError):
                await log.append(subject, [record(), huge], expected=0)
            with pytest.raises(InvalidError):
                await queue.publish(subjects.inbox(actor()), huge)
        largest = record(bytes(broker.payload_bytes_max - (32 << 10)))
        assert await log.append(subject, [largest], expected=0) == 1
        assert [one.record for one in await log.read(subject)] == [largest]

    with_broker(own_server, scenario)


def test_a_broker_that_is_away_can_be_stopped(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        async def consume() -> None:
            async with holding(JetStreamQueue(broker)) as holder:
                await holder.feed.take()

        consuming = asyncio.create_task(consume())
        writes = [
            asyncio.create_task(JetStreamLog(broker).append(subjects.log(actor()), [record()], expected=0))
            for _ in range(300)
        ]
        await asyncio.to_thread(own_server.kill)
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert all(isinstance(result, int | UnavailableError) for result in results)
        async with asyncio.timeout(30):
            await broker.stop()
        with pytest.raises(UnavailableError):
            await consuming

    with_broker(own_server, scenario)


@pytest.mark.parametrize("turns", range(8))
def test_a_stopped_broker_leaves_nothing_behind_that_connects_again(own_server: NatsServer, turns: int) -> None:
    """Wherever the attempt to reconnect is when it is given up: each turn of the loop it is at another place."""

    async def main() -> None:
        broker = await connect(own_server.url, user=own_server.user, password=own_server.password)
        lost = asyncio.Event()
        broker.on_lost.add(lost.set)
        await asyncio.to_thread(own_server.kill)
        await lost.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await broker.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_feed_of_a_stopped_broker_lets_others_run(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        async def consume() -> None:
            async with holding(JetStreamQueue(broker)) as holder:
                held.set()
                await holder.next()

        held = asyncio.Event()
        consuming = asyncio.create_task(consume())
        await held.wait()
        await broker.stop()
        await end([consuming])

    with_broker(own_server, scenario)


def test_connecting_to_nobody_can_be_given_up(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with asyncio.timeout(1):
            await connect("nats://127.0.0.1:1")

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert len([one for one in caplog.records if one.name == "adapters.nats_complaints"]) == 1


def test_a_stopped_broker_stays_stopped(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        await broker.stop()
        await asyncio.gather(broker.stop(), broker.wait_closed())
        assert not broker.is_connected
        with pytest.raises(UnavailableError):
            await JetStreamLog(broker).last(Domain.SOPHIA)

    with_broker(own_server, scenario)


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b"A: 1\r\nB: x: y\r\n\r\n", {"A": "1", "B": "x: y"}),
        (b"A:1\r\nB:\t2 \r\nbroken\r\n\r\n", {"A": "1", "B": "2"}),
        ("A: Grüße\r\nE: \r\n".encode(), {"A": "Grüße", "E": ""}),
        (b"A: \xff\r\n", {"A": "\ufffd"}),
    ],
)
def test_headers_are_read_as_other_clients_write_them(raw: bytes, headers: dict[str, str]) -> None:
    assert parse_header_lines(raw) == headers


def test_a_hold_goes_on_at_once_after_the_broker_was_started_again(
    own_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody took the partition meanwhile: nothing is to be waited for."""

    async def scenario(broker: Broker) -> None:
        queue = JetStreamQueue(broker)
        async with holding(queue) as holder:
            await queue.publish(subjects.inbox(ONE), record())
            await (await holder.next()).ack()
            monkeypatch.setattr("adapters.jetstream_feed.OUSTED_S", 3_600)
            taking = asyncio.create_task(holder.next())
            await restart(own_server)
            await broker.wait_connected()
            sent = record()
            await queue.publish(subjects.inbox(ONE), sent)
            delivery = await taking  # perhaps the first again: who was killed need not know that it had ended
            while delivery.headers["Nats-Msg-Id"] != sent.envelope.id:
                delivery = await holder.next()
            monkeypatch.undo()

    with_broker(own_server, scenario)


def test_what_a_dead_worker_left_comes_before_what_was_sent_since(own_server: NatsServer) -> None:
    """Also when it had reported on the oldest last, so that the server hands that one out again after the others."""

    async def scenario(broker: Broker) -> None:
        sent = [record(b"%d" % number) for number in range(7)]
        for one in sent[:5]:
            await JetStreamQueue(broker).publish(subjects.inbox(ONE), one)
        dead = await connect(own_server.url, user=own_server.user, password=own_server.password)
        async with holding(JetStreamQueue(dead)) as holder:
            held = await holder.many(4)
            await held[1].ack()
            await held[0].working()
            await dead.stop()
        for one in sent[5:]:
            await JetStreamQueue(broker).publish(subjects.inbox(ONE), one)
        async with holding(JetStreamQueue(broker)) as holder:
            found = [one.body for one in await holder.many(7)]
        assert found == [one.body for one in sent]  # the second, too: it was ended behind one that was not

    with_broker(own_server, scenario)
