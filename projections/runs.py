"""Runs: one row for every record of every log and effect journal, known by its headers alone.

Serves the stream of events and the history of one run. A record is as confidential as its envelope says; one of a knowledge
item, or of what a domain was told of it, also as that item is now. So an item that was raised takes everything that was
recorded of it along, and a build made anew says the same.
"""

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.facts import ANNOUNCED, SIGNAL
from contracts.kernel import EffectRecorded, Refused, Unchanged
from contracts.model import NOTHING_USED, Usage
from contracts.users import UserCreated
from projections.paging import Place, bounded, from_cursor, to_cursor
from runtime.read_models import Db, Key, Logged, Projection

EVENTS_MAX = 1_000
EVENTS_WITH_BODIES_MAX = 200
RUN_RECORDS_MAX = 5_000
DDL = """
CREATE TABLE runs (
  domain text NOT NULL, sequence bigint NOT NULL, lane text NOT NULL, kind text NOT NULL, actor text NOT NULL,
  reaction text, id text NOT NULL, type text NOT NULL, time timestamptz NOT NULL, correlation text NOT NULL,
  causation text, principal text NOT NULL, label diarchy.clearance NOT NULL, clearance diarchy.clearance NOT NULL,
  priority bigint NOT NULL, effect text, body text NOT NULL
)
"""
INDEXES = """
ALTER TABLE runs ADD PRIMARY KEY (domain, sequence);
CREATE INDEX ON runs (correlation, time);
CREATE INDEX ON runs (domain, kind, actor, sequence)
"""
KNOWLEDGE_ITEM = "knowledge_item"
INDEX_EFFECT = "index"
MODEL_EFFECTS = ("chat", "converse")
_EFFECT = tag(EffectRecorded)
_USER_CREATED = tag(UserCreated)


class RunRecord(Struct, frozen=True, kw_only=True, gc=False):
    """One record: its place, its envelope, the effect's name in a journal entry, its body as JSON text.

    `body` is empty where it was not asked for. A user's password hash is never in it.
    """

    domain: Domain
    sequence: int
    lane: Literal["log", "run"]
    kind: str
    actor: str
    reaction: str | None
    id: str
    type: str
    time: datetime
    correlation: str
    causation: str | None
    principal: str
    label: Clearance
    clearance: Clearance
    priority: int
    effect: str | None
    body: str


def key(logged: Logged) -> Key:
    return logged.address.actor.domain.value, str(logged.sequence)


def fold(row: RunRecord | None, logged: Logged) -> RunRecord | None:
    address, envelope = logged.address, logged.envelope
    if address.lane not in ("log", "run"):
        return row
    return RunRecord(
        domain=address.actor.domain,
        sequence=logged.sequence,
        lane="run" if address.lane == "run" else "log",
        kind=address.actor.kind,
        actor=address.actor.id,
        reaction=address.reaction or envelope.reaction,
        id=envelope.id,
        type=envelope.type,
        time=envelope.time,
        correlation=envelope.correlation,
        causation=envelope.causation,
        principal=envelope.principal,
        label=envelope.label,
        clearance=envelope.clearance,
        priority=envelope.priority,
        effect=_effect(logged),
        body=_body(logged),
    )


def _effect(logged: Logged) -> str | None:
    if logged.envelope.type != _EFFECT:
        return None
    event = logged.event
    return event.name if isinstance(event, EffectRecorded) else ""


def _body(logged: Logged) -> str:
    """The body as stored, but for password hashes; bytes that are no UTF-8 become U+FFFD."""
    if logged.envelope.type == _USER_CREATED:
        event = logged.event
        shown = msgspec.structs.replace(event, password_hash="") if isinstance(event, UserCreated) else None
        return msgspec.json.encode(shown).decode()
    return logged.body.decode(errors="replace")


RUNS = Projection(
    name="runs",
    version=1,
    domains=tuple(Domain),
    ddl=DDL,
    indexes=INDEXES,
    table="runs",
    row=RunRecord,
    key_columns=("domain", "sequence"),
    takes=None,
    key=key,
    fold=fold,
    appends=True,
)

_ANNOUNCES = f"(runs.kind = '{SIGNAL}' AND starts_with(runs.actor, '{ANNOUNCED}'))"
_OF_ITEM = f"(runs.kind = '{KNOWLEDGE_ITEM}' OR {_ANNOUNCES})"
_LATER = f"SELECT later.label FROM read.runs later WHERE later.domain = 'ceo' AND later.kind = '{KNOWLEDGE_ITEM}'"  # noqa: S608 - our own names
_NOW = (
    f"COALESCE(({_LATER} AND later.actor = CASE WHEN {_ANNOUNCES} THEN substr(runs.actor, {len(ANNOUNCED) + 1})"
    f" ELSE runs.actor END AND later.lane = 'log' AND later.type NOT IN ('{tag(Refused)}', '{tag(Unchanged)}')"
    f" ORDER BY later.sequence DESC LIMIT 1), CASE WHEN {_ANNOUNCES} THEN label ELSE 'top_secret' END)"
)
"""SQL: how confidential the item that a record tells of is now; what never was one is only shown at the top."""

