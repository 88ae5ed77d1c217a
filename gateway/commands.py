"""What each writing route does: the request as one message for one actor, and the ending event as the reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from contracts import subjects
from contracts.analysis import AnalysisCompleted, AnalysisFailed, AnalysisStarted, PhaseCompleted, StartAnalysis
from contracts.catalogue import decode_event, tag
from contracts.conversation import (
    Answered,
    Ask,
    ContextType,
    EndSession,
    Failed,
    SessionEnded,
    SessionStarted,
    StartSession,
)
from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Stored
from contracts.facts import FACT_DOMAINS, SIGNAL, AnyFact, SignalRecorded
from contracts.http import (
    Analysis,
    AskQuestion,
    CreateAnalysis,
    CreateSession,
    EventView,
    KnowledgeItem,
    Session,
    Turn,
)
from contracts.ids import derived_id
from contracts.knowledge import (
    AddKnowledge,
    DeleteKnowledge,
    Knowledge,
    KnowledgeAdded,
    KnowledgeDeleted,
    KnowledgeUpdated,
    UpdateKnowledge,
)
from contracts.subjects import ActorRef, actor_ref
from contracts.users import Permission
from gateway.execution import Command, Ended
from gateway.identity import Principal
from gateway.problems import ForbiddenError, NotFoundError, ProblemError, ValidationProblemError
from gateway.services import Services
from gateway.views import answer_reply, event_view

B = TypeVar("B")
CONVERSATION = "conversation"
ANALYSIS = "analysis"
KNOWLEDGE_ITEM = "knowledge_item"
EXPIRES_YEAR_MAX = 9_000
CONTEXT_TYPES: dict[Domain, ContextType] = {Domain.SOPHIA: "business", Domain.ARTEMIS: "technical"}
READ: dict[Domain, Permission] = {Domain.SOPHIA: "sophia:read", Domain.ARTEMIS: "artemis:read"}
WRITE: dict[Domain, Permission] = {
    Domain.SOPHIA: "sophia:write",
    Domain.ARTEMIS: "artemis:write",
    Domain.CEO: "cross_domain:collaborate",
    Domain.EMBEDDING: "system:admin",
    Domain.SYSTEM: "system:admin",
}


@dataclass(frozen=True, kw_only=True)
class Incoming(Generic[B]):
    """A request that was authenticated, authorised and validated. `id` is its message's id and its run's."""

    services: Services
    principal: Principal
    path: Mapping[str, str]
    body: B
    id: str
    media_type: str = ""
    last_event_id: str = ""


class Settled(Struct, frozen=True):
    """There is nothing left to do: what is asked for is so already."""

    reply: Struct | None


class Head(Struct, frozen=True):
    """What stands at the beginning of a session's log, whether it has ended, and where the log ends."""

    domain: Domain
    started: SessionStarted
    label: Clearance
    ended: bool
    last: int


# Sessions ------------------------------------------------------------------------------------------------------------


def session_ref(session: str) -> ActorRef:
    """The actor of a session id, `sophia-…` or `artemis-…`. Raises NotFoundError for any other text."""
    domain = {"sophia": Domain.SOPHIA, "artemis": Domain.ARTEMIS}.get(session.partition("-")[0])
    if domain is None:
        raise NotFoundError("session")
    return _ref(domain, CONVERSATION, session, "session")


async def session_head(services: Services, principal: Principal, session: str) -> tuple[ActorRef, Head]:
    """A session that this asker may see: his own (an administrator: any) and not above his clearance, else NotFoundError."""
    actor = session_ref(session)
    head: Head | None = None
    for stored in await services.log.read(subjects.log(actor)):
        envelope = stored.record.envelope
        if head is None:
            if envelope.type == tag(SessionStarted):
                started = msgspec.json.decode(stored.record.body, type=SessionStarted)
                head = Head(actor.domain, started, envelope.label, ended=False, last=stored.sequence)
            continue
        ended = head.ended or envelope.type == tag(SessionEnded)
        head = msgspec.structs.replace(head, ended=ended, last=stored.sequence)
    if head is None or not principal.owns(head.started.owner) or head.label > principal.clearance:
        raise NotFoundError("session")
    return actor, head


