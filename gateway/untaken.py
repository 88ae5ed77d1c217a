"""What was asked of a domain that has not taken it up, because it is down or has much to do: it is told of out of its inbox.

Only what its asker, or an administrator, may see; all else there is not, as everywhere.
"""

from typing import Any, TypeVar

import msgspec

from contracts import subjects
from contracts.analysis import StartAnalysis
from contracts.catalogue import tag
from contracts.collaborating import CollaborationView
from contracts.collaboration import Collaborate
from contracts.conversation import Ask
from contracts.domains import Domain
from contracts.envelope import Envelope, Message
from contracts.http import Analysis, Turn
from contracts.subjects import ActorRef
from gateway.commands import Incoming
from gateway.row_views import collaboration_view
from projections.collaborations import Collaboration
from runtime.errors import MalformedError

M = TypeVar("M", bound=Message)


async def _asked(incoming: Incoming[Any], actor: ActorRef, kind: type[M]) -> tuple[M, Envelope] | None:
    """The message, while the actor has recorded nothing at all."""
    services, principal = incoming.services, incoming.principal
    try:
        record = await services.queue.latest(actor)
    except MalformedError:
        return None
    if record is None or record.envelope.type != tag(kind) or await services.log.read(subjects.log(actor), limit=1):
        return None
    envelope = record.envelope
    if not principal.owns(envelope.principal) or envelope.label > principal.clearance:
        return None
    try:
        return msgspec.json.decode(record.body, type=kind), envelope
    except msgspec.DecodeError:  # whatever published it: it will be a dead letter, not a question
        return None


async def analysis(incoming: Incoming[Any], actor: ActorRef) -> Analysis | None:
    """One that Sophia has not begun."""
    found = await _asked(incoming, actor, StartAnalysis)
    if found is None:
        return None
    message, envelope = found
    return Analysis(
        id=actor.id,
        by=message.by,
        subject=message.subject,
        question=message.question,
        status="running",
        label=envelope.label,
        started=envelope.time,
        correlation_id=envelope.correlation,
        waiting_for=actor.domain,
    )


async def collaboration(incoming: Incoming[Any], id: str) -> CollaborationView | None:  # noqa: A002 - the field's name
    """One that a person asked for, whose id so says of whom."""
    domain = next((one for one in Domain if id.startswith(f"{one.value}-")), None)
    found = await _asked(incoming, ActorRef(domain, "collaboration", id), Collaborate) if domain else None
    if domain is None or found is None:
        return None
    message, envelope = found
    row = Collaboration(
        answering=domain,
        id=id,
        asking=message.asker,
        asker=envelope.principal,
        request_type=message.request.request_type,
        question=message.request.question,
        priority=message.request.priority,
        correlation=envelope.correlation,
        requested=envelope.time,
        deadline=message.request.deadline,
        label=envelope.label,
    )
    return collaboration_view(row, incoming.services.clock())


async def turn(incoming: Incoming[Any], actor: ActorRef) -> Turn | None:
    """The question that would begin the session."""
    found = await _asked(incoming, actor, Ask)
    if found is None:
        return None
    message, envelope = found
    return Turn(
        id=message.turn,
        session=actor.id,
        question=message.text,
        by=message.by,
        status="pending",
        asked=envelope.time,
        correlation_id=envelope.correlation,
    )
