"""A rebuild that proves itself: a new build beside the serving one, compared with it row by row, then swapped in."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing

from msgspec import Struct

from contracts.domains import Domain
from contracts.envelope import Stored
from runtime.errors import ConflictError
from runtime.ports import EventLog
from runtime.read_models import (
    AnyProjection,
    Batch,
    Build,
    ReadModels,
    TableCheck,
    UnequalError,
    fold,
    following,
    logged,
)

BATCH_EVENTS_MAX = 5_000
BATCH_BYTES_MAX = 16 << 20
SETTLE_EVENTS_MAX = 1_000  # How far behind a build may be when the serving one is made to stand still.
CATCH_UP_ROUNDS_MAX = 100


class Rebuilt(Struct, frozen=True):
    """What came of a rebuild: rows and checksum of every table, records folded, and whether it was held against a live one.

    `check_seconds` of its `seconds` went into reading both tables for their checksums.
    """

    projection: str
    version: int
    compared: bool
    tables: tuple[TableCheck, ...]
    events: int
    seconds: float
    check_seconds: float


Progress = Callable[[int, int], None]
"""Told after each batch: records read so far, and of how many (as far as is known)."""


async def rebuild(
    projection: AnyProjection,
    log: EventLog,
    read_models: ReadModels,
    progress: Progress | None = None,
    *,
    replace: bool = False,
) -> Rebuilt:
    """Build anew, compare, swap; the serving build goes on all the while except for the last records and the comparison.

    Raises UnequalError (nothing swapped) where the serving build is of the same version but has other rows, unless it is to
    be replaced whatever it holds, RebuildingError while another rebuild of it runs, UnavailableError.
    """
    started = time.monotonic()
    meter = _Meter(progress)
    async with read_models.build(projection) as build:
        await _catch_up(projection, log, build, meter)
        async with build.settle() as settlement:
            compared = settlement.live_version == projection.version
            for domain in projection.domains:
                into = await settlement.batch(domain)
                reached = settlement.live_positions.get(domain, 0)
                async with aclosing(between(log, domain, into.position, reached)) as batches:
                    async for batch in batches:
                        await _fold(projection, batch, into, meter)
            checking = time.monotonic()
            checks = await settlement.check()
            check_seconds = time.monotonic() - checking
            if compared and not replace:
                _demand_equal(projection, checks)
            await settlement.swap()
    seconds = time.monotonic() - started
    return Rebuilt(projection.name, projection.version, compared, tuple(checks), meter.events, seconds, check_seconds)


class _Meter:
    def __init__(self, progress: Progress | None) -> None:
        self.events = 0
        self.expected = 0
        self._progress = progress

    def add(self, number: int) -> None:
        self.events += number
        if self._progress is not None:
            self._progress(self.events, max(self.expected, self.events))


async def _catch_up(projection: AnyProjection, log: EventLog, build: Build, meter: _Meter) -> None:
    """Fold until little is missing. Of our own version: never beyond the serving build, so that the two can be compared."""
    position = dict.fromkeys(projection.domains, 0)
    for _ in range(CATCH_UP_ROUNDS_MAX):
        version, live = await build.live()
        target = await _target(projection, log, live, compared=version == projection.version)
        missing = sum(target[domain] - position[domain] for domain in projection.domains)
        meter.expected = meter.events + missing
        if missing <= 0 or (missing <= SETTLE_EVENTS_MAX and meter.events):
            return
        for domain in projection.domains:
            async with aclosing(_ahead(between(log, domain, position[domain], target[domain]))) as batches:
                async for batch in batches:
                    async with build.batch(domain) as into:
                        await _fold(projection, batch, into, meter)
            position[domain] = max(position[domain], target[domain])


async def _target(
    projection: AnyProjection, log: EventLog, live: Mapping[Domain, int], *, compared: bool
) -> dict[Domain, int]:
    target: dict[Domain, int] = {}
    for domain in projection.domains:
        last = await log.last(domain)
        reached = live.get(domain, 0)
        if reached > last:
            raise ConflictError(
                f"{projection.name} has come to {reached} in {domain.value}, but its log ends at {last}"
            )
        target[domain] = reached if compared else last
    return target


async def _fold(projection: AnyProjection, batch: Sequence[Stored], into: Batch, meter: _Meter) -> None:
    await fold(projection, logged(batch, projection.takes), into)
    await into.advance(batch[-1].sequence)
    meter.add(len(batch))


async def between(log: EventLog, domain: Domain, after: int, upto: int) -> AsyncGenerator[Sequence[Stored], None]:
    """The records above `after` up to `upto`, in batches larger than the log's own."""
    if after >= upto:
        return
    gathered: list[Stored] = []
    bytes_gathered = 0
    async with following(log, domain, after) as batches:
        async for batch in batches:
            gathered.extend(stored for stored in batch if stored.sequence <= upto)
            bytes_gathered += sum(len(stored.record.body) for stored in batch)
            end = batch[-1].sequence >= upto
            full = len(gathered) >= BATCH_EVENTS_MAX or bytes_gathered >= BATCH_BYTES_MAX
            if gathered and (end or full):
                yield gathered
                gathered, bytes_gathered = [], 0
            if end:
                return


async def _ahead(batches: AsyncGenerator[Sequence[Stored], None]) -> AsyncGenerator[Sequence[Stored], None]:
    """The same batches, the next one being read while this one is written."""

    async def read() -> Sequence[Stored] | None:
        return await anext(batches, None)

    reading = asyncio.create_task(read())
    try:
        while (batch := await reading) is not None:
            reading = asyncio.create_task(read())
            yield batch
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await batches.aclose()


def _demand_equal(projection: AnyProjection, checks: Sequence[TableCheck]) -> None:
    wrong = [
        f"table {check.table}: {check.rows} rows (checksum {check.checksum}) rebuilt, "
        f"{check.live_rows} rows (checksum {check.live_checksum}) serving"
        for check in checks
        if not check.equal
    ]
    if wrong:
        raise UnequalError(f"{projection.name} was not swapped: {'; '.join(wrong)}")