_LABEL = f"CASE WHEN {_OF_ITEM} THEN GREATEST(label, {_NOW}) ELSE label END"
_COLUMNS = ", ".join(
    f"{_LABEL} AS label" if name == "label" else name for name in RunRecord.__struct_fields__ if name != "body"
)


def _visible(reader: str) -> str:
    """SQL: the record is not above the reader's clearance, nor is the knowledge item it tells of as that stands now."""
    level = f"{reader}::text::diarchy.clearance"
    return f" AND label <= {level} AND (NOT {_OF_ITEM} OR {_NOW} <= {level})"


class EventFilter(Struct, frozen=True, kw_only=True):
    """Which records are wanted; conditions are joined by AND. `since` and `until` are inclusive."""

    domain: Domain | None = None
    kind: str | None = None
    actor: str | None = None
    type: str | None = None
    correlation: str | None = None
    lane: Literal["log", "run"] | None = None
    since: datetime | None = None
    until: datetime | None = None


class EventPage(Struct, frozen=True):
    """Records, and the cursor to go on from: also after the last one, for what is yet to come."""

    records: tuple[RunRecord, ...]
    next: str


class _Places(Struct, frozen=True, array_like=True):
    """The last sequence seen of each domain, in the order of Domain."""

    sequences: tuple[Place, ...]


START = _Places(tuple(0 for _ in Domain))
"""Before all events."""


def _places(cursor: str | None) -> dict[Domain, int]:
    sequences = (from_cursor(_Places, cursor) if cursor else START).sequences
    return dict(zip(Domain, (*sequences, *START.sequences)[: len(Domain)], strict=True))


async def end_of_events(db: Db) -> str:
    """The cursor behind everything that is there now: to follow only what comes."""
    rows = await db.rows(_Last, _LAST, [domain.value for domain in Domain])
    reached = {row.domain: row.sequence for row in rows}
    return to_cursor(_Places(tuple(reached.get(domain, 0) for domain in Domain)))


class _Last(Struct, frozen=True):
    domain: Domain
    sequence: int


_LAST = (
    "SELECT r.* FROM unnest($1::text[]) AS asked(domain) CROSS JOIN LATERAL (SELECT domain, sequence FROM read.runs"
    " WHERE domain = asked.domain ORDER BY sequence DESC LIMIT 1) r"
)


async def list_events(  # noqa: PLR0913 - the page, the reader, the form
    db: Db,
    wanted: EventFilter,
    *,
    clearance: Clearance,
    domains: tuple[Domain, ...] = tuple(Domain),
    limit: int = 100,
    cursor: str | None = None,
    bodies: bool = False,
) -> EventPage:
    """Up to `limit` (at most 1,000; with bodies 200) records of `domains` behind the cursor, oldest first.

    Of each domain in its order, merged by time. Because the cursor is a place in every domain's own order, nothing is
    skipped, however late it is projected. Raises InvalidError for a bad limit or cursor.
    """
    places = _places(cursor)
    asked = [domain for domain in domains if wanted.domain in (None, domain)]
    body = "body" if bodies else "'' AS body"
    found = await db.rows(
        RunRecord,
        f"SELECT r.* FROM unnest($1::text[], $2::bigint[]) AS place(domain, sequence) CROSS JOIN LATERAL ("  # noqa: S608 - constants
        f"SELECT {_COLUMNS}, {body} FROM read.runs WHERE domain = place.domain AND sequence > place.sequence"
        f"{_visible('$3')} AND ($4::text IS NULL OR kind = $4)"
        " AND ($5::text IS NULL OR actor = $5) AND ($6::text IS NULL OR type = $6)"
        " AND ($7::text IS NULL OR correlation = $7) AND ($8::text IS NULL OR lane = $8)"
        " AND ($9::timestamptz IS NULL OR time >= $9) AND ($10::timestamptz IS NULL OR time <= $10)"
        " ORDER BY sequence LIMIT $11) r ORDER BY r.domain, r.sequence",
        *([domain.value for domain in asked], [places[domain] for domain in asked], clearance.value),
        *(wanted.kind, wanted.actor, wanted.type, wanted.correlation, wanted.lane, wanted.since, wanted.until),
        bounded(limit, EVENTS_WITH_BODIES_MAX if bodies else EVENTS_MAX),
    )
    by_domain = [[record for record in found if record.domain is domain] for domain in asked]
    records = tuple(heapq.merge(*by_domain, key=lambda record: record.time))[:limit]
    for record in records:
        places[record.domain] = max(places[record.domain], record.sequence)
    return EventPage(records, to_cursor(_Places(tuple(places.values()))))


