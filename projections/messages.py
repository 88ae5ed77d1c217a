"""Messages: every question of a session with its answer, or why there is none."""

from datetime import datetime
from typing import Literal

from msgspec import Struct, structs

from contracts.collaboration import Missing
from contracts.conversation import Answered, AnsweredInPart, Asked, Contribution, Failed, LeftInPart
from contracts.domains import Clearance, Domain
from contracts.grounds import Grounds
from contracts.model import Citation, Evidence
from contracts.strategic import StrategicContext
from projections.paging import Page, Place, bounded, from_cursor, to_cursor, types_of
from runtime.journal import CANCELLED_BECAUSE
from runtime.read_models import Db, Key, Logged, Projection

DDL = """
CREATE TABLE messages (
  domain text NOT NULL, session text NOT NULL, turn text NOT NULL, sequence bigint NOT NULL, question text NOT NULL,
  asked timestamptz NOT NULL, asker text NOT NULL, status text NOT NULL, content text NOT NULL, team text,
  confidence double precision NOT NULL, evidence jsonb NOT NULL, contributions jsonb NOT NULL,
  citations jsonb NOT NULL, collaboration_needed boolean NOT NULL, collaborators text[] NOT NULL, model text NOT NULL,
  reason text NOT NULL, excused boolean NOT NULL, missing jsonb NOT NULL, grounds jsonb, strategic jsonb,
  label diarchy.clearance NOT NULL, correlation text NOT NULL, answered timestamptz, PRIMARY KEY (domain, session, turn)
)
"""
INDEXES = """
CREATE INDEX ON messages (session, sequence DESC)
"""


class Turn(Struct, frozen=True, kw_only=True):
    """One question of a session (at `sequence` of the domain's log) and, when `answered`, its answer; `reason` when failed.

    `excused`: it failed by what the asker did or may do, not by the agent: a budget, a permission, a request that the provider
    refused, a cancelling.
    When `partial` the answer is without what is `missing`, which will come unless there is a `reason` why not.
    """

    domain: Domain
    session: str
    turn: str
    sequence: int
    question: str
    asked: datetime
    asker: str
    status: Literal["pending", "partial", "answered", "failed"] = "pending"
    content: str = ""
    team: str | None = None
    confidence: float = 0.0
    evidence: tuple[Evidence, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    citations: tuple[Citation, ...] = ()
    collaboration_needed: bool = False
    collaborators: tuple[Domain, ...] = ()
    model: str = ""
    reason: str = ""
    excused: bool = False
    missing: tuple[Missing, ...] = ()
    grounds: Grounds | None = None
    strategic: StrategicContext | None = None
    label: Clearance
    correlation: str
    answered: datetime | None = None


TAKEN = (Asked, AnsweredInPart, LeftInPart, Answered, Failed)


def key(logged: Logged) -> Key | None:
    event, actor = logged.event, logged.address.actor
    return (actor.domain.value, actor.id, event.turn) if isinstance(event, TAKEN) else None


def fold(row: Turn | None, logged: Logged) -> Turn | None:
    event, envelope, actor = logged.event, logged.envelope, logged.address.actor
    if isinstance(event, Asked):
        return Turn(
            domain=actor.domain,
            session=actor.id,
            turn=event.turn,
            sequence=logged.sequence,
            question=event.text,
            asked=envelope.time,
            asker=event.by,
            team=event.team,
            label=max(envelope.label, event.label),
            correlation=envelope.correlation,
        )
    if row is None:
        return None
    label = max(row.label, envelope.label)
    match event:
        case AnsweredInPart():
            part = structs.replace(row, status="partial", missing=event.missing)
            return _answered(part, event.answer, label, envelope.time)
        case Answered():
            return _answered(structs.replace(row, status="answered", missing=()), event, label, envelope.time)
        case LeftInPart():
            return structs.replace(row, reason=event.reason, label=label)
        case Failed():
            excused = event.code is not None or event.reason.startswith(CANCELLED_BECAUSE)
            failed = structs.replace(row, status="failed", reason=event.reason, excused=excused, label=label)
            return structs.replace(failed, answered=envelope.time)
        case _:
            return row


def _answered(row: Turn, answered: Answered, label: Clearance, at: datetime) -> Turn:
    return structs.replace(
        row,
        content=answered.content,
        team=answered.team,
        confidence=answered.confidence,
        evidence=answered.evidence,
        contributions=answered.contributions,
        citations=answered.citations,
        grounds=answered.grounds,
        strategic=answered.strategic,
        collaboration_needed=answered.collaboration_needed,
        collaborators=answered.collaborators,
        model=answered.model,
        label=max(label, answered.label),
        answered=at,
    )


MESSAGES = Projection(
    name="messages",
    version=5,
    domains=tuple(Domain),
    ddl=DDL,
    indexes=INDEXES,
    table="messages",
    row=Turn,
    key_columns=("domain", "session", "turn"),
    takes=types_of(*TAKEN),
    key=key,
    fold=fold,
)


class _Place(Struct, frozen=True, array_like=True):
    sequence: Place


async def list_turns(
    db: Db, session: str, *, clearance: Clearance, owner: str | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Turn]:
    """The turns of a session newest first. With `owner` only if the session is his. Raises InvalidError for limit or cursor."""
    rows = await db.rows(
        Turn,
        "SELECT * FROM read.messages m WHERE session = $1 AND label <= $2::text::diarchy.clearance"
        " AND ($3::text IS NULL OR EXISTS (SELECT FROM read.sessions s WHERE s.domain = m.domain AND s.id = m.session"
        " AND s.owner = $3)) AND ($4::bigint IS NULL OR sequence < $4) ORDER BY sequence DESC LIMIT $5",
        *(session, clearance.value, owner, from_cursor(_Place, cursor).sequence if cursor else None, bounded(limit)),
    )
    return Page(tuple(rows), to_cursor(_Place(rows[-1].sequence)) if len(rows) == limit else None)
