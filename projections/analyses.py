"""Analyses: how far each comprehensive analysis has come, and what it concluded."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct, structs

from contracts.analysis import (
    PHASES,
    AnalysisCompleted,
    AnalysisConcludedInPart,
    AnalysisFailed,
    AnalysisLeftInPart,
    AnalysisStarted,
    PhaseCompleted,
    PhaseMissing,
    PhaseResult,
)
from contracts.domains import Clearance, Domain
from projections.paging import Page, bounded, from_cursor, to_cursor, types_of
from runtime.read_models import Db, Key, Logged, Projection

DDL = """
CREATE TABLE analyses (
  domain text NOT NULL, id text NOT NULL, asker text NOT NULL, subject text NOT NULL, question text NOT NULL,
  status text NOT NULL, phases jsonb NOT NULL, executive_summary text NOT NULL, recommendations text NOT NULL,
  confidence double precision NOT NULL, confidence_by_domain jsonb NOT NULL, reason text NOT NULL,
  missing jsonb NOT NULL, correlation text NOT NULL, label diarchy.clearance NOT NULL, started timestamptz NOT NULL,
  completed timestamptz, PRIMARY KEY (domain, id)
)
"""
INDEXES = """
CREATE INDEX ON analyses (started DESC, id DESC);
CREATE INDEX ON analyses (asker, started DESC, id DESC);
CREATE INDEX ON analyses (id)
"""


class Analysis(Struct, frozen=True, kw_only=True):
    """One analysis: its finished phases in order, the conclusion once completed, `reason` once failed.

    When `partial` phases and conclusion are without what is `missing`, which will come unless there is a `reason` why not.
    """

    domain: Domain
    id: str
    asker: str
    subject: str
    question: str
    status: Literal["running", "partial", "completed", "failed"] = "running"
    phases: tuple[PhaseResult, ...] = ()
    executive_summary: str = ""
    recommendations: str = ""
    confidence: float = 0.0
    confidence_by_domain: dict[str, float] = {}
    reason: str = ""
    missing: tuple[PhaseMissing, ...] = ()
    correlation: str
    label: Clearance
    started: datetime
    completed: datetime | None = None


def key(logged: Logged) -> Key:
    actor = logged.address.actor
    return actor.domain.value, actor.id


def fold(row: Analysis | None, logged: Logged) -> Analysis | None:
    event, envelope, actor = logged.event, logged.envelope, logged.address.actor
    if isinstance(event, AnalysisStarted):
        return Analysis(
            domain=actor.domain,
            id=actor.id,
            asker=event.by,
            subject=event.subject,
            question=event.question,
            correlation=envelope.correlation,
            label=envelope.label,
            started=envelope.time,
        )
    if row is None:
        return None
    label = max(row.label, envelope.label)
    match event:
        case PhaseCompleted():
            phases = _with(row.phases, [event.result])
            missing = tuple(one for one in row.missing if one.phase != event.result.phase)
            label = max(label, event.label, event.result.label)
            return structs.replace(row, phases=phases, missing=missing, label=label)
        case AnalysisConcludedInPart():
            part = structs.replace(
                row, status="partial", phases=_with(row.phases, event.results), missing=event.missing
            )
            return _concluded(part, event, label)
        case AnalysisCompleted():
            whole = structs.replace(row, status="completed", missing=(), completed=envelope.time)
            return _concluded(whole, event, label)
        case AnalysisFailed():
            return structs.replace(row, status="failed", reason=event.reason, label=label, completed=envelope.time)
        case AnalysisLeftInPart():
            return structs.replace(row, reason=event.reason, label=label, completed=envelope.time)
        case _:
            return row


def _with(phases: tuple[PhaseResult, ...], results: Sequence[PhaseResult]) -> tuple[PhaseResult, ...]:
    """Each phase once, the latest result of it, in the order of the phases."""
    latest = {result.phase: result for result in (*phases, *results)}
    return tuple(sorted(latest.values(), key=lambda result: PHASES.index(result.phase)))


def _concluded(row: Analysis, event: AnalysisCompleted | AnalysisConcludedInPart, label: Clearance) -> Analysis:
    return structs.replace(
        row,
        executive_summary=event.executive_summary,
        recommendations=event.recommendations,
        confidence=event.confidence,
        confidence_by_domain=event.confidence_by_domain,
        label=max(label, event.label),
    )


def folded(records: Iterable[Logged]) -> Analysis | None:
    """The analysis that the records of one actor tell of."""
    row: Analysis | None = None
    for one in records:
        row = fold(row, one)
    return row


TAKEN = (
    AnalysisStarted,
    PhaseCompleted,
    AnalysisConcludedInPart,
    AnalysisLeftInPart,
    AnalysisCompleted,
    AnalysisFailed,
)
ANALYSES = Projection(
    name="analyses",
    version=2,
    domains=tuple(Domain),
    ddl=DDL,
    indexes=INDEXES,
    table="analyses",
    row=Analysis,
    key_columns=("domain", "id"),
    takes=types_of(*TAKEN),
    key=key,
    fold=fold,
)


class _Place(Struct, frozen=True, array_like=True):
    started: datetime
    id: str


async def get_analysis(db: Db, id: str, *, clearance: Clearance, by: str | None = None) -> Analysis | None:  # noqa: A002 - the column
    """The analysis, if the reader may see it. With `by` only if that user started it."""
    rows = await db.rows(
        Analysis,
        "SELECT * FROM read.analyses WHERE id = $1 AND label <= $2::text::diarchy.clearance"
        " AND ($3::text IS NULL OR asker = $3) LIMIT 1",
        *(id, clearance.value, by),
    )
    return rows[0] if rows else None


async def list_analyses(
    db: Db, *, clearance: Clearance, by: str | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Analysis]:
    """Newest first; of anybody where `by` is None. Raises InvalidError for a bad limit or cursor."""
    place = from_cursor(_Place, cursor) if cursor else None
    rows = await db.rows(
        Analysis,
        "SELECT * FROM read.analyses WHERE label <= $1::text::diarchy.clearance AND ($2::text IS NULL OR asker = $2)"
        " AND ($3::timestamptz IS NULL OR (started, id) < ($3, $4::text)) ORDER BY started DESC, id DESC LIMIT $5",
        *(clearance.value, by, place.started if place else None, place.id if place else None, bounded(limit)),
    )
    last = rows[-1] if len(rows) == limit else None
    return Page(tuple(rows), to_cursor(_Place(last.started, last.id)) if last else None)
