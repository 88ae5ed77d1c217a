"""Cancelling: who asked for a run, or an administrator, has what is under way of it ended."""

from collections.abc import Iterable

import msgspec

from contracts import subjects
from contracts.analysis import AnalysisCompleted, AnalysisFailed, AnalysisLeftInPart, AnalysisStarted
from contracts.catalogue import tag
from contracts.collaboration import COLLABORATION
from contracts.conversation import Answered, Asked, Failed, LeftInPart
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Event, Record
from contracts.http import CancelRun, EventView, Pending
from contracts.ids import derived_id
from contracts.kernel import Cancel
from contracts.raw_chat import CHAT, ChatAnswered, ChatAsked, ChatFailed
from contracts.subjects import ActorRef
from gateway import queries
from gateway.commands import Incoming
from gateway.conversing import ANALYSIS, CONVERSATION
from gateway.problems import NotFoundError, ProblemError

STATUS_PATHS = {
    CONVERSATION: "/v1/sessions/{id}/messages",
    ANALYSIS: "/v1/analyses/{id}",
    CHAT: "/v1/chat/completions/chatcmpl-{run}",
}
"""The kinds that a run is asked of, and where each shows how it ended."""

BEGUN = frozenset({tag(Asked), tag(AnalysisStarted), tag(ChatAsked)})
ENDS: tuple[type[Event], ...] = (
    Answered,
    LeftInPart,
    Failed,
    AnalysisCompleted,
    AnalysisLeftInPart,
    AnalysisFailed,
    ChatAnswered,
    ChatFailed,
)
ENDED = frozenset(map(tag, ENDS))


async def cancel(incoming: Incoming[CancelRun]) -> Pending:
    """Have the run ended in every domain that works on it. It then fails as it does otherwise; a repeat is harmless.

    Raises NotFoundError for a run that is not his, ProblemError 409 for one that has ended and so stays as it is.
    """
    services, principal = incoming.services, incoming.principal
    correlation = (await queries.run(incoming)).correlation_id
    events = await services.reads.run(correlation, clearance=Clearance.TOP_SECRET)
    asked = next((event for event in events if event.kind in STATUS_PATHS), None)
    if not principal.owns((asked or events[0]).principal):
        raise NotFoundError("run")
    if asked is None:
        raise ProblemError(409, "ended", "nothing of this run is under way that could be cancelled")
    status_url = STATUS_PATHS[asked.kind].format(id=asked.actor, run=correlation)
    cause = await _under_way(incoming, _actor(asked), asked.sequence, correlation)
    if cause is None:
        raise ProblemError(409, "ended", f"the run has ended; what it came to is at {status_url}")
    message = Cancel(correlation=correlation, reason=incoming.body.reason or f"by {principal.username}")
    for actor in _workers(asked, events):
        envelope = Envelope(
            id=derived_id(correlation, "cancel", str(actor)),
            type=tag(Cancel),
            time=services.clock(),
            correlation=correlation,
            causation=cause.id,
            principal=principal.username,
            source=Domain.SYSTEM,
            target=actor.domain,
            clearance=principal.clearance,
            label=max(event.label for event in events if _actor(event) == actor),
            traceparent=cause.traceparent,
        )
        await services.queue.publish(subjects.inbox(actor), Record(envelope, msgspec.json.encode(message)))
    return Pending(correlation_id=correlation, status_url=status_url)


async def _under_way(incoming: Incoming[CancelRun], actor: ActorRef, first: int, correlation: str) -> Envelope | None:
    """What the run began with, in the log of the actor that was asked; None when it has ended, or never began."""
    cause: Envelope | None = None
    for stored in await incoming.services.log.read(subjects.log(actor), after=first - 1):
        envelope = stored.record.envelope
        if envelope.correlation != correlation:
            continue
        if envelope.type in ENDED:
            return None
        if envelope.type in BEGUN:
            cause = envelope
    return cause


def _workers(asked: EventView, events: Iterable[EventView]) -> list[ActorRef]:
    """The actors that work on the run: who was asked, then those that it asked, as far as the read models know them."""
    found = [_actor(event) for event in events if event.kind == COLLABORATION]
    return list(dict.fromkeys([_actor(asked), *found]))


def _actor(event: EventView) -> ActorRef:
    return ActorRef(event.domain, event.kind, event.actor)
