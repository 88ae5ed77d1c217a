"""Memories: what each agent remembers of each person."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct, structs

from contracts.domains import Clearance, Domain
from contracts.memory import Forgotten, MemoriesQuery, MemoryKind, Remembered, Revised
from projections.paging import Page, bounded, from_cursor, to_cursor, types_of
from runtime.read_models import Db, Key, Logged, Projection

DDL = """
CREATE TABLE memories (
  agent text NOT NULL, id text NOT NULL, owner text NOT NULL, kind text NOT NULL, title text NOT NULL, text text NOT NULL,
  session text NOT NULL, label diarchy.clearance NOT NULL, updated timestamptz NOT NULL, expires timestamptz,
  PRIMARY KEY (agent, id)
)
"""
INDEXES = "CREATE INDEX ON memories (owner, updated DESC, id DESC)"


class Memory(Struct, frozen=True, kw_only=True):
    """One memory as it stands; `updated` is when the agent was told what it says now."""

    agent: Domain
    id: str
    owner: str
    kind: MemoryKind
    title: str
    text: str
    session: str
    label: Clearance
    updated: datetime
    expires: datetime | None


def key(logged: Logged) -> Key | None:
    event = logged.event
    if isinstance(event, Remembered | Revised | Forgotten):
        return logged.address.actor.domain.value, event.id
    return None


def fold(row: Memory | None, logged: Logged) -> Memory | None:
    event, envelope = logged.event, logged.envelope
    match event:
        case Remembered() | Revised():
            said = structs.asdict(event)
            label = max(envelope.label, row.label) if row else envelope.label
            return Memory(agent=logged.address.actor.domain, label=label, updated=envelope.time, **said)
        case Forgotten():
            return None
        case _:
            return row


MEMORIES = Projection(
    name="memories",
    version=1,
    domains=(Domain.SOPHIA, Domain.ARTEMIS),
    ddl=DDL,
    indexes=INDEXES,
    table="memories",
    row=Memory,
    key_columns=("agent", "id"),
    takes=types_of(Remembered, Revised, Forgotten),
    key=key,
    fold=fold,
)


class _Place(Struct, frozen=True, array_like=True):
    updated: datetime
    id: str


async def list_memories(
    db: Db, query: MemoriesQuery, *, owner: str, agents: Sequence[Domain], clearance: Clearance, now: datetime
) -> Page[Memory]:
    """One person's, newest first, without what is forgotten or expired. Raises InvalidError for a bad limit or cursor."""
    place = from_cursor(_Place, query.after) if query.after else None
    rows = await db.rows(
        Memory,
        "SELECT * FROM read.memories WHERE owner = $1 AND agent = ANY($2::text[]) AND ($3::text IS NULL OR kind = $3)"
        " AND label <= $4::text::diarchy.clearance AND (expires IS NULL OR expires > $5::timestamptz)"
        " AND ($6::timestamptz IS NULL OR (updated, id) < ($6, $7::text)) ORDER BY updated DESC, id DESC LIMIT $8",
        *(owner, [agent.value for agent in agents], query.kind, clearance.value, now),
        *((place.updated, place.id) if place else (None, None)),
        bounded(query.limit),
    )
    last = rows[-1] if len(rows) == query.limit else None
    return Page(tuple(rows), to_cursor(_Place(last.updated, last.id)) if last else None)
