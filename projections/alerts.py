"""Alerts: what somebody has to look at, and who has."""

from datetime import datetime

from msgspec import Struct, structs

from contracts.alerts import (
    AlertAcknowledged,
    AlertEscalated,
    AlertRaised,
    AlertResolved,
    AlertsQuery,
    AlertState,
    Handled,
)
from contracts.domains import Clearance, Domain
from contracts.knowledge import Category
from projections.paging import Page, bounded, from_cursor, to_cursor, types_of
from runtime.read_models import Db, Key, Logged, Projection

DDL = """
CREATE TABLE alerts (
  id text PRIMARY KEY, title text NOT NULL, text text NOT NULL, origin text NOT NULL, category text, state text NOT NULL,
  alert_priority bigint NOT NULL, executive_attention boolean NOT NULL, label diarchy.clearance NOT NULL,
  raised timestamptz NOT NULL, escalations bigint NOT NULL, acknowledged jsonb, resolved jsonb
)
"""
INDEXES = "CREATE INDEX ON alerts (raised DESC, id DESC)"


class AlertRow(Struct, frozen=True, kw_only=True):
    """One alert as it stands. Its label is that of all that was said of it."""

    id: str
    title: str
    text: str
    origin: str
    category: Category | None
    state: AlertState
    alert_priority: int
    executive_attention: bool
    label: Clearance
    raised: datetime
    escalations: int = 0
    acknowledged: Handled | None = None
    resolved: Handled | None = None


def key(logged: Logged) -> Key:
    return (logged.address.actor.id,)


def fold(row: AlertRow | None, logged: Logged) -> AlertRow | None:
    event, envelope = logged.event, logged.envelope
    if isinstance(event, AlertRaised):
        return AlertRow(
            id=logged.address.actor.id,
            title=event.title,
            text=event.text,
            origin=event.origin,
            category=event.category,
            state="open",
            alert_priority=event.alert_priority,
            executive_attention=event.executive_attention,
            label=max(envelope.label, row.label) if row else envelope.label,
            raised=envelope.time,
        )
    if row is None:
        return None
    row = structs.replace(row, label=max(row.label, envelope.label))
    match event:
        case AlertAcknowledged(by=by, note=note):
            return structs.replace(row, state="acknowledged", acknowledged=Handled(by=by, at=envelope.time, note=note))
        case AlertEscalated():
            return structs.replace(
                row,
                escalations=event.step,
                alert_priority=event.alert_priority,
                executive_attention=event.executive_attention,
            )
        case AlertResolved(by=by, note=note):
            return structs.replace(row, state="resolved", resolved=Handled(by=by, at=envelope.time, note=note))
        case _:
            return row


ALERTS = Projection(
    name="alerts",
    version=1,
    domains=(Domain.CEO,),
    ddl=DDL,
    indexes=INDEXES,
    table="alerts",
    row=AlertRow,
    key_columns=("id",),
    takes=types_of(AlertRaised, AlertAcknowledged, AlertEscalated, AlertResolved),
    key=key,
    fold=fold,
)


class _Place(Struct, frozen=True, array_like=True):
    raised: datetime
    id: str


async def get_alert(db: Db, id: str, *, clearance: Clearance) -> AlertRow | None:  # noqa: A002 - the column
    """The alert, if the reader may see it."""
    rows = await db.rows(
        AlertRow,
        "SELECT * FROM read.alerts WHERE id = $1 AND label <= $2::text::diarchy.clearance",
        *(id, clearance.value),
    )
    return rows[0] if rows else None


async def list_alerts(db: Db, query: AlertsQuery, *, clearance: Clearance) -> Page[AlertRow]:
    """The newest first. Raises InvalidError for a bad limit or cursor."""
    place = from_cursor(_Place, query.after) if query.after else None
    rows = await db.rows(
        AlertRow,
        "SELECT * FROM read.alerts WHERE label <= $1::text::diarchy.clearance AND ($2::text IS NULL OR state = $2)"
        " AND ($3::text IS NULL OR category = $3) AND ($4::boolean IS NULL OR executive_attention = $4)"
        " AND alert_priority >= $5::bigint AND ($6::timestamptz IS NULL OR (raised, id) < ($6, $7::text))"
        " ORDER BY raised DESC, id DESC LIMIT $8",
        *(clearance.value, query.state, query.category, query.executive, query.priority_min),
        *((place.raised, place.id) if place else (None, None)),
        bounded(query.limit),
    )
    last = rows[-1] if len(rows) == query.limit else None
    return Page(tuple(rows), to_cursor(_Place(last.raised, last.id)) if last else None)
