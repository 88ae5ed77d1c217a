"""How fast logs become read models on the real servers: a bare COPY, each rebuild, folding live, and one event's way.

`python -m bench.projections [EVENTS]` writes its figures to bench/RESULTS.md. All of it is one run over the same events in
the same log. The bare loop reads the log as the projector does and copies seven columns into a table without an index, a
commit every 5,000 records: it is what a rebuild would be that folds, orders and proves nothing.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvloop

from adapters.jetstream import Broker, connect
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_streams import ensure_streams
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
from contracts.subjects import ActorRef
from deploy.embedded.nats_server import NatsServer
from deploy.embedded.postgres_server import PostgresServer
from projections.catalogue import PROJECTIONS
from runtime.projector import ExactlyOnceProjector
from runtime.read_models import following
from runtime.rebuild import BATCH_EVENTS_MAX, rebuild

EVENTS = 100_000
LIVE_EVENTS = 300
QUESTIONS_AT_ONCE = 500
ROUNDS = 3
READ_ONLY = "raw limit: the log is read, nothing else"
BARE = "raw limit: bare COPY loop, a flat table without an index"
BARE_TABLE = (
    "CREATE TABLE bare (sequence bigint, subject text, id text, type text, time timestamptz, run text, body text)"
)
BARE_COLUMNS = ("sequence", "subject", "id", "type", "time", "run", "body")
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
Row = tuple[object, ...]


def record(actor: ActorRef, event: Event, correlation: str) -> Record:
    envelope = Envelope(
        id=new_id(),
        type=tag(type(event)),
        time=datetime.now(UTC),
        correlation=correlation,
        principal="ada",
        source=actor.domain,
    )
    return Record(envelope, msgspec.json.encode(event))


async def question(log: JetStreamLog, number: int) -> None:
    """The records of one question in a session of its own: three events, two effects."""
    actor, run = ActorRef(Domain.SOPHIA, "conversation", f"c{number}"), new_id()
    effect = EffectRecorded(effect=1, name="chat", arguments="0" * 64, result=msgspec.Raw(b'"%s"' % (b"x" * 800)))
    events = (
        SessionStarted(owner="ada", title="t", context_type="business"),
        Asked(turn="t", by="ada", text="Why? " * 28),
    )
    await log.append(subjects.log(actor), [record(actor, one, run) for one in (*events, ANSWER)], expected=0)
    await log.append(subjects.run(actor, new_id()), [record(actor, effect, run) for _ in range(2)], expected=0)


async def fill(log: JetStreamLog, events: int) -> int:
    for start in range(0, events // 5, QUESTIONS_AT_ONCE):
        await asyncio.gather(*(question(log, number) for number in range(start, start + QUESTIONS_AT_ONCE)))
    return await log.last(Domain.SOPHIA)


async def in_fives_of_thousands(log: JetStreamLog, total: int) -> AsyncIterator[Sequence[Stored]]:
    """The whole log in batches as large as a rebuild's."""
    gathered: list[Stored] = []
    async with following(log, Domain.SOPHIA, 0) as batches:
        async for batch in batches:
            gathered.extend(batch)
            end = batch[-1].sequence >= total
            if end or len(gathered) >= BATCH_EVENTS_MAX:
                yield gathered
                gathered = []
            if end:
                return


def flat(stored: Stored) -> Row:
    envelope = stored.record.envelope
    body = stored.record.body.decode()
    return stored.sequence, stored.subject, envelope.id, envelope.type, envelope.time, envelope.correlation, body


async def read_only(log: JetStreamLog, total: int) -> float:
    """Seconds to read the log."""
    began = time.perf_counter()
    async for _ in in_fives_of_thousands(log, total):
        pass
    return time.perf_counter() - began


async def bare_copy(log: JetStreamLog, postgres: Postgres, total: int) -> float:
    """Seconds to copy the log into a flat table."""
    async with postgres.connection() as connection:
        await connection.execute(BARE_TABLE)
        began = time.perf_counter()
        async for batch in in_fives_of_thousands(log, total):
            async with connection.transaction():
                await connection.copy_records_to_table("bare", records=map(flat, batch), columns=BARE_COLUMNS)
        seconds = time.perf_counter() - began
        await connection.execute("DROP TABLE bare")
    return seconds


