"""Strategic alerts: who may read one may see what became of it; who may change knowledge may say that he has looked at it."""

from contracts import subjects
from contracts.alerts import (
    ALERT,
    AcknowledgeAlert,
    Alert,
    AlertNote,
    Alerts,
    AlertsQuery,
    ResolveAlert,
)
from contracts.domains import Domain
from contracts.subjects import ActorRef
from gateway.commands import Incoming, named_actor
from gateway.execution import Command, Ended
from gateway.heads import before_run
from gateway.problems import NotFoundError


async def alerts(incoming: Incoming[AlertsQuery]) -> Alerts:
    return await incoming.services.reads.alerts(incoming.body, clearance=incoming.principal.clearance)


async def alert(incoming: Incoming[None]) -> Alert:
    return await _read(incoming, incoming.path["alert"])


async def acknowledge(incoming: Incoming[AlertNote]) -> Command:
    return await _about(incoming, AcknowledgeAlert(by=incoming.principal.username, note=incoming.body.note))


async def resolve(incoming: Incoming[AlertNote]) -> Command:
    return await _about(incoming, ResolveAlert(by=incoming.principal.username, note=incoming.body.note))


async def alert_reply(incoming: Incoming[AlertNote], command: Command, _ended: Ended) -> Alert:
    """The alert as it stands; saying the same of it again changes nothing."""
    return await _read(incoming, command.actor.id)


async def _read(incoming: Incoming[None] | Incoming[AlertNote], id_: str) -> Alert:
    found = await incoming.services.reads.alert(id_, clearance=incoming.principal.clearance)
    if found is None:
        raise NotFoundError("alert")
    return found


async def _about(incoming: Incoming[AlertNote], message: AcknowledgeAlert | ResolveAlert) -> Command:
    """What is said of an alert is as confidential as the alert. Raises NotFoundError for one that the asker may not see."""
    actor: ActorRef = named_actor(Domain.CEO, ALERT, incoming.path["alert"], "alert")
    records = await incoming.services.log.read(subjects.log(actor))
    label = max((stored.record.envelope.label for stored in records), default=None)
    if label is None or label > incoming.principal.clearance:
        raise NotFoundError("alert")
    return Command(
        actor=actor,
        message=message,
        label=label,
        status_path=f"/v1/alerts/{actor.id}",
        after=before_run(records, incoming.id),
    )
