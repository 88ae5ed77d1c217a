"""Reading our own measurements and spans for a tool: a window of them, packed as a blob that holds aggregates only."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec
from msgspec import Struct

from contracts.domains import Clearance
from contracts.measurements import Measurement, Series
from contracts.trace import SpanRecord
from contracts.users import Permission
from runtime.errors import OutcomeError, UnavailableError
from runtime.ports import Blobs
from runtime.telemetry_ports import Measurements, SpanStore
from runtime.timings import Timings

MONITOR: Permission = "system:monitor"
"""What the asker needs: our own figures are made of everybody's work."""
LABEL = Clearance.INTERNAL
"""Of what is read: how much is done here, and how long it takes, is nothing for those who may read only what is public."""
POINTS_MAX = 1_000  # of a source; of a longer window each point is the mean of several measurements
READ_S_MAX = 60.0


class Observed(Struct, frozen=True):
    """The digest of the blob (`Series` or `Operations`), and how many measurements or spans it is made of."""

    digest: str
    count: int


class NothingMeasured:
    """Measurements where none are kept."""

    async def keep(self, measurement: Measurement) -> None: ...

    async def between(self, *_window: datetime) -> AsyncIterator[Sequence[Measurement]]:
        for nothing in list[list[Measurement]]():
            yield nothing


class NoSpans:
    """A SpanStore where none are kept."""

    async def store(self, spans: Sequence[SpanRecord]) -> None: ...

    async def trace(self, trace_id: str) -> list[SpanRecord]:  # noqa: ARG002 - the port's
        return []

    async def between(self, *_window: datetime) -> AsyncIterator[Sequence[SpanRecord]]:
        for nothing in list[list[SpanRecord]]():
            yield nothing


class Observing(Struct, frozen=True, kw_only=True):
    """A window [since, until), for whom."""

    since: datetime
    until: datetime
    clearance: Clearance
    permitted: bool

    def allowed(self) -> None:
        """Raises OutcomeError where the asker may not."""
        if not self.permitted:
            raise OutcomeError(f"our own figures were not read: the asker lacks the permission {MONITOR}")
        if self.clearance < LABEL:
            raise OutcomeError(f"our own figures were not read: they are {LABEL.value}, above the asker's clearance")


async def observe_measurements(kept: Measurements, asked: Observing, blobs: Blobs) -> Observed:
    """Raises OutcomeError where they may not be read, or cannot be now."""
    asked.allowed()
    columns = _Columns(asked.since, asked.until)
    async with _in_time("measurements"):
        async for page in kept.between(asked.since, asked.until):
            columns.take(page)
    return Observed(await blobs.put(msgspec.json.encode(columns.series())), columns.count)


async def observe_spans(kept: SpanStore, asked: Observing, blobs: Blobs) -> Observed:
    """Raises OutcomeError where they may not be read, or cannot be now."""
    asked.allowed()
    timings = Timings(asked.since, asked.until)
    async with _in_time("spans"):
        async for page in kept.between(asked.since, asked.until):
            timings.take(page)
            if timings.full:
                break
    found = await asyncio.to_thread(timings.operations)
    return Observed(await blobs.put(msgspec.json.encode(found)), found.spans)


@asynccontextmanager
async def _in_time(what: str) -> AsyncIterator[None]:
    """Nobody is kept waiting for what is no truth: OutcomeError where it is away, or too slow."""
    try:
        async with asyncio.timeout(READ_S_MAX):
            yield
    except (UnavailableError, TimeoutError) as error:
        reason = str(error) or f"reading took longer than {READ_S_MAX:g} s"
        raise OutcomeError(f"there are no {what} now: {reason}") from error


class _Columns:
    """Measurements as series, each point the mean of what fell into its part of the window."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self._part_ms = max(round((until - since).total_seconds() * 1_000 / POINTS_MAX), 1)
        self._sums: dict[str, dict[int, dict[str, tuple[float, int]]]] = {}
        self.count = 0

    def take(self, page: Sequence[Measurement]) -> None:
        self.count += len(page)
        for one in page:
            part = self._sums.setdefault(one.source, {}).setdefault(one.at_ms // self._part_ms, {})
            for name, value in one.figures.items():
                total, number = part.get(name, (0.0, 0))
                part[name] = total + value, number + 1

    def series(self) -> list[Series]:
        return [self._of(source, parts) for source, parts in sorted(self._sums.items())]

    def _of(self, source: str, parts: dict[int, dict[str, tuple[float, int]]]) -> Series:
        order = sorted(parts)
        names = sorted({name for part in parts.values() for name in part})
        figures = {name: tuple(_mean(parts[number].get(name)) for number in order) for name in names}
        return Series(source=source, at_ms=tuple(number * self._part_ms for number in order), figures=figures)


def _mean(summed: tuple[float, int] | None) -> float | None:
    return None if summed is None else float(f"{summed[0] / summed[1]:.6g}")
