"""SpanStore: one suite for memory and JetStream."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from adapters.jetstream import connect
from adapters.jetstream_streams import ensure_streams
from adapters.span_store import JetStreamSpanStore, MemorySpanStore
from contracts.ids import new_id
from contracts.trace import SpanRecord
from runtime.errors import InvalidError
from runtime.telemetry_ports import SpanStore
from tests.servers import NatsServer

Scenario = Callable[[SpanStore], Awaitable[None]]
Run = Callable[[Scenario], None]


@pytest.fixture(params=["memory", "jetstream"])
def run(request: pytest.FixtureRequest) -> Run:
    if request.param == "memory":
        return lambda scenario: asyncio.run(_bounded(scenario(MemorySpanStore())))
    server: NatsServer = request.getfixturevalue("nats_server")

    async def on_server(scenario: Scenario) -> None:
        broker = await connect(server.url, user=server.user, password=server.password)
        try:
            await ensure_streams(broker)
            await scenario(JetStreamSpanStore(broker))
        finally:
            await broker.stop()

    return lambda scenario: asyncio.run(_bounded(on_server(scenario)))


async def _bounded(work: Awaitable[None]) -> None:
    async with asyncio.timeout(30):
        await work


def trace() -> str:
    return new_id().replace("-", "")


def span(trace_id: str, number: int, *, start: int = 0, end: int = 10, name: str = "handle") -> SpanRecord:
    return SpanRecord(
        trace_id=trace_id,
        span_id=f"{number:016x}",
        parent_id=None if number == 1 else f"{1:016x}",
        name=name,
        service="sophia",
        start_ns=start,
        end_ns=end,
        status="failed",
        reason="because",
        attributes={"text": "é", "number": 3, "part": 0.5, "yes": True},
    )


def test_a_trace_comes_back_whole_by_start_time_and_alone(run: Run) -> None:
    async def scenario(store: SpanStore) -> None:
        one, other = trace(), trace()
        late, early, stranger = span(one, 1, start=5), span(one, 2, start=1), span(other, 3)
        await store.store([late, stranger])
        await store.store([early])
        assert await store.trace(one) == [early, late]
        assert await store.trace(other) == [stranger]
        assert await store.trace(trace()) == []

    run(scenario)


def test_a_repeat_supersedes_the_attempt_that_ended_before_it(run: Run) -> None:
    async def scenario(store: SpanStore) -> None:
        one = trace()
        await store.store([span(one, 1, end=30, name="second attempt")])
        await store.store([span(one, 1, end=20, name="first attempt")])
        assert [found.name for found in await store.trace(one)] == ["second attempt"]

    run(scenario)


def test_reads_more_messages_than_one_page_holds(run: Run) -> None:
    async def scenario(store: SpanStore) -> None:
        one = trace()
        for number in range(1, 1202):
            await store.store([span(one, number, start=number)])
        assert len(await store.trace(one)) == 1201

    run(scenario)


def test_storing_nothing_is_no_error_and_a_strange_id_is(run: Run) -> None:
    async def scenario(store: SpanStore) -> None:
        await store.store([])
        for strange in ("", "*", "A" * 32, "0" * 31, trace() + ".>"):
            with pytest.raises(InvalidError):
                await store.trace(strange)

    run(scenario)


def test_what_ended_in_a_window_comes_back_whatever_trace_it_is_of(run: Run) -> None:
    async def scenario(store: SpanStore) -> None:
        now = datetime.now(UTC)
        at = round(now.timestamp() * 1e9)
        one, other = trace(), trace()
        before = span(one, 1, start=at - 2_000_000_000, end=at - 1_000_000_000)
        within = [span(one, 2, start=at - 5_000_000_000, end=at + 1_000_000), span(other, 3, start=at, end=at + 2)]
        after = span(other, 4, start=at, end=at + 5_000_000_000)
        await store.store([before, *within, after])
        pages = store.between(now - timedelta(milliseconds=1), now + timedelta(seconds=5))
        found = [ended async for page in pages for ended in page if ended.trace_id in (one, other)]
        assert sorted(found, key=lambda ended: ended.span_id) == within

    run(scenario)
