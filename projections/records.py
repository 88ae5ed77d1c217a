"""Records: clients, deals, tickets and invoices, each as the facts about it that one may read.

A row holds the facts of one label about one thing, so that what a reader is told is what it would be if no fact above his
clearance had ever come: the rows that he may read are joined when he asks. Facts say when they happened; the order in which they
arrived matters only between two of the same type and moment, of which the last one counts.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from contracts.business import (
    BUSINESS_FACTS,
    KIND_OF,
    AnyBusinessFact,
    BusinessRecorded,
    ClientCancelled,
    ClientRenewed,
    ClientSigned,
    ClientUsage,
    DealClosed,
    DealOpened,
    DealStageChanged,
    InvoiceIssued,
    InvoicePaid,
    RecordKind,
    TicketOpened,
    TicketResolved,
    subject_of,
)
from contracts.domains import Clearance, Domain
from contracts.records import (
    RECORDS_MAX,
    AnyRecord,
    ClientRecord,
    DealRecord,
    InvoiceRecord,
    Step,
    TicketRecord,
    Use,
)
from projections.paging import types_of
from runtime.read_models import Db, Key, Logged, Projection

FACTS_MAX = 120
"""Of one label about one thing; of the type that has most, the oldest but the first are dropped."""
USES_MAX = 24

_PLACES = {fact: place for facts in BUSINESS_FACTS.values() for place, fact in enumerate(facts)}


class RecordRow(Struct, frozen=True, kw_only=True):
    """The facts of one label about one thing, in the order in which they happened. `level` is the label as a part of the key."""

    kind: RecordKind
    id: str
    level: str
    label: Clearance
    facts: tuple[AnyBusinessFact, ...]
    updated: datetime


def key(logged: Logged) -> Key | None:
    event = logged.event
    if not isinstance(event, BusinessRecorded):
        return None
    return KIND_OF[type(event.fact)], subject_of(event.fact), logged.envelope.label.value


def fold(row: RecordRow | None, logged: Logged) -> RecordRow | None:
    event = logged.event
    if not isinstance(event, BusinessRecorded):
        return row
    fact, label = event.fact, logged.envelope.label
    known = row.facts if row else ()
    return RecordRow(
        kind=KIND_OF[type(fact)],
        id=subject_of(fact),
        level=label.value,
        label=label,
        facts=bounded_facts(in_order((*known, fact))),
        updated=logged.envelope.time,
    )


RECORDS = Projection(
    name="records",
    version=1,
    domains=(Domain.SOPHIA,),
    ddl="""
CREATE TABLE records (
  kind text NOT NULL, id text NOT NULL, level text NOT NULL, label diarchy.clearance NOT NULL, facts jsonb NOT NULL,
  updated timestamptz NOT NULL, PRIMARY KEY (kind, id, level)
)
""",
    table="records",
    row=RecordRow,
    key_columns=("kind", "id", "level"),
    takes=types_of(BusinessRecorded),
    key=key,
    fold=fold,
)


def in_order(facts: Iterable[AnyBusinessFact]) -> tuple[AnyBusinessFact, ...]:
    """By when they happened; of two of the same type and moment the last one."""
    last = {(fact.at, _PLACES[type(fact)]): fact for fact in facts}
    return tuple(last[place] for place in sorted(last))


def bounded_facts(facts: tuple[AnyBusinessFact, ...], most: int = FACTS_MAX) -> tuple[AnyBusinessFact, ...]:
    """At most so many, as FACTS_MAX says."""
    kept = list(facts)
    while len(kept) > most:
        counts = {kind: sum(type(fact) is kind for fact in kept) for kind in {type(fact) for fact in kept}}
        commonest = max(counts, key=lambda kind: (counts[kind], kind.__name__))
        places = [at for at, fact in enumerate(kept) if type(fact) is commonest]
        del kept[places[1]]
    return tuple(kept)


class _Count(Struct, frozen=True):
    things: int


async def records(
    db: Db, kind: RecordKind, *, clearance: Clearance, limit: int = RECORDS_MAX
) -> tuple[tuple[AnyRecord, ...], int]:
    """What this reader may know of the `limit` things of a kind that changed last, by id; and how many more there are."""
    rows = await db.rows(
        RecordRow,
        "SELECT * FROM read.records WHERE kind = $1 AND label <= $2::text::diarchy.clearance AND id IN ("
        " SELECT id FROM read.records WHERE kind = $1 AND label <= $2::text::diarchy.clearance"
        " GROUP BY id ORDER BY max(updated) DESC, id LIMIT $3::int) ORDER BY id, label",
        *(kind, clearance.value, limit),
    )
    found = joined(rows)
    if len(found) < limit:
        return found, 0
    counted = await db.rows(
        _Count,
        "SELECT count(DISTINCT id) AS things FROM read.records WHERE kind = $1 AND label <= $2::text::diarchy.clearance",
        *(kind, clearance.value),
    )
    return found, max(0, counted[0].things - len(found))


def joined(rows: Sequence[RecordRow]) -> tuple[AnyRecord, ...]:
    """The records of one kind's rows, by id. Pure."""
    ordered = sorted(rows, key=lambda row: (row.id, row.label.rank))
    return tuple(_record(id_, tuple(of)) for id_, of in groupby(ordered, key=lambda row: row.id))


