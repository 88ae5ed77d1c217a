"""How fast logs become read models on the real PostgreSQL: folding live, rebuilding, and from append to announcement.

`python -m bench.projections [EVENTS]` writes its figures to bench/RESULTS.md.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from adapters.postgres import Postgres
from adapters.postgres_read_models import PostgresReadModels
from bench import results
from contracts import subjects
from contracts.catalogue import tag
from contracts.conversation import Answered, Asked, SessionStarted
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Event, Record, Stored
from contracts.ids import new_id
from contracts.kernel import EffectRecorded
from contracts.subjects import ActorRef, Lane
from deploy.embedded.postgres_server import PostgresServer
from projections.catalogue import PROJECTIONS
from runtime.projector import ExactlyOnceProjector
from runtime.rebuild import rebuild

EVENTS = 100_000
LIVE_EVENTS = 300
BATCH_EVENTS = 500
ANSWER = Answered(
    question="Why?",
    turn="t",
    content="Because. " * 60,
    team="client_analysis",
    confidence=0.8,
    evidence=(),
    collaboration_needed=False,
    collaborators=(),
    contributions=(),
    model="extractive",
    label=Clearance.INTERNAL,
)


class ListLog:
    """One domain's log in a list: what is measured is the folding, not the broker."""

    def __init__(self) -> None:
        self._records: list[Stored] = []
        self._more = asyncio.Event()

    def add(self, actor: ActorRef, event: Event, correlation: str, reaction: str | None = None) -> int:
        envelope = Envelope(
            id=new_id(),
            type=tag(type(event)),
            time=datetime.now(UTC),
            correlation=correlation,
            principal="ada",
            source=actor.domain,
        )
        subject = subjects.run(actor, reaction) if reaction else subjects.log(actor)
        record = Record(envelope, msgspec.json.encode(event))
        self._records.append(Stored(subject, len(self._records) + 1, record))
        self._more.set()
        return len(self._records)

    async def append(self, subject: str, records: Sequence[Record], *, expected: int) -> int:
        raise NotImplementedError(f"{subject}: {len(records)} records at {expected}: only read here")

    async def read(self, subject: str, *, after: int = 0) -> list[Stored]:
        return [stored for stored in self._records[after:] if stored.subject == subject]

    async def last(self, domain: Domain) -> int:
        return len(self._records) if domain is Domain.SOPHIA else 0

    async def wait(self, subject: str, *, after: int, timeout_s: float) -> bool:
        raise NotImplementedError(f"{subject} above {after} within {timeout_s}: only followed here")

    async def follow(
        self, domain: Domain, lanes: Sequence[Lane], *, after: int
    ) -> AsyncGenerator[Sequence[Stored], None]:
        assert len(lanes) == 2
        while True:
            while domain is not Domain.SOPHIA or after >= len(self._records):
                self._more.clear()
                await self._more.wait()
            batch = self._records[after : after + BATCH_EVENTS]
            after = batch[-1].sequence
            yield batch


def question(log: ListLog, number: int) -> None:
    """The records of one question in a session of its own: three events, two effects."""
    actor, run = ActorRef(Domain.SOPHIA, "conversation", f"c{number}"), new_id()
    effect = EffectRecorded(effect=1, name="chat", arguments="0" * 64, result=msgspec.Raw(b'"%s"' % (b"x" * 800)))
    log.add(actor, SessionStarted(owner="ada", title="t", context_type="business"), run)
    log.add(actor, Asked(turn="t", by="ada", text="Why is it so? " * 10), run)
    log.add(actor, effect, run, new_id())
    log.add(actor, effect, run, new_id())
    log.add(actor, ANSWER, run)


async def measure(dsn: str, events: int) -> str:
    log, reached, waiting = ListLog(), 0, asyncio.Event()
    for number in range(events // 5):
        question(log, number)
    total = await log.last(Domain.SOPHIA)

    async def announce(domain: Domain, sequence: int) -> None:
        nonlocal reached
        if domain is Domain.SOPHIA:
            reached = sequence
            waiting.set()

    async def until(sequence: int) -> None:
        while reached < sequence:
            waiting.clear()
            await waiting.wait()

    postgres = Postgres(dsn)
    models = PostgresReadModels(postgres)
    projector = ExactlyOnceProjector(log, models, PROJECTIONS, announce=announce)
    began = time.perf_counter()
    await projector.start()
    await until(total)
    seconds = time.perf_counter() - began
    lines = [
        "| what | figure |",
        "|---|---|",
        f"| all {len(PROJECTIONS)} read models, {total:,} events | {total / seconds:,.0f}/s |",
    ]
    for one in PROJECTIONS:
        result = await rebuild(one, log, models)
        rows = sum(check.rows for check in result.tables)
        if not rows:
            continue
        lines.append(
            f"| rebuild {one.name}, compared and swapped: {rows:,} rows | {result.events / result.seconds:,.0f}/s |"
        )
    waits: list[float] = []
    for number in range(LIVE_EVENTS):
        actor = ActorRef(Domain.SOPHIA, "conversation", f"live{number}")
        began = time.perf_counter()
        await until(log.add(actor, SessionStarted(owner="ada", title="t", context_type="business"), new_id()))
        waits.append((time.perf_counter() - began) * 1_000)
    await projector.stop()
    await postgres.close()
    p99 = statistics.quantiles(waits, n=100)[98]
    lines.append(
        f"| one event, from the log to the announcement | p50 {statistics.median(waits):.1f} ms, p99 {p99:.1f} ms |"
    )
    return "\n".join(lines)


async def main(events: int) -> None:
    with tempfile.TemporaryDirectory(prefix="diarchy-bench-") as folder:
        server = PostgresServer(Path(folder) / "postgres")
        await server.start()
        try:
            figures = await measure(server.dsn, events)
        finally:
            await server.stop()
    results.write("Read models", f"python -m bench.projections {events}", figures)
    print(figures)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS))