class Reached:
    """The sequence of the projector's last announcement."""

    def __init__(self) -> None:
        self._sequence = 0
        self._changed = asyncio.Event()

    async def announce(self, domain: Domain, sequence: int) -> None:
        if domain is Domain.SOPHIA:
            self._sequence = sequence
            self._changed.set()

    async def until(self, sequence: int) -> None:
        while self._sequence < sequence:
            self._changed.clear()
            await self._changed.wait()


async def measure(broker: Broker, postgres: Postgres, events: int) -> tuple[str, dict[str, tuple[float, str]]]:
    """The section, and the figures of the goals."""
    await ensure_streams(broker)
    log, models, reached = JetStreamLog(broker), PostgresReadModels(postgres), Reached()
    total = await fill(log, events)
    projector = ExactlyOnceProjector(log, models, PROJECTIONS, announce=reached.announce)
    began = time.perf_counter()
    await projector.start()
    await reached.until(total)
    taken: dict[str, list[float]] = {}  # seconds of each round
    _note(
        taken,
        f"all {len(PROJECTIONS)} read models folded by the projector, {total:,} events",
        time.perf_counter() - began,
    )
    of_goal: dict[str, str] = {}  # what is compared and swapped, and the same without the comparison
    projections = list(PROJECTIONS)
    for _ in range(ROUNDS):
        _note(taken, READ_ONLY, await read_only(log, total))
        _note(taken, BARE, await bare_copy(log, postgres, total))
        for one in list(projections):
            done = await rebuild(one, log, models)
            if not (found := sum(check.rows for check in done.tables)):
                projections.remove(one)
                continue
            whole, part = (
                f"rebuild {one.name}: {found:,} rows, {how}"
                for how in ("compared and swapped", "without the comparison")
            )
            _note(taken, part, done.seconds - done.check_seconds)
            _note(taken, whole, done.seconds)
            of_goal[whole] = part
    medians = {what: statistics.median(seconds) for what, seconds in taken.items()}
    bare = medians[BARE]
    lines = [f"| what, median of {ROUNDS} rounds in turn | events/s | of the bare loop |", "|---|---|---|"]
    lines += [f"| {what} | {total / seconds:,.0f} | {bare / seconds:.0%} |" for what, seconds in medians.items()]
    waits = [await _one_event(log, reached, number) for number in range(LIVE_EVENTS)]
    await projector.stop()
    p99 = statistics.quantiles(waits, n=100)[98]
    lines += [
        "",
        f"One event, from its append to the announcement: p50 {statistics.median(waits):.1f} ms, p99 {p99:.1f} ms.",
    ]
    slowest = max(of_goal, key=lambda what: medians[what])
    beside = (
        f"bare COPY loop: {total / bare:,.0f}/s; the slowest that has rows, {slowest.removeprefix('rebuild ')}; "
        f"without the comparison {total / medians[of_goal[slowest]]:,.0f}/s"
    )
    return "\n".join(lines), {
        "rebuild.rate": (total / medians[slowest], beside),
        "rebuild.share": (bare / medians[slowest], beside),
    }


def _note(taken: dict[str, list[float]], what: str, seconds: float) -> None:
    taken.setdefault(what, []).append(seconds)
    print(f"{what}: {seconds:.1f} s", flush=True)


async def _one_event(log: JetStreamLog, reached: Reached, number: int) -> float:
    """Milliseconds from the append of one event to its announcement."""
    actor = ActorRef(Domain.SOPHIA, "conversation", f"live{number}")
    event = record(actor, SessionStarted(owner="ada", title="t", context_type="business"), new_id())
    began = time.perf_counter()
    await reached.until(await log.append(subjects.log(actor), [event], expected=0))
    return (time.perf_counter() - began) * 1_000


@asynccontextmanager
async def servers(folder: Path) -> AsyncIterator[tuple[Broker, Postgres]]:
    """The embedded broker and database, and connections to them."""
    nats, database = NatsServer(folder / "nats"), PostgresServer(folder / "postgres")
    await asyncio.gather(nats.start(), database.start())
    try:
        broker = await connect(nats.url, user=nats.user, password=nats.password, name="bench")
        postgres = Postgres(database.dsn)
        try:
            yield broker, postgres
        finally:
            await postgres.close()
            await broker.stop()
    finally:
        await asyncio.gather(nats.stop(), database.stop())


async def main(events: int) -> None:
    with tempfile.TemporaryDirectory(prefix="diarchy-bench-") as folder:
        async with servers(Path(folder)) as (broker, postgres):
            figures, reached = await measure(broker, postgres, events)
    results.write("Read models", "just bench projections", figures)
    results.record(reached)
    print(figures)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS))