def _record(id_: str, rows: Sequence[RecordRow]) -> AnyRecord:
    facts = in_order(fact for row in rows for fact in row.facts)
    return _MAKERS[rows[0].kind](id_, max(row.label for row in rows), facts)


F = TypeVar("F", ClientRecord, DealRecord)


def _said(record: F, fact: Struct, *names: str) -> F:
    """The record with what the fact says; what it leaves out stays."""
    return replace(record, **{name: value for name in names if (value := getattr(fact, name)) is not None})


def _client(id_: str, label: Clearance, facts: Sequence[AnyBusinessFact]) -> ClientRecord:
    record = ClientRecord(id=id_, label=label)
    for fact in facts:
        match fact:
            case ClientSigned():
                record = _said(record, fact, "name", "segment", "contract", "monthly_value", "currency", "ends")
                record = replace(record, signed=fact.at, cancelled=None, reason=None)
            case ClientRenewed():
                record = _said(record, fact, "contract", "monthly_value", "currency", "ends")
                record = replace(record, renewed=fact.at, renewals=record.renewals + 1)
            case ClientCancelled():
                record = replace(record, cancelled=fact.at, reason=fact.reason)
            case ClientUsage():
                use = Use(
                    at=fact.at,
                    period_days=fact.period_days,
                    active_users=fact.active_users,
                    licensed_users=fact.licensed_users,
                )
                record = replace(record, usage=(*record.usage, use)[-USES_MAX:])
            case _:
                pass  # Of another kind: `key` puts none here.
    return record


def _deal(id_: str, label: Clearance, facts: Sequence[AnyBusinessFact]) -> DealRecord:
    record = DealRecord(id=id_, label=label)
    for fact in facts:
        match fact:
            case DealOpened() | DealStageChanged():
                record = _said(record, fact, "stage", "value", "currency", "probability", "expected")
                if isinstance(fact, DealOpened):
                    record = replace(_said(record, fact, "client", "segment"), opened=fact.at)
                step = Step(
                    at=fact.at,
                    stage=fact.stage,
                    value=record.value,
                    probability=record.probability,
                    expected=record.expected,
                )
                record = replace(record, steps=(*record.steps, step), closed=None, outcome=None, reason=None)
            case DealClosed():
                record = _said(record, fact, "value", "currency")
                record = replace(record, closed=fact.at, outcome=fact.outcome, reason=fact.reason)
            case _:
                pass
    return record


def _ticket(id_: str, label: Clearance, facts: Sequence[AnyBusinessFact]) -> TicketRecord:
    record = TicketRecord(id=id_, label=label)
    for fact in facts:
        match fact:
            case TicketOpened():
                record = replace(
                    record,
                    client=fact.client or record.client,
                    severity=fact.severity,
                    subject=fact.subject or record.subject,
                    opened=record.opened or fact.at,
                    resolved=None,
                )
            case TicketResolved():
                record = replace(record, resolved=fact.at)
            case _:
                pass
    return record


def _invoice(id_: str, label: Clearance, facts: Sequence[AnyBusinessFact]) -> InvoiceRecord:
    record = InvoiceRecord(id=id_, label=label)
    for fact in facts:
        match fact:
            case InvoiceIssued():
                record = replace(
                    record,
                    client=fact.client,
                    amount=fact.amount,
                    currency=fact.currency,
                    issued=fact.at,
                    due=fact.due,
                )
            case InvoicePaid():
                record = replace(record, paid=fact.at)
            case _:
                pass
    return record


_MAKERS: dict[RecordKind, Callable[[str, Clearance, Sequence[AnyBusinessFact]], AnyRecord]] = {
    "client": _client,
    "deal": _deal,
    "ticket": _ticket,
    "invoice": _invoice,
}


class StoredRecords:
    """Those of the port (`runtime.records`) of a database."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def records(self, kind: RecordKind, *, clearance: Clearance) -> tuple[tuple[AnyRecord, ...], int]:
        return await records(self._db, kind, clearance=clearance)
