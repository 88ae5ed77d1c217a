"""Collaborations: what one domain, or a person, asked another domain, and how each ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct, structs

from contracts.collaboration import Concluded, ConcludedInPart, Missing, Outcome, Requested, Status
from contracts.domains import Clearance, Domain
from contracts.model import Citation, Evidence
from projections.paging import Page, bounded, from_cursor, to_cursor, types_of
from runtime.read_models import Db, Key, Logged, Projection

DDL = """
CREATE TABLE collaborations (
  answering text NOT NULL, id text NOT NULL, asking text NOT NULL, asker text NOT NULL, request_type text NOT NULL,
  question text NOT NULL, status text NOT NULL, confidence double precision NOT NULL, priority bigint NOT NULL,
  correlation text NOT NULL, requested timestamptz NOT NULL, deadline timestamptz, concluded timestamptz, late text,
  label diarchy.clearance NOT NULL, model text NOT NULL, reason text NOT NULL, sections jsonb NOT NULL,
  evidence jsonb NOT NULL, citations jsonb NOT NULL, missing jsonb NOT NULL, PRIMARY KEY (answering, id)
)
"""
INDEXES = """
CREATE INDEX ON collaborations (requested DESC, answering DESC, id DESC);
CREATE INDEX ON collaborations (asker, requested DESC, answering DESC, id DESC);
CREATE INDEX ON collaborations (id);
CREATE INDEX ON collaborations (correlation)
"""


class Collaboration(Struct, frozen=True, kw_only=True):
    """One request of `asking` to `answering`, on behalf of the person `asker`; `confidence` 0 to 1 once completed, else `reason`.

    `partial`: the outcome is without what is `missing`. An outcome that came after the `deadline` leaves it expired: `late` says
    how that ended, `concluded` when it came.
    """

    answering: Domain
    id: str
    asking: Domain
    asker: str
    request_type: str
    question: str
    status: Status | Literal["pending", "partial"] = "pending"
    confidence: float = 0.0
    priority: int
    correlation: str
    requested: datetime
    deadline: datetime | None = None
    concluded: datetime | None = None
    late: Status | None = None
    label: Clearance
    model: str = ""
    reason: str = ""
    sections: dict[str, str] = {}
    evidence: tuple[Evidence, ...] = ()
    citations: tuple[Citation, ...] = ()
    missing: tuple[Missing, ...] = ()


TAKEN = (Requested, ConcludedInPart, Concluded)


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
                asker=envelope.principal,
                request_type=event.request.request_type,
                question=event.request.question,
                priority=event.request.priority,
                correlation=envelope.correlation,
                requested=envelope.time,
                deadline=event.request.deadline,
                label=envelope.label,
            )
        case ConcludedInPart() if row is not None:
            part = structs.replace(row, status="partial", label=max(row.label, envelope.label))
            return _told(part, event.outcome)
        case Concluded() if row is not None:
            outcome = event.outcome
            label, at = max(row.label, envelope.label), envelope.time
            ended = _told(structs.replace(row, status=outcome.status, concluded=at, label=label), outcome)
            if row.deadline is None or at <= row.deadline or outcome.status == "expired":
                return ended
            late_s = (at - row.deadline).total_seconds()
            why = f"the outcome came {late_s:.1f} s after the deadline" + (f": {ended.reason}" if ended.reason else "")
            return structs.replace(ended, status="expired", late=outcome.status, reason=why)
        case _:
            return row


def _told(row: Collaboration, outcome: Outcome) -> Collaboration:
    return structs.replace(
        row,
        confidence=outcome.confidence,
        label=max(row.label, outcome.label),
        model=outcome.model,
        reason=outcome.reason,
        sections=outcome.sections,
        evidence=outcome.evidence,
        citations=outcome.citations,
        missing=outcome.missing,
    )


COLLABORATIONS = Projection(
    name="collaborations",
    version=2,
    domains=tuple(Domain),
    ddl=DDL,
    indexes=INDEXES,
    table="collaborations",
    row=Collaboration,
    key_columns=("answering", "id"),
    takes=types_of(*TAKEN),
    key=key,
    fold=fold,
)


class CollaborationFilter(Struct, frozen=True, kw_only=True):
    """Which are wanted, joined by AND: of whom, answered by whom, how they stand at `now`, and what was asked for."""

    now: datetime
    asker: str | None = None
    answering: Domain | None = None
    status: str | None = None
    request_type: str | None = None


class _Place(Struct, frozen=True, array_like=True):
    requested: datetime
    answering: Domain
    id: str


_STATUS = "CASE WHEN status IN ('pending', 'partial') AND deadline < $6::timestamptz THEN 'expired' ELSE status END"
_COLUMNS = ", ".join(f"{_STATUS} AS status" if name == "status" else name for name in Collaboration.__struct_fields__)


async def list_collaborations(
    db: Db, wanted: CollaborationFilter, *, clearance: Clearance, limit: int = 50, cursor: str | None = None
) -> Page[Collaboration]:
    """Newest first. One without an outcome by its deadline is expired. Raises InvalidError for a bad limit or cursor."""
    place = from_cursor(_Place, cursor) if cursor else None
    rows = await db.rows(
        Collaboration,
        f"SELECT {_COLUMNS} FROM read.collaborations WHERE label <= $1::text::diarchy.clearance"  # noqa: S608 - our own names
        " AND ($2::text IS NULL OR asker = $2) AND ($3::text IS NULL OR answering = $3)"
        f" AND ($4::text IS NULL OR {_STATUS} = $4) AND ($5::text IS NULL OR request_type = $5)"
        " AND ($7::timestamptz IS NULL OR (requested, answering, id) < ($7, $8::text, $9::text))"
        " ORDER BY requested DESC, answering DESC, id DESC LIMIT $10",
        *(clearance.value, wanted.asker, wanted.answering.value if wanted.answering else None, wanted.status),
        *(wanted.request_type, wanted.now),
        *((place.requested, place.answering.value, place.id) if place else (None, None, None)),
        bounded(limit),
    )
    last = rows[-1] if len(rows) == limit else None
    return Page(tuple(rows), to_cursor(_Place(last.requested, last.answering, last.id)) if last else None)


async def get_collaboration(db: Db, id: str, *, clearance: Clearance) -> Collaboration | None:  # noqa: A002 - the column
    rows = await db.rows(
        Collaboration,
        "SELECT * FROM read.collaborations WHERE id = $1 AND label <= $2::text::diarchy.clearance LIMIT 1",
        *(id, clearance.value),
    )
    return rows[0] if rows else None


def as_of(row: Collaboration, now: datetime) -> Collaboration:
    """As it stands at `now`: without an outcome by its deadline it is expired."""
    over = row.concluded is None and row.deadline is not None and row.deadline < now
    return structs.replace(row, status="expired", reason=f"the deadline {row.deadline} has passed") if over else row


def folded(records: Sequence[Logged]) -> Collaboration | None:
    """The collaboration that the records of one actor tell of."""
    row: Collaboration | None = None
    for one in records:
        row = fold(row, one)
    return row
