"""Timers on the real broker across kill -9, and while the inbox is full."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from adapters.jetstream import Broker
from adapters.jetstream_pull import Puller
from adapters.jetstream_queue import JetStreamQueue
from adapters.jetstream_timers import JetStreamTimers
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record, from_headers
from runtime.errors import UnavailableError
from runtime.schedule import Every
from tests.contract.holding import ONE, Holder, holding
from tests.contract.records import record
from tests.servers import NatsServer, with_broker


class Inbox:
    """What arrives in an inbox. An acknowledgement may be lost with the broker: what was seen before is passed over."""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder
        self._seen: set[int] = set()

    async def next(self) -> str:
        """The id of the next message, which is acknowledged."""
        while True:
            delivery = await self._holder.next()
            await delivery.ack()
            if delivery.sequence not in self._seen:
                self._seen.add(delivery.sequence)
                return from_headers(delivery.headers).id


@asynccontextmanager
async def inbox(broker: Broker) -> AsyncIterator[Inbox]:
    async with holding(JetStreamQueue(broker)) as holder:
        yield Inbox(holder)


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def killed_and_back(server: NatsServer, broker: Broker) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    await broker.wait_connected()


@pytest.mark.parametrize("away_s", [0.0, 2.5])
def test_a_two_second_timer_fires_once_over_kill_9(own_server: NatsServer, away_s: float) -> None:
    """Whether its moment comes while the broker is away or later."""

    async def scenario(broker: Broker) -> None:
        timers, sent, last = JetStreamTimers(broker), record(), record()
        due = soon(2)
        await timers.set(ONE, "two", sent, due)
        await asyncio.to_thread(own_server.kill)
        await asyncio.sleep(away_s)  # It is time itself that passes, for a broker that is not there.
        await asyncio.to_thread(own_server.start)
        await broker.wait_connected()
        async with inbox(broker) as arriving:
            assert await arriving.next() == sent.envelope.id
            assert datetime.now(UTC) >= due
            await killed_and_back(own_server, broker)  # what has fired, was handled and is gone from the inbox stays so
            await timers.set(ONE, "last", last, soon(2))
            assert await arriving.next() == last.envelope.id

    with_broker(own_server, scenario)


def test_a_recurring_timer_goes_on_after_kill_9_and_no_firing_comes_twice(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        timers = JetStreamTimers(broker)
        await timers.set(ONE, "tick", record(), Every(1))
        async with inbox(broker) as arriving:
            fired = [await arriving.next() for _ in range(2)]
            for _ in range(2):
                await killed_and_back(own_server, broker)
                fired += [await arriving.next() for _ in range(2)]
        assert len(set(fired)) == len(fired)

    with_broker(own_server, scenario)


def test_what_fires_while_the_inbox_is_full_comes_when_there_is_room(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        queue, timers, sent = JetStreamQueue(broker), JetStreamTimers(broker), record()
        await timers.set(ONE, "x", sent, soon(1))
        stream = subjects.in_stream(Domain.SOPHIA)
        config = (await broker.api(f"STREAM.INFO.{stream}", {}, dict))["config"]
        await broker.api(f"STREAM.UPDATE.{stream}", {**config, "max_msgs": 2}, dict)
        held = [record(), record()]
        for one in held:
            await queue.publish(subjects.inbox(ONE), one)
        with pytest.raises(UnavailableError):
            await queue.publish(subjects.inbox(ONE), record())
        await _until_due(broker)
        await broker.api(f"STREAM.UPDATE.{stream}", config, dict)
        async with inbox(broker) as arriving:
            assert [await arriving.next() for _ in range(3)] == [*(one.envelope.id for one in held), sent.envelope.id]

    with_broker(own_server, scenario)


async def _until_due(broker: Broker) -> None:
    """Return when the timer stream holds what has fired, and the inbox has not."""
    stream = subjects.timer_stream(Domain.SOPHIA)
    config = {"name": "watch", "ack_policy": "none", "filter_subject": f"sophia.{subjects.DUE}.>"}
    await broker.api(f"CONSUMER.CREATE.{stream}.watch", {"stream_name": stream, "config": config}, dict)
    puller = Puller(broker, stream, "watch", buffer_max=1)
    await puller.open()
    await puller.take(1)
    await puller.close()


def test_a_timer_that_was_set_before_a_failed_confirmation_is_no_second_one(own_server: NatsServer) -> None:
    """A rerun sets it again: it fires once, with the id of the record."""

    async def scenario(broker: Broker) -> None:
        timers, ref, sent, mark = JetStreamTimers(broker), ONE, record(), record()
        for _ in range(3):
            await timers.set(ref, "x", Record(sent.envelope, sent.body), soon(1))
            await killed_and_back(own_server, broker)
        await timers.set(ref, "mark", mark, soon(2))
        async with inbox(broker) as arriving:
            fired = [await arriving.next()]
            while fired[-1] != mark.envelope.id:
                fired.append(await arriving.next())
        assert set(fired) == {sent.envelope.id, mark.envelope.id}

    with_broker(own_server, scenario)