class Run(Struct, frozen=True, kw_only=True):
    """What the reader may see of one run, in order of time. `causation` makes a tree of the records.

    `truncated` says that there are more than the first 5,000.
    """

    correlation: str
    principal: str
    started: datetime
    ended: datetime
    domains: tuple[Domain, ...]
    label: Clearance
    effects: int
    records: tuple[RunRecord, ...]
    truncated: bool = False


class _Label(Struct, frozen=True):
    label: Clearance | None


async def label_of_run(db: Db, correlation: str) -> Clearance | None:
    """The join over everything that happened under the correlation id, however much it is; None where nothing did."""
    rows = await db.rows(_Label, f"SELECT max({_LABEL}) AS label FROM read.runs WHERE correlation = $1", correlation)  # noqa: S608 - our own names
    return rows[0].label


async def get_run(
    db: Db, correlation: str, *, clearance: Clearance, limit: int = RUN_RECORDS_MAX, bodies: bool = False
) -> Run | None:
    """The run, or None where there is nothing the reader may see. Raises InvalidError for a bad limit."""
    body = "body" if bodies else "'' AS body"
    rows = await db.rows(
        RunRecord,
        f"SELECT {_COLUMNS}, {body} FROM read.runs WHERE correlation = $1"  # noqa: S608 - constants
        f"{_visible('$2')} ORDER BY time, domain, sequence LIMIT $3",
        *(correlation, clearance.value, bounded(limit, RUN_RECORDS_MAX) + 1),
    )
    if not rows:
        return None
    records = tuple(rows[:limit])
    return Run(
        correlation=correlation,
        principal=records[0].principal,
        started=records[0].time,
        ended=max(record.time for record in records),
        domains=tuple(domain for domain in Domain if any(record.domain is domain for record in records)),
        label=max(record.label for record in records),
        effects=sum(record.effect is not None for record in records),
        records=records,
        truncated=len(rows) > limit,
    )


class _Indexed(Struct, frozen=True):
    correlation: str


async def indexed(db: Db, correlations: Sequence[str], *, by: str, clearance: Clearance) -> list[str]:
    """Those of somebody's runs that have put a knowledge item into the index, or changed nothing of it."""
    rows = await db.rows(
        _Indexed,
        "SELECT DISTINCT correlation FROM read.runs WHERE correlation = ANY($1::text[]) AND principal = $2"  # noqa: S608 - constants
        f" AND kind = '{KNOWLEDGE_ITEM}' AND (effect = '{INDEX_EFFECT}' OR type = '{tag(Unchanged)}'){_visible('$3')}",
        *(list(correlations), by, clearance.value),
    )
    return [row.correlation for row in rows]


class Spent(Struct, frozen=True):
    """What one domain's calls of models have cost in a run."""

    calls: int = 0
    usage: Usage = NOTHING_USED

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.calls + other.calls, self.usage + other.usage)


class ModelCall(Struct, frozen=True):
    """The journal entry of a call of a model."""

    domain: Domain
    body: str


async def get_spent(db: Db, correlation: str, *, clearance: Clearance) -> dict[Domain, Spent]:
    """What a run has spent by domain, as far as its calls of models are not above the reader's clearance."""
    calls = await db.rows(
        ModelCall,
        "SELECT domain, body FROM read.runs WHERE correlation = $1 AND effect = ANY($2::text[])"  # noqa: S608 - constants
        f"{_visible('$3')} ORDER BY domain, sequence LIMIT $4",
        *(correlation, list(MODEL_EFFECTS), clearance.value, RUN_RECORDS_MAX),
    )
    return spent(calls)


def spent(calls: Iterable[ModelCall]) -> dict[Domain, Spent]:
    """By domain. An entry from before its cost was recorded has it in its result."""
    found: dict[Domain, Spent] = {}
    for call in calls:
        entry = msgspec.json.decode(call.body, type=_Entry)
        usage = entry.usage or (entry.result.usage if entry.result else None)
        if usage is not None:
            found[call.domain] = found.get(call.domain, Spent()) + Spent(1, usage)
    return found


class _Answered(Struct, frozen=True):
    usage: Usage | None = None


class _Entry(Struct, frozen=True):
    usage: Usage | None = None
    result: _Answered | None = None
