"""Measurements: one suite for memory and JetStream; and what is measured of a real broker and a real machine."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.broker_figures import broker_figures
from adapters.host_figures import machine
from adapters.jetstream import connect
from adapters.jetstream_queue import JetStreamQueue
from adapters.jetstream_streams import ensure_consumers, ensure_streams
from adapters.measurement_store import JetStreamMeasurements, MemoryMeasurements
from contracts import subjects
from contracts.domains import Domain
from contracts.ids import new_id
from contracts.measurements import Measurement
from contracts.subjects import ActorRef
from runtime.limits import Limits
from runtime.telemetry_ports import Measurements
from tests.contract.records import record
from tests.servers import NatsServer

Scenario = Callable[[Measurements], Awaitable[None]]
Run = Callable[[Scenario], None]


@pytest.fixture(params=["memory", "jetstream"])
def run(request: pytest.FixtureRequest) -> Run:
    if request.param == "memory":
        return lambda scenario: asyncio.run(_bounded(scenario(MemoryMeasurements())))
    server: NatsServer = request.getfixturevalue("nats_server")

    async def on_server(scenario: Scenario) -> None:
        broker = await connect(server.url, user=server.user, password=server.password)
        try:
            await ensure_streams(broker)
            await scenario(JetStreamMeasurements(broker))
        finally:
            await broker.stop()

    return lambda scenario: asyncio.run(_bounded(on_server(scenario)))


async def _bounded(work: Awaitable[None]) -> None:
    async with asyncio.timeout(30):
        await work


def source() -> str:
    return f"t{new_id()}"


def now_ms() -> datetime:
    """Measurements are dated to the millisecond."""
    return datetime.now(UTC).replace(microsecond=0)


def measured(of: str, moment: datetime, **figures: float) -> Measurement:
    return Measurement(source=of, at_ms=round(moment.timestamp() * 1_000), figures=figures)


async def between(kept: Measurements, since: datetime, until: datetime, *sources: str) -> list[Measurement]:
    found = [one async for page in kept.between(since, until) for one in page]
    return [one for one in found if one.source in sources]


def test_what_was_measured_in_a_window_comes_back_in_order(run: Run) -> None:
    async def scenario(kept: Measurements) -> None:
        one, other, now = source(), source(), now_ms()
        wanted = [measured(one, now, cpu=0.25), measured(other, now, connections=3)]
        early, late = measured(one, now - timedelta(seconds=5)), measured(one, now + timedelta(seconds=5), cpu=1)
        for measurement in (early, *wanted, late):
            await kept.keep(measurement)
        window = now - timedelta(seconds=1), now + timedelta(seconds=5)
        assert await between(kept, *window, one, other) == wanted
        assert await between(kept, now - timedelta(seconds=9), now - timedelta(seconds=6), one, other) == []
        assert await between(kept, now + timedelta(hours=1), now + timedelta(hours=2), one, other) == []

    run(scenario)


def test_a_window_of_more_than_one_page(run: Run) -> None:
    async def scenario(kept: Measurements) -> None:
        one, now = source(), now_ms()
        wanted = [measured(one, now, cpu=number) for number in range(1_203)]
        await asyncio.gather(*(kept.keep(measurement) for measurement in wanted))
        found = await between(kept, now, now + timedelta(seconds=1), one)
        assert sorted(measurement.figures["cpu"] for measurement in found) == list(range(1_203))

    run(scenario)


def test_a_source_is_the_name_of_one(run: Run) -> None:
    async def scenario(kept: Measurements) -> None:
        for strange in ("", "a b", "*", "a.b"):
            with pytest.raises(ValueError, match="not a source"):
                await kept.keep(measured(strange, datetime.now(UTC)))

    run(scenario)


def test_the_broker_tells_any_client_of_ours_what_it_holds_and_who_waits(nats_server: NatsServer) -> None:
    async def scenario() -> None:
        broker = await connect(nats_server.url, user=nats_server.user, password=nats_server.password)
        try:
            await ensure_streams(broker)
            await ensure_consumers(broker, Domain.SYSTEM, Limits())
            before = await broker_figures(broker)
            actor = ActorRef(Domain.SYSTEM, "user", new_id())
            await JetStreamQueue(broker).publish(subjects.inbox(actor), record())
            after = await broker_figures(broker)
        finally:
            await broker.stop()
        assert after["SYSTEM_IN messages"] == before["SYSTEM_IN messages"] + 1
        assert after["SYSTEM_IN pending"] == before["SYSTEM_IN pending"] + 1
        assert after["SYSTEM_IN unacknowledged"] == 0
        assert after["SYSTEM_IN last sequence"] == before["SYSTEM_IN last sequence"] + 1
        assert after["SYSTEM_IN bytes"] > before["SYSTEM_IN bytes"]
        assert 0 < after["SYSTEM_IN filled share"] < 0.01
        assert after["connections"] >= 1
        assert after["slow consumers"] == 0
        assert {f"{name} messages" for name in ("SPANS", "BLOBS", "DLQ", "MEASUREMENTS", "CEO_LOG")} <= after.keys()

    asyncio.run(_bounded(scenario()))


def test_the_machine_is_measured_in_shares(tmp_path: Path) -> None:
    found = machine(str(tmp_path))()
    shares = {name: value for name, value in found.items() if name.endswith(" share")}
    assert shares.keys() == {"cpu share", "memory share", "swap share", "disk share"}
    assert all(0 <= value <= 1 for value in shares.values())
    assert found["memory available bytes"] > 0