async def create_session(incoming: Incoming[CreateSession]) -> Command:
    body, principal = incoming.body, incoming.principal
    domain = Domain(body.domain)
    principal.require(WRITE[domain])
    other = Domain.ARTEMIS if domain is Domain.SOPHIA else Domain.SOPHIA
    actor = _new(domain, CONVERSATION, incoming.id)
    return Command(
        actor=actor,
        message=StartSession(
            owner=principal.username, title=body.title, context_type=body.context_type or CONTEXT_TYPES[domain]
        ),
        label=_label(principal, body.confidentiality),
        status_path=f"/v1/sessions/{actor.id}",
        alternatives=(_new(other, CONVERSATION, incoming.id),),
    )


async def end_session(incoming: Incoming[None]) -> Command | Settled:
    actor, head = await session_head(incoming.services, incoming.principal, incoming.path["session"])
    incoming.principal.require(WRITE[actor.domain])
    if head.ended:
        return Settled(None)
    message = EndSession(by=incoming.principal.username)
    return Command(
        actor=actor, message=message, label=head.label, status_path=f"/v1/sessions/{actor.id}", after=head.last
    )


async def ask_in_session(incoming: Incoming[AskQuestion]) -> Command:
    actor, head = await session_head(incoming.services, incoming.principal, incoming.path["session"])
    return _ask(incoming, actor, head.started.context_type, head.last)


async def ask_sophia(incoming: Incoming[AskQuestion]) -> Command:
    return _ask(incoming, _new(Domain.SOPHIA, CONVERSATION, incoming.id), "business")


async def ask_artemis(incoming: Incoming[AskQuestion]) -> Command:
    return _ask(incoming, _new(Domain.ARTEMIS, CONVERSATION, incoming.id), "technical")


def _ask(incoming: Incoming[AskQuestion], actor: ActorRef, context_type: ContextType, after: int = 0) -> Command:
    body, principal = incoming.body, incoming.principal
    principal.require(WRITE[actor.domain])
    return Command(
        actor=actor,
        message=Ask(
            turn=incoming.id,
            by=principal.username,
            text=body.question,
            context_type=context_type,
            team=body.team,
            collaborate=body.collaborate,
        ),
        label=_label(principal, body.confidentiality),
        status_path=f"/v1/sessions/{actor.id}/messages",
        priority=body.priority,
        deadline=_deadline(body.deadline, incoming.services.clock()),
        after=after,
    )


async def session_reply(_incoming: Incoming[CreateSession], command: Command, ended: Ended) -> Session:
    envelope = ended.ending.record.envelope
    started = msgspec.json.decode(ended.ending.record.body, type=SessionStarted)
    return Session(
        id=command.actor.id,
        domain=command.actor.domain,
        title=started.title,
        context_type=started.context_type,
        owner=started.owner,
        status="active",
        label=envelope.label,
        started=envelope.time,
    )


async def answer_turn(incoming: Incoming[AskQuestion], command: Command, ended: Ended) -> Turn:
    """The turn with its answer. Raises ProblemError where the run failed, or rests on what the asker may not see."""
    event = _event(ended.ending)
    envelope = ended.ending.record.envelope
    if isinstance(event, Failed):
        raise ProblemError(502, "failed", f"the question could not be answered: {event.reason}")
    assert isinstance(event, Answered)  # noqa: S101 - the row's ending types
    if max(envelope.label, event.label) > incoming.principal.clearance:
        raise ForbiddenError("the answer rests on something above your clearance")
    return Turn(
        id=incoming.id,
        session=command.actor.id,
        question=incoming.body.question,
        by=incoming.principal.username,
        status="answered",
        asked=ended.records[0].record.envelope.time,
        answer=answer_reply(event),
        answered=envelope.time,
        correlation_id=incoming.id,
    )


# Analyses ------------------------------------------------------------------------------------------------------------


async def create_analysis(incoming: Incoming[CreateAnalysis]) -> Command:
    body, principal = incoming.body, incoming.principal
    actor = _new(Domain.SOPHIA, ANALYSIS, incoming.id)
    return Command(
        actor=actor,
        message=StartAnalysis(by=principal.username, subject=body.subject, question=body.question),
        label=_label(principal, body.confidentiality),
        status_path=f"/v1/analyses/{actor.id}",
        priority=body.priority,
        deadline=_deadline(body.deadline, incoming.services.clock()),
    )


