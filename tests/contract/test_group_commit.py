"""Group commit under conflicts, refusals, lies, lost connections and stops: nobody is ever told a place that is not his."""

import asyncio
from collections.abc import Callable

import pytest

from adapters.jetstream import Ack, Msg, connect
from adapters.jetstream_commit import Committer, Outgoing, outgoing
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_streams import ensure_streams
from contracts import subjects
from runtime.errors import ConflictError, UnavailableError
from tests.contract.conftest import World, on_server
from tests.contract.records import actor, record
from tests.servers import NatsServer

MANY = 120


def test_a_conflict_and_a_repeated_id_in_a_batch_fail_alone(nats_server: NatsServer) -> None:
    async def scenario(world: World) -> None:
        old = record()
        taken = subjects.log(actor())
        last = await world.log.append(taken, [old], expected=0)
        names = [subjects.log(actor()) for _ in range(MANY)]
        offers = {name: [record() for _ in range(1 + number % 2)] for number, name in enumerate(names)}
        results = await asyncio.gather(
            world.log.append(taken, [record()], expected=last + 7),
            world.log.append(subjects.log(actor()), [old], expected=0),
            *(world.log.append(name, offer, expected=0) for name, offer in offers.items()),
            return_exceptions=True,
        )
        assert [type(one) for one in results[:2]] == [ConflictError, ConflictError]
        for name, told in zip(names, results[2:], strict=True):
            stored = await world.log.read(name)
            assert [one.record for one in stored] == offers[name]
            assert stored[-1].sequence == told

    asyncio.run(on_server(nats_server, scenario))


def test_places_hold_when_the_connection_is_lost_under_way(own_server: NatsServer) -> None:
    async def main() -> None:
        broker = await connect(own_server.url, user=own_server.user, password=own_server.password)
        await ensure_streams(broker)
        log = JetStreamLog(broker)
        names = [subjects.log(actor()) for _ in range(MANY)]
        told: dict[tuple[str, int], str] = {}
        some = asyncio.Event()

        async def write(name: str) -> None:
            last = 0
            while True:
                event = record()
                last = await log.append(name, [event], expected=last)
                told[name, last] = event.envelope.id
                if len(told) > 4 * MANY:
                    some.set()

        writers = [asyncio.create_task(write(name)) for name in names]
        await some.wait()
        await asyncio.to_thread(own_server.kill)
        results = await asyncio.gather(*writers, return_exceptions=True)
        assert all(isinstance(one, UnavailableError) for one in results)
        await asyncio.to_thread(own_server.start)
        await broker.wait_connected()
        stored = {
            (name, one.sequence): one.record.envelope.id
            for name in names
            for one in await JetStreamLog(broker).read(name)
        }
        assert told.items() <= stored.items()
        assert await log.append(subjects.log(actor()), [record()], expected=0) > max(place for _, place in told)
        await broker.stop()

    asyncio.run(main())


def test_a_stop_leaves_nobody_waiting(own_server: NatsServer) -> None:
    async def main() -> None:
        broker = await connect(own_server.url, user=own_server.user, password=own_server.password)
        await ensure_streams(broker)
        log = JetStreamLog(broker)
        writes = [
            asyncio.create_task(log.append(subjects.log(actor()), [record()] * (1 + number % 2), expected=0))
            for number in range(10 * MANY)
        ]
        await asyncio.wait(writes, return_when=asyncio.FIRST_COMPLETED)
        async with asyncio.timeout(10):
            await broker.stop()
            results = await asyncio.gather(*writes, return_exceptions=True)
        assert all(isinstance(one, int | UnavailableError | ConflictError) for one in results)
        assert any(isinstance(one, UnavailableError) for one in results)
        with pytest.raises(UnavailableError):
            await log.append(subjects.log(actor()), [record()], expected=0)

    asyncio.run(main())


def test_more_writes_than_may_wait_are_refused_at_once_and_the_others_stored(own_server: NatsServer) -> None:
    async def main() -> None:
        broker = await connect(own_server.url, user=own_server.user, password=own_server.password, writes_waiting_max=5)
        await ensure_streams(broker)
        log = JetStreamLog(broker)
        writes = [log.append(subjects.log(actor()), [record()], expected=0) for _ in range(MANY)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        refused = [one for one in results if isinstance(one, UnavailableError)]
        assert [str(one) for one in refused] == ["broker is unavailable: too many writes wait for the disk"] * (
            MANY - 5
        )
        assert sum(isinstance(one, int) for one in results) == 5
        await broker.stop()

    asyncio.run(main())


Reply = Callable[[dict[str, str]], bytes | None]


async def _answered(server: NatsServer, reply: Reply, count: int) -> tuple[list[Ack | BaseException], int]:
    """What `count` writers are told by a stand-in for the stream, and how many requests that took it."""
    broker = await connect(server.url, user=server.user, password=server.password)
    requests = 0

    def serve(msg: Msg) -> None:
        nonlocal requests
        if msg.reply and (answer := reply(msg.headers or {})) is not None:
            requests += 1
            broker.send(broker.checked(msg.reply, answer))

    try:
        await broker.subscribe("sophia.log.>", serve)
        committer = Committer(broker)
        messages: list[Outgoing] = [outgoing(subjects.log(actor()), record(), 0) for _ in range(count)]
        results = await asyncio.gather(*(committer.store([one]) for one in messages), return_exceptions=True)
    finally:
        await broker.stop()
    return list(results), requests


@pytest.mark.parametrize(
    "answer", [b'{"stream":"S","seq":77}', b'{"stream":"S","seq":77,"batch":"other","count":40}', b"{", b'{"seq":3}']
)
def test_an_answer_that_does_not_confirm_the_whole_batch_is_no_success(own_server: NatsServer, answer: bytes) -> None:
    results, requests = asyncio.run(_answered(own_server, lambda _: answer, 40))
    assert requests == 1
    assert all(isinstance(one, UnavailableError) for one in results)


@pytest.mark.parametrize("code", [10199, 10210, 10176, 10008])
def test_what_is_refused_as_a_batch_is_stored_one_by_one(own_server: NatsServer, code: int) -> None:
    def reply(headers: dict[str, str]) -> bytes:
        if "Nats-Batch-Id" in headers:
            return b'{"error":{"code":400,"err_code":%d,"description":"no"}}' % code
        return b'{"stream":"S","seq":5}'

    results, requests = asyncio.run(_answered(own_server, reply, 40))
    assert requests == 41
    assert results == [Ack(seq=5)] * 40
