"""What tests of the projector share: waiting for a position, and a log that deals its records as it likes."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from adapters.memory import MemoryLog
from adapters.postgres import Postgres, PostgresDb
from adapters.postgres_read_models import PostgresReadModels
from contracts.domains import Domain
from contracts.envelope import Record, Stored
from contracts.subjects import Lane
from projections.catalogue import PROJECTIONS
from runtime.ports import EventLog, Watch
from runtime.projector import ExactlyOnceProjector
from tests.postgres import fresh_database


class Reached:
    """The projector's announcements, to be waited for; -1 for a domain that it has not spoken of."""

    def __init__(self) -> None:
        self.positions: dict[Domain, int] = dict.fromkeys(Domain, -1)
        self.set_back: set[Domain] = set()
        self._changed = asyncio.Condition()

    async def announce(self, domain: Domain, sequence: int) -> None:
        async with self._changed:
            if sequence < self.positions[domain]:
                self.set_back.add(domain)
            self.positions[domain] = sequence
            self._changed.notify_all()

    async def all_of(self, log: EventLog) -> None:
        """Return when every domain was announced up to the end of its log."""
        lasts = {domain: await log.last(domain) for domain in Domain}
        await self.until(lambda: all(self.positions[domain] >= last for domain, last in lasts.items()))

    async def events(self, number: int) -> None:
        """Return when that many records were announced, all domains together."""
        await self.until(lambda: sum(self.positions.values()) + len(Domain) >= number)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(condition)


class DealtLog:
    """A log that hands its records out in batches of random size, some of them from before `after`, some twice."""

    def __init__(self, log: MemoryLog, seed: int) -> None:
        self._log = log
        self._random = random.Random(seed)  # noqa: S311 - a test's choices

    async def append(self, subject: str, records: Sequence[Record], *, expected: int) -> int:
        return await self._log.append(subject, records, expected=expected)

    async def read(self, subject: str, *, after: int = 0, limit: int | None = None) -> list[Stored]:
        return await self._log.read(subject, after=after, limit=limit)

    async def at(self, domain: Domain, sequence: int) -> Stored | None:
        return await self._log.at(domain, sequence)

    async def last(self, domain: Domain) -> int:
        return await self._log.last(domain)

    async def wait(self, subject: str, *, after: int, timeout_s: float) -> bool:
        return await self._log.wait(subject, after=after, timeout_s=timeout_s)

    async def watch(self, subject: str, *, after: int, from_now: bool = False) -> Watch:
        return await self._log.watch(subject, after=after, from_now=from_now)

    async def follow(
        self, domain: Domain, lanes: Sequence[Lane], *, after: int
    ) -> AsyncGenerator[Sequence[Stored], None]:
        last = await self._log.last(domain)
        known: list[Stored] = []
        if last:
            async for batch in self._log.follow(domain, lanes, after=0):
                known.extend(batch)
                if known[-1].sequence >= last:
                    break
        place = after
        while place < last:
            start = max(0, place - self._random.choice((0, 0, 3)))
            end = min(last, place + self._random.randint(1, 9))
            yield known[start:end]
            place = end
            await asyncio.sleep(0)
        await asyncio.Event().wait()


@asynccontextmanager
async def read_models(log: EventLog) -> AsyncIterator[tuple[PostgresDb, Reached]]:
    """All read models in an empty database, following the log; they have all that is in it now."""
    reached = Reached()
    async with database() as postgres:
        models = PostgresReadModels(postgres)
        projector = ExactlyOnceProjector(log, models, PROJECTIONS, announce=reached.announce)
        await projector.start()
        try:
            await reached.all_of(log)
            yield PostgresDb(postgres), reached
        finally:
            await projector.stop()


@asynccontextmanager
async def database() -> AsyncIterator[Postgres]:
    postgres = Postgres(fresh_database())
    try:
        yield postgres
    finally:
        await postgres.close()
