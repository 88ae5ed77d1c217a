"""Checks beyond the logs: calls of the model, the vector index, and read models made anew from nothing."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from adapters.jetstream import Broker
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_rpc import NatsRpc
from adapters.postgres import Postgres
from adapters.postgres_read_models import PostgresReadModels
from adapters.retrieval import RemoteRetrieval
from chaos.history import Finding, History, event_of
from chaos.model import Timed
from chaos.strikes import Struck
from contracts.domains import Clearance, Domain, Partition
from contracts.envelope import Stored
from contracts.facts import SignalRecorded
from contracts.kernel import EffectRecorded
from contracts.knowledge import Knowledge, KnowledgeAdded, KnowledgeDeclassified, KnowledgeDeleted, KnowledgeUpdated
from contracts.retrieval import Hit, Query
from deploy.settings import Settings
from projections.catalogue import PROJECTIONS
from runtime.errors import ConflictError
from runtime.read_models import AnyProjection, UnequalError
from runtime.rebuild import rebuild
from runtime.telemetry import NoTelemetry

HITS = 10
WOKEN_S = 1.5
"""How long after a pause a worker may finish what it was about to do, not knowing that it had been away."""

SIGNALS: dict[Domain, Partition] = {
    Domain.SOPHIA: "sophia_business",
    Domain.ARTEMIS: "artemis_technical",
    Domain.CEO: "ceo_knowledge",
}


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


async def check_search(broker: Broker, history: History) -> AsyncIterator[Finding]:
    """What exists is found as it is now; what was deleted is not found, also not by the bare index."""
    retrieval = RemoteRetrieval(NatsRpc(broker), NoTelemetry())

    async def hits(partition: Partition, title: str, text: str) -> dict[str, Hit]:
        query = Query(
            partitions=(partition,),
            text=f"{title}. {text}",
            clearance=Clearance.TOP_SECRET,
            now=datetime.now(UTC),
            limit=HITS,
        )
        return {hit.entry.id: hit for hit in await retrieval.search(query)}

    for address, records in history.of_kind("knowledge_item"):
        said, deleted = _knowledge(records)
        if said is None:
            continue
        hit = (await hits(said.partition, said.title, said.content)).get(address.actor.id)
        if deleted and hit is not None:
            yield Finding("search", f"deleted item {address.actor.id} is still found")
        elif not deleted and (hit is None or hit.entry.text != said.content):
            yield Finding("search", f"item {address.actor.id} is {'not found' if hit is None else 'found as it was'}")
    for stored in history.records:
        if stored.record.envelope.type != "signal.recorded.v1":
            continue
        event, partition = event_of(stored), SIGNALS.get(Domain(stored.subject.partition(".")[0]))
        if isinstance(event, SignalRecorded) and partition is not None:
            found = await hits(partition, event.fact.title, event.fact.text)
            if stored.record.envelope.id not in found:
                yield Finding("search", f"fact {stored.record.envelope.id} of {stored.subject} is not found")


def _knowledge(records: Sequence[Stored]) -> tuple[Knowledge | None, bool]:
    """What the item said last, and whether it is deleted."""
    said: Knowledge | None = None
    deleted = False
    for stored in records:
        match event_of(stored):
            case KnowledgeAdded() | KnowledgeUpdated() | KnowledgeDeclassified() as event:
                said = event.knowledge
            case KnowledgeDeleted():
                deleted = True
            case _:
                pass
    return said, deleted


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
