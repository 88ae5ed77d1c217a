"""Sessions: every conversation with a domain, who owns it, how long it is and how confidential it has become."""

from datetime import datetime
from typing import Literal

from msgspec import Struct, structs

from contracts.conversation import (
    Answered,
    AnsweredInPart,
    Asked,
    ContextType,
    Failed,
    LeftInPart,
    SessionEnded,
    SessionStarted,
)
from contracts.domains import Clearance, Domain
from projections.paging import Page, bounded, from_cursor, to_cursor, types_of
from runtime.read_models import Db, Key, Logged, Projection

DDL = """
CREATE TABLE sessions (
  domain text NOT NULL, id text NOT NULL, owner text NOT NULL, title text NOT NULL, context_type text NOT NULL,
  status text NOT NULL, turns bigint NOT NULL, label diarchy.clearance NOT NULL, created timestamptz NOT NULL,
  updated timestamptz NOT NULL, PRIMARY KEY (domain, id)
)
"""
INDEXES = """
CREATE INDEX ON sessions (owner, created DESC, domain DESC, id DESC);
CREATE INDEX ON sessions (created DESC, domain DESC, id DESC);
CREATE INDEX ON sessions (id)
"""


class Session(Struct, frozen=True, kw_only=True):
    """One session. `label` is the highest of all its turns; `updated` is when anything last happened in it."""

    domain: Domain
    id: str
    owner: str
    title: str
    context_type: ContextType
    status: Literal["active", "ended"] = "active"
    turns: int = 0
    label: Clearance
    created: datetime
    updated: datetime


def key(logged: Logged) -> Key:
    actor = logged.address.actor
    return actor.domain.value, actor.id


def fold(row: Session | None, logged: Logged) -> Session | None:
    """The session after the event; questions to a session that was never seen to start leave no row."""
    event, envelope, actor = logged.event, logged.envelope, logged.address.actor
    if isinstance(event, SessionStarted):
        return Session(
            domain=actor.domain,
            id=actor.id,
            owner=event.owner,
            title=event.title,
            context_type=event.context_type,
            label=envelope.label,
            created=envelope.time,
            updated=envelope.time,
        )
    if row is None:
        return None
    label = max(row.label, envelope.label)
    match event:
        case Asked():
            label = max(label, event.label)
            return structs.replace(row, turns=row.turns + 1, label=label, updated=envelope.time)
        case Answered() | AnsweredInPart():
            return structs.replace(row, label=max(label, event.label), updated=envelope.time)
        case Failed() | LeftInPart():
            return structs.replace(row, label=label, updated=envelope.time)
        case SessionEnded():
            return structs.replace(row, label=label, updated=envelope.time, status="ended")
        case _:
            return row


SESSIONS = Projection(
    name="sessions",
    version=2,
    domains=tuple(Domain),
    ddl=DDL,
    indexes=INDEXES,
    table="sessions",
    row=Session,
    key_columns=("domain", "id"),
    takes=types_of(SessionStarted, Asked, AnsweredInPart, LeftInPart, Answered, Failed, SessionEnded),
    key=key,
    fold=fold,
)


class _Place(Struct, frozen=True, array_like=True):
    created: datetime
    domain: Domain
    id: str


async def get_session(
    db: Db,
    id: str,  # noqa: A002 - the column
    *,
    clearance: Clearance,
    domain: Domain | None = None,
    owner: str | None = None,
) -> Session | None:
    """The session, if the reader may see it. With `owner` only if it is his."""
    rows = await db.rows(
        Session,
        "SELECT * FROM read.sessions WHERE id = $1 AND label <= $2::text::diarchy.clearance"
        " AND ($3::text IS NULL OR domain = $3) AND ($4::text IS NULL OR owner = $4) LIMIT 1",
        *(id, clearance.value, domain.value if domain else None, owner),
    )
    return rows[0] if rows else None


async def list_sessions(
    db: Db,
    *,
    clearance: Clearance,
    owner: str | None = None,
    domains: tuple[Domain, ...] = tuple(Domain),
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Session]:
    """Sessions newest first; of anybody where `owner` is None. Raises InvalidError for a bad limit or cursor."""
    place = from_cursor(_Place, cursor) if cursor else None
    rows = await db.rows(
        Session,
        "SELECT * FROM read.sessions WHERE label <= $1::text::diarchy.clearance AND ($2::text IS NULL OR owner = $2)"
        " AND domain = ANY($3::text[])"
        " AND ($4::timestamptz IS NULL OR (created, domain, id) < ($4, $5::text, $6::text))"
        " ORDER BY created DESC, domain DESC, id DESC LIMIT $7",
        *(clearance.value, owner, [domain.value for domain in domains]),
        *((place.created, place.domain.value, place.id) if place else (None, None, None)),
        bounded(limit),
    )
    last = rows[-1] if len(rows) == limit else None
    return Page(tuple(rows), to_cursor(_Place(last.created, last.domain, last.id)) if last else None)
