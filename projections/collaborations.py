"""Collaborations: what one domain asked another, and how each ended."""

from datetime import datetime
from typing import Literal

from msgspec import Struct, structs

from contracts.collaboration import Concluded, Requested, Status
from contracts.domains import Clearance, Domain
from projections.paging import bounded, types_of
from runtime.read_models import Db, Key, Logged, Projection

DDL = """
CREATE TABLE collaborations (
  answering text NOT NULL, id text NOT NULL, asking text NOT NULL, request_type text NOT NULL, question text NOT NULL,
  status text NOT NULL, confidence double precision NOT NULL, priority bigint NOT NULL, correlation text NOT NULL,
  requested timestamptz NOT NULL, concluded timestamptz, label diarchy.clearance NOT NULL, model text NOT NULL,
  reason text NOT NULL, PRIMARY KEY (answering, id)
)
"""
INDEXES = """
CREATE INDEX ON collaborations (requested DESC);
CREATE INDEX ON collaborations (correlation)
"""


class Collaboration(Struct, frozen=True, kw_only=True):
    """One request from `asking` to `answering`; `confidence` 0 to 1 once completed, else `reason`."""

    answering: Domain
    id: str
    asking: Domain
    request_type: str
    question: str
    status: Status | Literal["pending"] = "pending"
    confidence: float = 0.0
    priority: int
    correlation: str
    requested: datetime
    concluded: datetime | None = None
    label: Clearance
    model: str = ""
    reason: str = ""


def key(logged: Logged) -> Key:
    actor = logged.address.actor
    return actor.domain.value, actor.id


def fold(row: Collaboration | None, logged: Logged) -> Collaboration | None:
    event, envelope, actor = logged.event, logged.envelope, logged.address.actor
    match event:
        case Requested():
            return Collaboration(
                answering=actor.domain,
                id=actor.id,
                asking=event.asker,
                request_type=event.request.request_type,
                question=event.request.question,
                priority=event.request.priority,
                correlation=envelope.correlation,
                requested=envelope.time,
                label=envelope.label,
            )
        case Concluded() if row is not None:
            outcome = event.outcome
            return structs.replace(
                row,
                status=outcome.status,
                confidence=outcome.confidence,
                concluded=envelope.time,
                label=max(row.label, envelope.label, outcome.label),
                model=outcome.model,
                reason=outcome.reason,
            )
        case _:
            return row


COLLABORATIONS = Projection(
    name="collaborations",
    version=1,
    domains=tuple(Domain),
    ddl=DDL,
    indexes=INDEXES,
    table="collaborations",
    row=Collaboration,
    key_columns=("answering", "id"),
    takes=types_of(Requested, Concluded),
    key=key,
    fold=fold,
)


async def list_collaborations(
    db: Db, *, clearance: Clearance, domains: tuple[Domain, ...] = tuple(Domain), limit: int = 50
) -> list[Collaboration]:
    """Newest first: those that any of `domains` asked or answered."""
    return await db.rows(
        Collaboration,
        "SELECT * FROM read.collaborations WHERE label <= $1::text::diarchy.clearance"
        " AND (asking = ANY($2::text[]) OR answering = ANY($2::text[])) ORDER BY requested DESC, id DESC LIMIT $3",
        *(clearance.value, [domain.value for domain in domains], bounded(limit)),
    )


async def get_collaboration(db: Db, id: str, *, clearance: Clearance) -> Collaboration | None:  # noqa: A002 - the column
    rows = await db.rows(
        Collaboration,
        "SELECT * FROM read.collaborations WHERE id = $1 AND label <= $2::text::diarchy.clearance LIMIT 1",
        *(id, clearance.value),
    )
    return rows[0] if rows else None
