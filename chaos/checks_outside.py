"""Checks beyond the logs: calls of the model, the vector index, and read models made anew from nothing."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

import msgspec

from actors.findable import changes
from adapters.jetstream import Broker
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_reactions import Reactions
from adapters.jetstream_rpc import NatsRpc
from adapters.postgres import Postgres
from adapters.postgres_read_models import PostgresReadModels
from adapters.retrieval import RemoteRetrieval
from adapters.vector_admin import RemoteVectors
from adapters.vector_payload import PARTITIONS
from chaos.history import Finding, History
from chaos.model import Timed
from chaos.strikes import Struck
from contracts.domains import Domain
from contracts.envelope import Stored
from contracts.kernel import EffectRecorded
from deploy.settings import Settings
from projections.catalogue import PROJECTIONS
from runtime.errors import ConflictError
from runtime.index_build import IndexBuild
from runtime.read_models import AnyProjection, UnequalError
from runtime.rebuild import rebuild
from runtime.telemetry import NoTelemetry

SETTLE_S = 10.0
"""How long what the index lacks may be under way."""

WOKEN_S = 1.5
"""How long after a pause a worker may finish what it was about to do, not knowing that it had been away."""


def check_calls(history: History, calls: Sequence[Timed], struck: Sequence[Struck]) -> Iterator[Finding]:
    """Every model call that a log knows of was made; repeats have the same body, and come before the result is recorded.

    A worker that was paused just before its call cannot know that another one has taken over: its call may come late.
    """
    made: dict[str, list[Timed]] = defaultdict(list)
    for call in calls:
        made[call.key].append(call)
    recorded = {
        f"{reaction}:{entry.effect}": stored
        for reaction, records in history.runs.items()
        for stored in records
        if (entry := msgspec.json.decode(stored.record.body, type=EffectRecorded)).name == "chat"
    }
    for key in recorded:
        if key not in made:
            yield Finding("a call is paid for once", f"{key} is recorded, but the model was never asked")
    for key, times in made.items():
        if len({call.sha256 for call in times}) > 1:
            yield Finding("a call is paid for once", f"{key} was asked with different bodies")
        if key not in recorded:
            yield Finding("a call is paid for once", f"{key} was asked {len(times)} times and never recorded")
            continue
        for call in times:
            if call.at > recorded[key].record.envelope.time.timestamp() and not _woken(call, recorded[key], struck):
                yield Finding("a call is paid for once", f"{key} was asked again after its result was recorded")


def _woken(call: Timed, record: Stored, struck: Sequence[Struck]) -> bool:
    """Whether a worker of the domain, or what it reads the journal from, stood still just before the call."""
    domain = record.subject.partition(".")[0]
    parts = (domain, "nats")
    return any(
        one.strike.kind == "pause"
        and one.strike.victim.startswith(parts)
        and one.began <= call.at <= one.ended + WOKEN_S
        for one in struck
    )


def repeats(calls: Sequence[Timed]) -> int:
    """How many calls were repeats of an earlier one's key."""
    return len(calls) - len({call.key for call in calls})


async def check_index(broker: Broker) -> AsyncIterator[Finding]:
    """The vector index has exactly what the logs say: nothing missing, as it was, too much or twice."""
    rpc = NatsRpc(broker)
    retrieval = RemoteRetrieval(rpc, NoTelemetry())
    check = IndexBuild(JetStreamLog(broker), changes, retrieval, RemoteVectors(rpc), PARTITIONS, lambda *_: None)
    checked = await check.check(Reactions(broker).ended, settle_s=SETTLE_S)
    for domain, entries in checked.behind.items():
        yield Finding("index equals logs", f"reactions of {domain.value} have not come to {entries} entries")
    for one in checked.differences:
        said = f"log {one.version}, index {one.kept}"
        yield Finding("index equals logs", f"{one.id} in {one.partition} is {one.problem} ({said})")


async def check_read_models(
    broker: Broker, settings: Settings, history: History, rows: dict[str, int]
) -> AsyncIterator[Finding]:
    """Every read model has all that it is to have, and folded anew from nothing equals the live one, row by row.

    `rows` is filled with what was compared.
    """
    log = JetStreamLog(broker)
    postgres = Postgres(settings.postgres.dsn.reveal())
    read_models = PostgresReadModels(postgres)
    try:
        for projection in PROJECTIONS:
            positions = await read_models.positions(projection)
            if missing := _missing(history, projection, positions):
                yield Finding("rebuild equals live", f"{projection.name} lacks {missing} records; it is at {positions}")
            try:
                done = await rebuild(projection, log, read_models)
            except (UnequalError, ConflictError) as error:
                yield Finding("rebuild equals live", str(error))
                continue
            if not done.compared:
                yield Finding("rebuild equals live", f"{projection.name} was not compared")
            for check in done.tables:
                rows[check.table] = check.rows
    finally:
        await postgres.close()


def _missing(history: History, projection: AnyProjection, positions: Mapping[Domain, int]) -> int:
    """Records behind the positions that the projection looks at."""
    return sum(
        1
        for stored in history.records
        if (domain := Domain(stored.subject.partition(".")[0])) in projection.domains
        and stored.sequence > positions.get(domain, 0)
        and (projection.takes is None or stored.record.envelope.type in projection.takes)
    )
