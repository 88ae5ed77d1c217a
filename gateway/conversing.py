"""Commands about sessions, questions and analyses, and their replies."""

import dataclasses
from typing import Any

import msgspec

from contracts.analysis import AnalysisFailed, StartAnalysis
from contracts.conversation import (
    CODE_TEAMS,
    TEAMS_OF,
    Answered,
    AnsweredInPart,
    Ask,
    ContextType,
    EndSession,
    Exchange,
    Failed,
    LeftInPart,
    SessionStarted,
    StartSession,
)
from contracts.domains import Domain
from contracts.http import Analysis, AskQuestion, CreateAnalysis, CreateSession, Session, Turn
from contracts.subjects import ActorRef
from gateway.approvers import strangers
from gateway.commands import (
    WRITE,
    Incoming,
    allowance,
    checked_approval,
    checked_deadline,
    event_of,
    label_of,
    named_actor,
    new_actor,
)
from gateway.execution import Command, Ended
from gateway.heads import Head
from gateway.identity import Principal
from gateway.problems import ForbiddenError, NotFoundError, ProblemError, ValidationProblemError, unanswered
from gateway.row_views import analysis_view
from gateway.services import Services
from gateway.sources import handed_over
from gateway.views import answer_reply
from projections import analyses
from runtime.read_models import logged

CONVERSATION = "conversation"
ANALYSIS = "analysis"
CONTEXT_TYPES: dict[Domain, ContextType] = {Domain.SOPHIA: "business", Domain.ARTEMIS: "technical"}


def session_ref(session: str) -> ActorRef:
    """The actor of a session id, `sophia-…` or `artemis-…`. Raises NotFoundError for any other text."""
    domain = {"sophia": Domain.SOPHIA, "artemis": Domain.ARTEMIS}.get(session.partition("-")[0])
    if domain is None:
        raise NotFoundError("session")
    return named_actor(domain, CONVERSATION, session, "session")


async def session_head(services: Services, principal: Principal, session: str) -> tuple[ActorRef, SessionStarted, Head]:
    """A session that this asker may see: his own (an administrator: any) and not above his clearance, else NotFoundError."""
    actor = session_ref(session)
    head = await services.heads.of(actor)
    if head is None or head.started is None:
        raise NotFoundError("session")
    if not principal.owns(head.started.owner) or head.label > principal.clearance:
        raise NotFoundError("session")
    return actor, head.started, head


async def create_session(incoming: Incoming[CreateSession]) -> Command:
    body, principal = incoming.body, incoming.principal
    domain = Domain(body.domain)
    principal.require(WRITE[domain])
    other = Domain.ARTEMIS if domain is Domain.SOPHIA else Domain.SOPHIA
    actor = new_actor(domain, CONVERSATION, incoming.id)
    return Command(
        actor=actor,
        message=StartSession(
            owner=principal.username, title=body.title, context_type=body.context_type or CONTEXT_TYPES[domain]
        ),
        label=label_of(principal, body.confidentiality),
        status_path=f"/v1/sessions/{actor.id}",
        alternatives=(new_actor(other, CONVERSATION, incoming.id),),
    )


async def end_session(incoming: Incoming[None]) -> Command:
    actor, _, head = await session_head(incoming.services, incoming.principal, incoming.path["session"])
    incoming.principal.require(WRITE[actor.domain])
    message = EndSession(by=incoming.principal.username)
    return Command(
        actor=actor,
        message=message,
        label=head.label,
        status_path=f"/v1/runs/{incoming.id}",
        after=head.after(incoming.id),
    )


async def ask_in_session(incoming: Incoming[AskQuestion]) -> Command:
    actor, started, head = await session_head(incoming.services, incoming.principal, incoming.path["session"])
    return await _asked(incoming, ask(incoming, incoming.body, actor, started.context_type, head.after(incoming.id)))


async def ask_sophia(incoming: Incoming[AskQuestion]) -> Command:
    actor = new_actor(Domain.SOPHIA, CONVERSATION, incoming.id)
    return await _asked(incoming, ask(incoming, incoming.body, actor, "business"))


async def ask_artemis(incoming: Incoming[AskQuestion]) -> Command:
    actor = new_actor(Domain.ARTEMIS, CONVERSATION, incoming.id)
    return await _asked(incoming, ask(incoming, incoming.body, actor, "technical"))


async def _asked(incoming: Incoming[AskQuestion], command: Command) -> Command:
    return await _noted(incoming, await handed_over(incoming, incoming.body, command))


async def _noted(incoming: Incoming[AskQuestion] | Incoming[CreateAnalysis], command: Command) -> Command:
    """With what the asker had better know of those whose approval it waits for. Raises ValidationProblemError."""
    notes = await strangers(incoming.services, incoming.body.approval, command.label)
    return dataclasses.replace(command, notes=notes)