async def analysis_reply(incoming: Incoming[CreateAnalysis], command: Command, ended: Ended) -> Analysis:
    """The whole analysis, folded from its own log. Raises ProblemError where it failed or rests on what the asker may not see."""
    failed = _event(ended.ending)
    if isinstance(failed, AnalysisFailed):
        raise ProblemError(502, "failed", f"the analysis could not be finished: {failed.reason}")
    first, label = ended.records[0].record.envelope, max(stored.record.envelope.label for stored in ended.records)
    if label > incoming.principal.clearance:
        raise ForbiddenError("the analysis rests on something above your clearance")
    analysis = Analysis(
        id=command.actor.id,
        by=incoming.principal.username,
        subject=incoming.body.subject,
        question=incoming.body.question,
        status="running",
        label=label,
        started=first.time,
        correlation_id=incoming.id,
    )
    for stored in ended.records:
        match _event(stored):
            case AnalysisStarted(by=by):
                analysis = msgspec.structs.replace(analysis, by=by, started=stored.record.envelope.time)
            case PhaseCompleted(result=result):
                analysis = msgspec.structs.replace(analysis, phases=(*analysis.phases, result))
            case AnalysisCompleted() as completed:
                analysis = msgspec.structs.replace(
                    analysis,
                    status="completed",
                    executive_summary=completed.executive_summary,
                    recommendations=completed.recommendations,
                    confidence=completed.confidence,
                    confidence_by_domain=completed.confidence_by_domain,
                    completed=stored.record.envelope.time,
                )
            case _:
                pass
    return analysis


# Knowledge -----------------------------------------------------------------------------------------------------------


class Held(Struct, frozen=True):
    """A knowledge item as its log has it; `knowledge` None once deleted."""

    knowledge: Knowledge | None
    label: Clearance
    by: str
    created: datetime
    updated: datetime
    last: int


async def add_knowledge(incoming: Incoming[Knowledge]) -> Command:
    item = derived_id(incoming.id, KNOWLEDGE_ITEM)
    _expiry(incoming.body)
    return Command(
        actor=ActorRef(Domain.CEO, KNOWLEDGE_ITEM, item),
        message=AddKnowledge(by=incoming.principal.username, knowledge=incoming.body),
        label=_label(incoming.principal, incoming.body.confidentiality),
        status_path=f"/v1/knowledge/{item}",
    )


async def update_knowledge(incoming: Incoming[Knowledge]) -> Command | Settled:
    principal = incoming.principal
    _expiry(incoming.body)
    label = _label(principal, incoming.body.confidentiality)
    actor, held = await _held(incoming)
    if held.knowledge is None:
        raise NotFoundError("knowledge item")
    if held.knowledge == incoming.body:
        return Settled(_item(actor, held, held.knowledge))
    message = UpdateKnowledge(by=principal.username, clearance=principal.clearance, knowledge=incoming.body)
    return Command(actor=actor, message=message, label=label, status_path=f"/v1/knowledge/{actor.id}", after=held.last)


async def delete_knowledge(incoming: Incoming[None]) -> Command:
    principal = incoming.principal
    actor, held = await _held(incoming)
    message = DeleteKnowledge(by=principal.username, clearance=principal.clearance)
    return Command(
        actor=actor, message=message, label=held.label, status_path=f"/v1/knowledge/{actor.id}", after=held.last
    )


async def item_reply(incoming: Incoming[Knowledge], command: Command, ended: Ended) -> KnowledgeItem:
    held = _fold(await incoming.services.log.read(subjects.log(command.actor)), until=ended.ending.sequence)
    if held is None or held.knowledge is None:
        raise NotFoundError("knowledge item")
    return _item(command.actor, held, held.knowledge)


async def _held(incoming: Incoming[Knowledge] | Incoming[None]) -> tuple[ActorRef, Held]:
    """The item that is to be changed. Raises NotFoundError, also for one above the clearance or deleted by another request."""
    actor = _ref(Domain.CEO, KNOWLEDGE_ITEM, incoming.path["item"], "knowledge item")
    records = await incoming.services.log.read(subjects.log(actor))
    held = _fold(records)
    if held is None or held.label > incoming.principal.clearance:
        raise NotFoundError("knowledge item")
    if held.knowledge is None and records[-1].record.envelope.correlation != incoming.id:
        raise NotFoundError("knowledge item")
    return actor, held


