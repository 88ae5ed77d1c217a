"""What is measured of a process, and that measuring goes on whatever one source does."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from adapters.host_figures import RoleFigures
from adapters.measurement_store import MemoryMeasurements
from adapters.prometheus import PrometheusMetrics
from contracts.measurements import Measurement
from runtime.errors import UnavailableError
from runtime.measuring import Figures, Sampler
from runtime.telemetry import EFFECT_SECONDS, EVENTS_TOTAL, LIVE_ACTORS, REQUEST_SECONDS, REQUESTS_TOTAL

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


async def kept(store: MemoryMeasurements) -> list[Measurement]:
    return [one async for page in store.between(NOON, NOON + timedelta(days=1)) for one in page]


def test_every_source_is_measured_at_the_same_moment_and_a_failing_one_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = [UnavailableError("broker", "gone"), RuntimeError("odd"), UnavailableError("broker", "gone")]

    async def well() -> Figures:
        return {"cpu share": 0.123456789, "bytes": 123456789.0}

    async def ill() -> Figures:
        raise broken.pop()

    async def body() -> None:
        store = MemoryMeasurements()
        sampler = Sampler(store, {"ill": ill, "well": well}, every_s=30, clock=lambda: NOON)
        for _ in range(3):
            await sampler.sample()
        found = await kept(store)
        assert [one.source for one in found] == ["well"] * 3
        assert found[0].figures == {"cpu share": 0.123457, "bytes": 123457000.0}
        assert found[0].at_ms == NOON.timestamp() * 1_000

    with caplog.at_level(logging.WARNING):
        asyncio.run(body())
    assert [record.message for record in caplog.records] == [
        "ill is not measured, trying on: broker is unavailable: gone"
    ]


def test_a_sampler_measures_at_the_multiples_of_its_interval_until_it_is_stopped() -> None:
    async def body() -> None:
        store, taken = MemoryMeasurements(), asyncio.Event()

        async def source() -> Figures:
            taken.set()
            return {}

        sampler = Sampler(store, {"one": source}, every_s=0.01)
        await sampler.start()
        await asyncio.wait_for(taken.wait(), 10)
        await sampler.stop()
        await sampler.stop()

    asyncio.run(body())


def test_a_role_is_measured_by_what_its_metrics_count_since_the_last_time() -> None:
    metrics = PrometheusMetrics()
    figures = RoleFigures(metrics)
    assert figures.take(1).keys() == {"cpu share", "memory bytes", "threads", "open files"}
    for seconds, status in ((0.1, "200"), (0.3, "200"), (0.5, "503")):
        metrics.count(REQUESTS_TOTAL, route="/v1/a", method="GET", status=status)
        metrics.observe(REQUEST_SECONDS, seconds, route="/v1/a")
    metrics.observe(EFFECT_SECONDS, 2.0, effect="chat")
    metrics.observe(EFFECT_SECONDS, 0.5, effect="search")
    metrics.count(EVENTS_TOTAL, 4, kind="conversation")
    metrics.count(EVENTS_TOTAL, 6, kind="signal")
    metrics.gauge(LIVE_ACTORS, 7)
    found = figures.take(10)
    assert found["requests per s"] == pytest.approx(0.3)
    assert found["failed requests per s"] == pytest.approx(0.1)
    assert found["request mean ms"] == pytest.approx(300)
    assert found["request /v1/a mean ms"] == pytest.approx(300)
    assert found["effect mean ms"] == pytest.approx(1_250)
    assert found["effect chat mean ms"] == pytest.approx(2_000)
    assert found["events per s"] == pytest.approx(1.0)
    assert found["live actors"] == 7
    quiet = figures.take(10)
    assert quiet["events per s"] == 0
    assert "effect mean ms" not in quiet
