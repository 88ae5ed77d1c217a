"""The projector: follows every domain's log and folds it into the read models, each record exactly once.

Rows and position are one transaction, so a crash at any point repeats or loses nothing; records at or below a position are
skipped, so two projectors at once do no harm. A position that went back (a rollback, a database restored or crashed before
its last asynchronous commits) makes the projector read the log again from there.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack

from contracts.domains import Domain
from contracts.envelope import Stored
from runtime.errors import DiarchyError, UnavailableError
from runtime.ports import EventLog
from runtime.read_models import (
    AnyProjection,
    Logged,
    OutdatedError,
    ReadModels,
    RebuildingError,
    fold,
    following,
    logged,
)
from runtime.rebuild import rebuild
from runtime.telemetry import PROJECTED_TOTAL, SPAN_PROJECT, NoTelemetry, Telemetry

BATCH_EVENTS_MAX = 500  # in one transaction
SPAN_BATCH_EVENTS_MAX = 100  # A larger batch is catching up, not live traffic.
UNSAVED_EVENTS_MAX = 1_000  # How many records without news a position may stay behind what was read.
CHECK_EVERY_S = (
    5.0  # How often the stored positions are compared with ours: nothing else tells of a rollback when all is quiet.
)
BACKOFF_S_MIN = 0.1
LAST_BATCH_S_MAX = 5.0  # What a stop allows the batch under way.
BACKOFF_S_MAX = 5.0
_log = logging.getLogger(__name__)

Announce = Callable[[Domain, int], Awaitable[None]]
"""Told after the commit: every projection of the domain has reached this sequence."""


class _MovedBackError(DiarchyError):
    """A stored position is below what this projector had committed: read the log again from there."""


class _Reader:
    """How far one projection has come in one domain: `saved` in the database, `seen` in the log."""

    def __init__(self, projection: AnyProjection, saved: int) -> None:
        self.projection = projection
        self.saved = saved
        self.seen = saved

    def demand(self, stored: int, ours: int, domain: Domain) -> None:
        """Raise _MovedBackError where the stored position is below what we had committed."""
        if stored < ours:
            raise _MovedBackError(f"{self.projection.name} went back in {domain.value} from {ours} to {stored}")


class ExactlyOnceProjector:
    """Folds the logs into all given projections until stopped. A Runnable.

    A projection whose serving build is older than the code is rebuilt beside it and followed after the swap; one whose
    build is newer is left alone, because a newer process serves it. While the database or the log is down the projector
    retries with a capped back-off and then resumes where the committed positions are.
    """

    def __init__(  # noqa: PLR0913 - what it works on, and how
        self,
        log: EventLog,
        read_models: ReadModels,
        projections: Sequence[AnyProjection],
        *,
        announce: Announce | None = None,
        telemetry: Telemetry | None = None,
        check_every_s: float = CHECK_EVERY_S,
        batch_max: int = BATCH_EVENTS_MAX,
    ) -> None:
        self._event_log = log
        self._read_models = read_models
        self._projections = tuple(projections)
        self._announce = announce
        self._telemetry: Telemetry = telemetry or NoTelemetry()
        self._check_every_s = check_every_s
        self._batch_max = batch_max
        self._readers: dict[Domain, list[_Reader]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="projector")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        """Follow what is current; after every upgrade begin again with one more projection."""
        wait_s = BACKOFF_S_MIN
        while True:
            try:
                versions = await self._read_models.prepare(self._projections)
                current = [one for one in self._projections if versions[one.name] == one.version]
                outdated = [one for one in self._projections if versions[one.name] < one.version]
                for one in self._projections:
                    if versions[one.name] > one.version:
                        _log.error(
                            "%s is served in version %d, newer than our %d", one.name, versions[one.name], one.version
                        )
                if current or outdated:
                    wait_s = BACKOFF_S_MIN
                    await self._follow_all(current, outdated)
            except _MovedBackError as error:
                _log.warning("%s", error)
                continue
            except UnavailableError as error:
                _log.warning("projector waits %.1f s: %s", wait_s, error)
            except Exception:  # noqa: BLE001 - reported whole, tried again: the positions have not moved
                _log.exception("projector failed; tries again in %.1f s", wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, BACKOFF_S_MAX)

    async def _follow_all(self, current: Sequence[AnyProjection], outdated: Sequence[AnyProjection]) -> None:
        """Returns when a projection was brought up to date, or a serving build is no longer of our version."""
        self._readers = {}
        tasks = [asyncio.create_task(self._check(), name="check positions")]
        for domain in Domain:
            readers = [one for one in current if domain in one.domains]
            if readers:
                tasks.append(asyncio.create_task(self._follow(domain, readers), name=f"project {domain.value}"))
        if outdated:
            tasks.append(asyncio.create_task(self._upgrade(outdated), name="upgrade"))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _check(self) -> None:
        """Raise _MovedBackError as soon as a stored position is seen to be below what was committed."""
        while True:
            await asyncio.sleep(self._check_every_s)
            ours = {(one.projection.name, domain): one for domain, some in self._readers.items() for one in some}
            saved = {place: reader.saved for place, reader in ours.items()}
            try:
                stored = {one.name: await self._read_models.positions(one) for one in self._projections}
            except UnavailableError as error:
                _log.warning("positions not checked: %s", error)
                continue
            for (name, domain), reader in ours.items():
                reader.demand(stored[name].get(domain, 0), saved[name, domain], domain)

    async def _upgrade(self, outdated: Sequence[AnyProjection]) -> None:
        for one in outdated:
            try:
                result = await rebuild(one, self._event_log, self._read_models)
                _log.info(
                    "%s upgraded to version %d: %d events in %.1f s",
                    one.name,
                    one.version,
                    result.events,
                    result.seconds,
                )
            except RebuildingError:
                await asyncio.sleep(BACKOFF_S_MAX)  # Somebody else is at it; look again whether he has swapped.

    async def _follow(self, domain: Domain, projections: Sequence[AnyProjection]) -> None:
        wait_s = BACKOFF_S_MIN
        while True:
            try:
                readers = [_Reader(one, (await self._read_models.positions(one)).get(domain, 0)) for one in projections]
                self._readers[domain] = readers
                after = min(reader.saved for reader in readers)
                if after > await self._event_log.last(domain):
                    _log.error(
                        "the read models of %s are ahead of its log: empty the database, then start again", domain.value
                    )
                await self._tell(domain, after)
                async with following(self._event_log, domain, after) as batches:
                    async for batch in batches:
                        for start in range(0, len(batch), self._batch_max):
                            part = batch[start : start + self._batch_max]
                            await _undisturbed(self._project(domain, readers, part))
                        wait_s = BACKOFF_S_MIN
                        await self._tell(domain, batch[-1].sequence)
            except OutdatedError as error:
                _log.info("%s", error)
                return
            except _MovedBackError as error:
                _log.warning("%s", error)
                continue
            except UnavailableError as error:
                _log.warning("projecting %s waits %.1f s: %s", domain.value, wait_s, error)
            except Exception:  # noqa: BLE001 - reported whole, tried again: the positions have not moved
                _log.exception("projecting %s failed; tries again in %.1f s", domain.value, wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, BACKOFF_S_MAX)

    async def _tell(self, domain: Domain, sequence: int) -> None:
        if self._announce is not None:
            await self._announce(domain, sequence)

    async def _project(self, domain: Domain, readers: Sequence[_Reader], batch: Sequence[Stored]) -> None:
        records = logged(batch)
        with ExitStack() as spans:
            if len(batch) <= SPAN_BATCH_EVENTS_MAX:
                for parent, number in _traces(records).items():
                    attributes = {"domain": domain.value, "events": number}
                    spans.enter_context(self._telemetry.span(SPAN_PROJECT, parent=parent, attributes=attributes))
            tasks = [
                asyncio.create_task(self._advance(domain, reader, records, batch[-1].sequence)) for reader in readers
            ]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _advance(self, domain: Domain, reader: _Reader, records: Sequence[Logged], last: int) -> None:
        """Fold one batch into one projection. A batch without news for it costs no transaction, up to a limit."""
        projection = reader.projection
        if last <= reader.seen:
            return
        if not projection.wanted(records) and last - reader.saved < UNSAVED_EVENTS_MAX:
            reader.seen = last
            return
        async with self._read_models.batch(projection, domain) as into:
            if into.position < reader.saved:
                raise _MovedBackError(
                    f"{projection.name}/{domain.value} went back from {reader.saved} to {into.position}"
                )
            number = 0
            if into.position < last:
                number = await fold(projection, records, into)
                await into.advance(last)
            saved = max(last, into.position)
        reader.saved = reader.seen = saved
        if number:
            self._telemetry.count(PROJECTED_TOTAL, number, projection=projection.name)


async def _undisturbed(work: Coroutine[None, None, None]) -> None:
    """Let a transaction end before a cancellation takes effect, if it ends within reason."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=LAST_BATCH_S_MAX)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


def _traces(records: Sequence[Logged]) -> dict[str, int]:
    """One traceparent for each trace in the batch (its first record's), and how many records it has."""
    parents: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for record in records:
        parent = record.envelope.traceparent
        if parent is not None:
            trace = parent[3:35]
            parents.setdefault(trace, parent)
            numbers[trace] = numbers.get(trace, 0) + 1
    return {parents[trace]: number for trace, number in numbers.items()}