def ask(
    incoming: Incoming[Any],
    body: AskQuestion,
    actor: ActorRef,
    context_type: ContextType,
    after: int = 0,
    history: tuple[Exchange, ...] = (),
) -> Command:
    """The question of a session. Raises ForbiddenError, ValidationProblemError."""
    principal = incoming.principal
    principal.require(WRITE[actor.domain])
    if body.team and body.team not in TEAMS_OF[actor.domain]:
        known = ", ".join(sorted(TEAMS_OF[actor.domain]))
        raise ValidationProblemError("$.team", f"{actor.domain.value} has the teams {known}")
    return Command(
        actor=actor,
        message=Ask(
            turn=incoming.id,
            by=principal.username,
            text=body.question,
            context_type=context_type,
            team=body.team,
            collaborate=_collaborate(principal, asked=body.collaborate),
            budget=allowance(body.budget, incoming.services.settings.budget),
            approval=checked_approval(incoming, body.approval),
            history=history,
            grants=principal.grants,
            ceo_context=body.ceo_context,
            repository=_repository(body, actor),
        ),
        label=label_of(principal, body.confidentiality),
        status_path=f"/v1/sessions/{actor.id}/messages",
        priority=body.priority,
        deadline=checked_deadline(body.deadline, incoming.services.clock()),
        after=after,
    )


def _repository(body: AskQuestion, actor: ActorRef) -> str | None:
    """Raises ValidationProblemError where nobody would read it."""
    if body.repository is not None:
        if actor.domain is not Domain.ARTEMIS:
            raise ValidationProblemError("$.repository", "only Artemis reads source code")
        if body.team is not None and body.team not in CODE_TEAMS:
            raise ValidationProblemError("$.team", f"code is read by the teams {', '.join(CODE_TEAMS)}")
    return body.repository


def _collaborate(principal: Principal, *, asked: bool | None) -> bool | None:
    """Whether other domains may be asked: as wished, but never for who may not have them asked. Raises ForbiddenError."""
    if asked:
        principal.require("cross_domain:collaborate")
    return asked if principal.may("cross_domain:collaborate") else False


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
    event = event_of(ended.ending)
    envelope = ended.ending.record.envelope
    label = max(stored.record.envelope.label for stored in ended.records)
    if label > incoming.principal.clearance:
        raise ForbiddenError("the answer rests on something above your clearance")
    if isinstance(event, Failed):
        raise unanswered(event.code, f"the question could not be answered: {event.reason}")
    part = part_of(ended)
    answered = event if isinstance(event, Answered) else part.answer if part else None
    if answered is None:
        raise ProblemError(409, "unchanged", "the question was asked before")
    whole = isinstance(event, Answered)
    return Turn(
        id=incoming.id,
        session=command.actor.id,
        question=incoming.body.question,
        by=incoming.principal.username,
        status="answered" if whole else "partial",
        asked=ended.records[0].record.envelope.time,
        answer=answer_reply(answered, label),
        failure=event.reason if isinstance(event, LeftInPart) else None,
        answered=envelope.time,
        correlation_id=incoming.id,
        missing=() if whole or part is None else part.missing,
        status_url=None if whole else command.status_path,
    )


def part_of(ended: Ended) -> AnsweredInPart | None:
    """The part that a run's answer was given in; None where it never was, or is whole."""
    events = [event_of(stored) for stored in ended.records]
    return next((event for event in events if isinstance(event, AnsweredInPart)), None)


async def create_analysis(incoming: Incoming[CreateAnalysis]) -> Command:
    body, principal = incoming.body, incoming.principal
    actor = new_actor(Domain.SOPHIA, ANALYSIS, incoming.id)
    command = Command(
        actor=actor,
        message=StartAnalysis(
            by=principal.username,
            subject=body.subject,
            question=body.question,
            budget=allowance(body.budget, incoming.services.settings.budget),
            approval=checked_approval(incoming, body.approval),
            grants=principal.grants,
        ),
        label=label_of(principal, body.confidentiality),
        status_path=f"/v1/analyses/{actor.id}",
        priority=body.priority,
        deadline=checked_deadline(body.deadline, incoming.services.clock()),
    )
    return await _noted(incoming, command)


async def analysis_reply(incoming: Incoming[CreateAnalysis], _command: Command, ended: Ended) -> Analysis:
    """The analysis, whole or in part. Raises ProblemError where it failed or rests on what the asker may not see."""
    last = event_of(ended.ending)
    records = [stored for stored in ended.records if stored.sequence <= ended.ending.sequence]
    row = analyses.folded(analyses.ANALYSES.wanted(logged(records)))
    label = max(stored.record.envelope.label for stored in records)
    if label > incoming.principal.clearance or (row is not None and row.label > incoming.principal.clearance):
        raise ForbiddenError("the analysis rests on something above your clearance")
    if isinstance(last, AnalysisFailed):
        raise unanswered(last.code, f"the analysis could not be finished: {last.reason}")
    if row is None:
        raise ProblemError(409, "unchanged", "the analysis was asked for before")
    return analysis_view(row)
