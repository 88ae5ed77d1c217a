"""Strategic alerts: what somebody has to look at, until he says that he has. One actor an alert, in the CEO's domain.

An alert is raised by the fact `strategic_alert`, from outside or by a team. It goes to the domains that its category concerns,
needs executive attention from priority 8, and rises by one for each time that nobody acknowledges it in time.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from contracts.domains import Clearance
from contracts.envelope import Event, Message
from contracts.ids import keyed_id
from contracts.knowledge import Category
from contracts.subjects import ID_CHARS_MAX

ALERT = "alert"
"""The kind of actor."""

EXECUTIVE_ATTENTION_FROM = 8
PRIORITY_MAX = 10
ESCALATIONS_MAX = 3
"""How often an alert rises by itself; who has not looked by then will not look for a fourth reminder."""


def alert_id(signal: str, label: Clearance) -> str:
    """The alert that a signal raises: one for each level, so that what is hidden from somebody never stands in the way of his."""
    identity = f"{signal}-{label.value}"
    return identity if len(identity) <= ID_CHARS_MAX else keyed_id(ALERT, signal, label.value)


AlertState = Literal["open", "acknowledged", "resolved"]
Note = Annotated[str, Meta(max_length=2_000)]


def patience_s(priority: int, stated: int | None = None) -> int:
    """How long an alert may wait for somebody who acknowledges it: as stated, else as its priority says."""
    if stated is not None:
        return stated
    if priority >= EXECUTIVE_ATTENTION_FROM:
        return 15 * 60
    return 4 * 3_600 if priority >= 5 else 24 * 3_600


class RaiseAlert(Message, frozen=True, kw_only=True, tag="alert.raise.v1"):
    """`within_s`: how long until it has to be acknowledged, each time; None: as its priority says."""

    title: str
    text: str
    origin: str
    alert_priority: int
    category: Category | None = None
    within_s: int | None = None


class AcknowledgeAlert(Message, frozen=True, kw_only=True, tag="alert.acknowledge.v1"):
    by: str
    note: str = ""


class ResolveAlert(Message, frozen=True, kw_only=True, tag="alert.resolve.v1"):
    by: str
    note: str = ""


class EscalateAlert(Message, frozen=True, kw_only=True, tag="alert.escalate.v1"):
    """The time to acknowledge it is over: for the `step`-th time since the alert was raised for the `times`-th time."""

    times: int
    step: int


class AlertRaised(Event, frozen=True, kw_only=True, tag="alert.raised.v1"):
    """For the `times`-th time: what was resolved may come back, and what is said anew is open again."""

    title: str
    text: str
    origin: str
    alert_priority: int
    executive_attention: bool
    times: int
    within_s: int | None = None
    category: Category | None = None


class AlertAcknowledged(Event, frozen=True, kw_only=True, tag="alert.acknowledged.v1"):
    by: str
    note: str = ""


class AlertEscalated(Event, frozen=True, kw_only=True, tag="alert.escalated.v1"):
    """Nobody acknowledged it in time, for the `step`-th time: it is more urgent now. `within_s` as in `RaiseAlert`."""

    times: int
    step: int
    alert_priority: int
    executive_attention: bool
    within_s: int | None = None


class AlertResolved(Event, frozen=True, kw_only=True, tag="alert.resolved.v1"):
    by: str
    note: str = ""


class Alarm(Struct, frozen=True, kw_only=True):
    """What a team's tool found that somebody has to look at. `subject` is what it is about: the same again is the same alert."""

    subject: str
    title: str
    text: str
    alert_priority: int
    category: Category


# Over HTTP -----------------------------------------------------------------------------------------------------------


class AlertNote(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What there is to say about it."""

    note: Note = ""


class AlertsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Filters are joined by AND. `executive`: only those that need executive attention (or, false, only the others)."""

    state: AlertState | None = None
    category: Category | None = None
    executive: bool | None = None
    priority_min: Annotated[int, Meta(ge=1, le=PRIORITY_MAX)] = 1
    after: Annotated[str, Meta(max_length=400)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class Handled(Struct, frozen=True, kw_only=True):
    """Who acknowledged or resolved it, when, and what he said."""

    by: str
    at: datetime
    note: str = ""


class Alert(Struct, frozen=True, kw_only=True):
    """One alert as it stands. `escalations`: how often nobody acknowledged it in time."""

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


class Alerts(Struct, frozen=True, kw_only=True):
    """The newest first; go on with `next` until it is null."""

    alerts: tuple[Alert, ...]
    next: str | None = None