def _fold(records: Sequence[Stored], until: int | None = None) -> Held | None:
    held: Held | None = None
    for stored in records:
        if until is not None and stored.sequence > until:
            break
        envelope = stored.record.envelope
        match _event(stored):
            case KnowledgeAdded(by=by, knowledge=knowledge):
                time = envelope.time
                held = Held(knowledge, knowledge.confidentiality, by, created=time, updated=time, last=stored.sequence)
            case KnowledgeUpdated(by=by, knowledge=knowledge) if held is not None:
                held = Held(
                    knowledge, knowledge.confidentiality, by, held.created, updated=envelope.time, last=stored.sequence
                )
            case KnowledgeDeleted() if held is not None:
                held = msgspec.structs.replace(held, knowledge=None, last=stored.sequence)
            case _:
                pass
    return held


def _item(actor: ActorRef, held: Held, knowledge: Knowledge) -> KnowledgeItem:
    return KnowledgeItem(id=actor.id, knowledge=knowledge, by=held.by, created=held.created, updated=held.updated)


def _expiry(knowledge: Knowledge) -> None:
    if knowledge.expires is None:
        return
    if knowledge.expires.tzinfo is None:
        raise ValidationProblemError("$.expires", "must have an offset from UTC, such as Z")
    if not 1970 < knowledge.expires.year < EXPIRES_YEAR_MAX:
        raise ValidationProblemError("$.expires", f"must lie between 1971 and {EXPIRES_YEAR_MAX}")


# Facts ---------------------------------------------------------------------------------------------------------------


async def publish_fact(incoming: Incoming[AnyFact]) -> Command | Settled:
    principal, fact = incoming.principal, incoming.body
    domain = next((known for known in Domain if known == incoming.path["domain"]), None)
    if domain is None:
        raise NotFoundError("domain")
    if incoming.path["kind"] != SIGNAL:
        raise NotFoundError(f"kind of actor that takes facts; that is {SIGNAL!r}")
    principal.require(WRITE[domain])
    if FACT_DOMAINS[type(fact)] is not domain:
        raise ValidationProblemError("$.type", f"this fact is meant for the domain {FACT_DOMAINS[type(fact)].value}")
    actor = _ref(domain, SIGNAL, incoming.path["id"], "signal")
    label = _label(principal, fact.confidentiality)
    last = 0
    for stored in await incoming.services.log.read(subjects.log(actor)):
        last = stored.sequence
        event = _event(stored)
        if isinstance(event, SignalRecorded) and event.fact == fact:
            return Settled(event_view(stored, body=True))
    status_path = f"/v1/events?domain={domain.value}&kind={SIGNAL}&id={actor.id}"
    return Command(actor=actor, message=fact, label=label, status_path=status_path, after=last)


async def fact_reply(_incoming: Incoming[AnyFact], _command: Command, ended: Ended) -> EventView:
    return event_view(ended.ending, body=True)


async def nothing(_incoming: Incoming[None], _command: Command, _ended: Ended) -> None:
    """The reply of what is gone."""


# Shared --------------------------------------------------------------------------------------------------------------


def _event(stored: Stored) -> Event | None:
    try:
        return decode_event(stored.record.envelope.type, stored.record.body)
    except KeyError:
        return None


def _new(domain: Domain, kind: str, message: str) -> ActorRef:
    return ActorRef(domain, kind, f"{domain.value}-{UUID(message).hex}")


def _ref(domain: Domain, kind: str, id: str, what: str) -> ActorRef:  # noqa: A002 - the field's name
    try:
        return actor_ref(domain, kind, id)
    except ValueError as error:
        raise NotFoundError(what) from error


def _label(principal: Principal, confidentiality: Clearance | None) -> Clearance:
    """How confidential what is written is: as said, else as the writer is cleared. Raises ForbiddenError above that."""
    if confidentiality is None:
        return principal.clearance
    if confidentiality > principal.clearance:
        raise ForbiddenError(f"you are cleared for {principal.clearance.value}, not for {confidentiality.value}")
    return confidentiality


def _deadline(deadline: datetime | None, now: datetime) -> datetime | None:
    if deadline is None:
        return None
    if deadline <= now:
        raise ValidationProblemError("$.deadline", "has passed")
    if deadline.year >= EXPIRES_YEAR_MAX:
        raise ValidationProblemError("$.deadline", "lies too far ahead")
    return deadline
