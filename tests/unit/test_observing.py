"""Our own figures are read for a tool by whom it is allowed, as aggregates, and journaled."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from adapters.measurement_store import MemoryMeasurements
from adapters.memory import MemoryBlobs, MemoryBroker
from adapters.span_store import MemorySpanStore
from contracts.domains import Clearance
from contracts.measurements import Measurement, Series
from contracts.operations import Operations
from contracts.trace import SpanRecord
from runtime.errors import OutcomeError, UnavailableError
from runtime.observing import POINTS_MAX, Observing, observe_measurements, observe_spans

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOON_MS = round(NOON.timestamp() * 1_000)


def asking(*, clearance: Clearance = Clearance.INTERNAL, permitted: bool = True) -> Observing:
    return Observing(since=NOON, until=NOON + HOUR, clearance=clearance, permitted=permitted)


def test_who_lacks_the_permission_or_the_clearance_reads_nothing() -> None:
    async def body() -> None:
        blobs = MemoryBlobs(MemoryBroker())
        for asked, why in (
            (asking(permitted=False), "lacks the permission system:monitor"),
            (asking(clearance=Clearance.PUBLIC), "above the asker's clearance"),
        ):
            with pytest.raises(OutcomeError, match=why):
                await observe_measurements(MemoryMeasurements(), asked, blobs)
            with pytest.raises(OutcomeError, match=why):
                await observe_spans(MemorySpanStore(), asked, blobs)

    asyncio.run(body())


def test_measurements_become_columns_and_those_of_a_long_window_means() -> None:
    async def body() -> None:
        blobs, kept = MemoryBlobs(MemoryBroker()), MemoryMeasurements()
        for at in (0, 60_000, 60_001):
            await kept.keep(
                Measurement(source="host", at_ms=NOON_MS + at, figures={"cpu": float(at % 7), f"at {at}": 1.0})
            )
        await kept.keep(Measurement(source="host", at_ms=NOON_MS + 3_600_000, figures={"cpu": 9.0}))
        found = await observe_measurements(kept, asking(), blobs)
        (series,) = msgspec.json.decode(await blobs.get(found.digest), type=list[Series])
        assert found.count == 3
        assert series.at_ms == (NOON_MS, NOON_MS + 60_000 - 60_000 % 3_600)
        assert series.figures["cpu"] == (0.0, (60_000 % 7 + 60_001 % 7) / 2)
        assert series.figures["at 60001"] == (None, 1.0)
        for number in range(3 * POINTS_MAX):
            await kept.keep(Measurement(source="host", at_ms=NOON_MS + number * 1_200, figures={"cpu": 1.0}))
        found = await observe_measurements(kept, asking(), blobs)
        (series,) = msgspec.json.decode(await blobs.get(found.digest), type=list[Series])
        assert len(series.at_ms) == POINTS_MAX

    asyncio.run(body())


def test_spans_become_operations() -> None:
    async def body() -> None:
        blobs, kept = MemoryBlobs(MemoryBroker()), MemorySpanStore()
        start = NOON_MS * 1_000_000
        await kept.store(
            [
                SpanRecord(
                    trace_id="0" * 32,
                    span_id=f"{at:016x}",
                    name="handle",
                    service="ceo",
                    start_ns=start,
                    end_ns=start + at,
                )
                for at in (1_000_000, 3_000_000)
            ]
        )
        found = await observe_spans(kept, asking(), blobs)
        (operation,) = msgspec.json.decode(await blobs.get(found.digest), type=Operations).operations
        assert (found.count, operation.name, operation.count, sorted(operation.ms)) == (2, "handle", 2, [1.0, 3.0])

    asyncio.run(body())


def test_nobody_waits_for_what_is_away() -> None:
    class Away(MemoryMeasurements):
        def between(self, *_window: datetime):  # type: ignore[no-untyped-def]
            raise UnavailableError("broker", "gone")

    async def body() -> None:
        with pytest.raises(OutcomeError, match="no measurements now"):
            await observe_measurements(Away(), asking(), MemoryBlobs(MemoryBroker()))

    asyncio.run(body())
