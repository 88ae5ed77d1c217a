"""Chats in OpenAI's form: as a question to Sophia or Artemis in a session, or as a raw chat with a configured model."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from contracts import subjects
from contracts.chat import ChatMessage, FinishReason
from contracts.conversation import Answered, AnsweredInPart, Asked, Failed, LeftInPart
from contracts.domains import Clearance, Domain
from contracts.envelope import Event
from contracts.http import AskQuestion, Budget, FieldProblem
from contracts.kernel import Refused
from contracts.model import Allowance, Failure, Usage
from contracts.openai_chat import (
    ChatCompletion,
    Choice,
    CompletionUsage,
    CreateChatCompletion,
    FunctionCall,
    Provenance,
    ReplyMessage,
    Source,
    ToolCallBody,
)
from contracts.raw_chat import CHAT, AskChat, ChatAnswered, ChatAsked, ChatFailed
from contracts.subjects import ActorRef
from gateway import chat_requests, conversing
from gateway.commands import SESSION_HEADER, Incoming, allowance, budget_spent, event_of, label_of, new_actor
from gateway.events import visible
from gateway.execution import Command, Ended
from gateway.identity import Principal
from gateway.models import AGENTS, chat_model
from gateway.problems import ForbiddenError, NotFoundError, ProblemError, ValidationProblemError, refused, slug_of
from gateway.services import Services

LABEL_HEADER = "Diarchy-Label"
ID_PREFIX = "chatcmpl-"
KINDS = (CHAT, conversing.CONVERSATION)
ENDS = (Answered, LeftInPart, Failed, ChatAnswered, ChatFailed)
PARTS = (AnsweredInPart,)
"""Clients of OpenAI's know none: what there is, and says what it goes without, is the answer until it is asked for again."""
SESSION = "session"
CONFIDENTIALITY = "confidentiality"

E = TypeVar("E", bound=Event)
Request = Incoming[CreateChatCompletion]


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as its recorded event says it, whoever gave it; `model` is the one that was asked for."""

    message: ChatMessage
    finish_reason: FinishReason
    model: str
    usage: Usage | None
    provenance: Provenance
    at: datetime


async def complete(incoming: Request) -> Command:
    """The message that asks: a question in a new or a named session, or a raw chat."""
    body = incoming.body
    model = chat_model(incoming.services, incoming.principal, body.model)
    label = _label(incoming)
    fresh = _fresh(incoming.id)
    if model in AGENTS:
        command = await _ask(incoming, AGENTS[model], label)
    else:
        if _session(incoming) is not None:
            raise ValidationProblemError(
                "$.metadata.session", f"only {' and '.join(AGENTS)} have sessions; send the whole chat", status=400
            )
        command = Command(
            actor=fresh[-1],
            message=AskChat(
                by=incoming.principal.username,
                request=chat_requests.for_model(body),
                budget=allowance(_budget(incoming), incoming.services.settings.budget),
            ),
            label=label,
            status_path=f"/v1/chat/completions/{completion_id(incoming.id)}",
        )
    alternatives = tuple(actor for actor in fresh if actor != command.actor)
    return dataclasses.replace(command, alternatives=alternatives, anywhere=True, written=bool(body.stream))


def _fresh(run: str) -> tuple[ActorRef, ActorRef, ActorRef]:
    """The actors of which one answers a chat without a session."""
    return (
        new_actor(Domain.SOPHIA, conversing.CONVERSATION, run),
        new_actor(Domain.ARTEMIS, conversing.CONVERSATION, run),
        new_actor(Domain.SYSTEM, CHAT, run),
    )


async def _ask(incoming: Request, domain: Domain, label: Clearance) -> Command:
    """In a session that is named only the last message counts: it knows the others. A new one is told of them."""
    question, history = chat_requests.for_agent(incoming.body)
    body = AskQuestion(question=question, confidentiality=label, budget=_budget(incoming))
    session = _session(incoming)
    if session is None:
        actor = new_actor(domain, conversing.CONVERSATION, incoming.id)
        return conversing.ask(incoming, body, actor, conversing.CONTEXT_TYPES[domain], history=history)
    actor, started, head = await conversing.session_head(incoming.services, incoming.principal, session)
    if actor.domain is not domain:
        raise ValidationProblemError("$.model", f"the session is one of {actor.domain.value}", status=400)
    return conversing.ask(incoming, body, actor, started.context_type, head.after(incoming.id))


def _session(incoming: Request) -> str | None:
    """Which session is continued, as the metadata or the header says. Raises ValidationProblemError when they differ."""
    named = {incoming.session or None, (incoming.body.metadata or {}).get(SESSION)} - {None}
    if len(named) > 1:
        raise ValidationProblemError(
            "$.metadata.session", f"is another one than the header {SESSION_HEADER}", status=400
        )
    return named.pop() if named else None


def _label(incoming: Request) -> Clearance:
    wanted = (incoming.body.metadata or {}).get(CONFIDENTIALITY)
    try:
        return label_of(incoming.principal, None if wanted is None else Clearance(wanted))
    except ValueError as error:
        known = ", ".join(level.value for level in Clearance)
        raise ValidationProblemError("$.metadata.confidentiality", f"is none of {known}", status=400) from error


def _budget(incoming: Request) -> Budget | None:
    """What the chat may cost, as the metadata says in texts. Raises ValidationProblemError."""
    metadata = incoming.body.metadata or {}
    given = {name: metadata[name] for name in Budget.__struct_fields__ if name in metadata}
    try:
        return msgspec.convert(given, Budget, strict=False) if given else None
    except msgspec.ValidationError as error:
        field = next((name for name in given if f"`$.{name}`" in str(error)), next(iter(given)))
        raise ValidationProblemError(f"$.metadata.{field}", str(error).partition(" - at")[0], status=400) from error


async def completion(incoming: Request, command: Command, ended: Ended) -> ChatCompletion:
    """The whole answer. Raises ProblemError where the run failed, or rests on what the asker may not see."""
    return _whole(completed(incoming, command.actor, ended))


async def recorded(incoming: Incoming[None]) -> ChatCompletion:
    """The answer that was given once. Raises NotFoundError, ProblemError 409 while there is none, else as `completion`."""
    services, principal = incoming.services, incoming.principal
    run = incoming.path["completion"].removeprefix(ID_PREFIX)
    seen = [
        event
        for event in await visible(incoming, await services.reads.run(run, clearance=principal.clearance))
        if event.causation == run and event.kind in KINDS
    ]
    if not seen and await _begun(services, principal, run):
        raise _pending()
    if not seen or not principal.owns(seen[0].principal):
        raise NotFoundError("chat completion")
    actor = ActorRef(seen[0].domain, seen[0].kind, seen[0].actor)
    stored = await services.log.read(subjects.log(actor), after=seen[0].sequence - 1)
    records = [one for one in stored if one.record.envelope.correlation == run]
    ending = next((one for kinds in (ENDS, PARTS) for one in records if isinstance(event_of(one), kinds)), None)
    ending = ending or next((one for one in records if isinstance(event_of(one), Refused)), None)
    if ending is None:
        raise _pending()
    return _whole(completed(dataclasses.replace(incoming, id=run), actor, Ended(ending=ending, records=records)))


async def _begun(services: Services, principal: Principal, run: str) -> bool:
    """Whether it is a chat of his that the read models do not know yet: the first chunk of a stream names it before they do."""
    try:
        actors = _fresh(run)
    except ValueError:
        return False
    if await services.reads.run(run, clearance=Clearance.TOP_SECRET):
        return False
    logs = [await services.log.read(subjects.log(actor)) for actor in actors]
    first = next((one.record.envelope for log in logs for one in log if one.record.envelope.correlation == run), None)
    return first is not None and principal.owns(first.principal)


def _pending() -> ProblemError:
    return ProblemError(409, "pending", "there is no answer yet; it is worked on")


def _whole(done: Completed) -> ChatCompletion:
    message = done.message
    calls = tuple(
        ToolCallBody(id=call.id, function=FunctionCall(name=call.name, arguments=call.arguments))
        for call in message.tool_calls
    )
    reply = ReplyMessage(content=message.content or (None if calls else ""), tool_calls=calls or msgspec.UNSET)
    return ChatCompletion(
        id=completion_id(done.provenance.run),
        created=int(done.at.timestamp()),
        model=done.model,
        choices=(Choice(message=reply, finish_reason=done.finish_reason),),
        usage=usage_of(done) or msgspec.UNSET,
        diarchy=done.provenance,
    )


def completed(incoming: Incoming[Any], actor: ActorRef, ended: Ended) -> Completed:
    """What the ending event says. Raises ProblemError as `completion`."""
    event, at = event_of(ended.ending), ended.ending.record.envelope.time
    label = max(stored.record.envelope.label for stored in ended.records)
    if label > incoming.principal.clearance:
        raise ForbiddenError("the answer rests on something above your clearance")
    if isinstance(event, AnsweredInPart | LeftInPart):
        part = conversing.part_of(ended)
        event = part.answer if part else event
    match event:
        case ChatAnswered(reply=reply):
            asked = _first(ended, ChatAsked)
            return Completed(
                message=reply.message,
                finish_reason=reply.finish_reason,
                model=asked.request.model if asked else reply.model,
                usage=reply.usage,
                provenance=Provenance(
                    run=incoming.id,
                    label=label,
                    model=reply.model,
                    budget=budget_spent(asked.budget if asked else None, reply.usage),
                ),
                at=at,
            )
        case Answered():
            question = _first(ended, Asked)
            budget = budget_spent(question.budget if question else None, event.usage)
            return Completed(
                message=ChatMessage(role="assistant", content=event.content),
                finish_reason="stop",
                model=actor.domain.value,
                usage=event.usage,
                provenance=msgspec.structs.replace(_provenance(incoming.id, actor.id, event, label), budget=budget),
                at=at,
            )
        case Refused(code=code, reason=reason):
            raise refused(code, reason)
        case ChatFailed(reason=reason, code=code) | Failed(reason=reason, code=code):
            if code == "budget" and (field := _askers_bound(incoming, ended)):
                raise _too_little(field, reason)
            raise _failed(reason, code, raw=isinstance(event, ChatFailed))
        case _:
            raise ProblemError(409, "unchanged", "this was asked before")


def _askers_bound(incoming: Incoming[Any], ended: Ended) -> str | None:
    """The parameter that bounds what the run may spend; None where that may be a bound of the settings."""
    asked = _first(ended, ChatAsked) or _first(ended, Asked)
    budget = (asked and asked.budget) or Allowance()
    usual = incoming.services.settings.budget or Allowance()
    bounds = {"tokens_max": (budget.tokens, usual.tokens), "cost_max": (budget.cost_micros, usual.cost_micros)}
    held = {name: bound != default for name, (bound, default) in bounds.items() if bound is not None}
    return f"$.metadata.{next(iter(held))}" if held and all(held.values()) else None


def _too_little(field: str, reason: str) -> ProblemError:
    problem = ProblemError(400, slug_of("budget"), f"there is no answer: {reason}")
    problem.errors = (FieldProblem(field=field, detail="is too little for an answer; allow more"),)
    return problem


def _failed(reason: str, code: Failure | None, *, raw: bool) -> ProblemError:
    """Why there is no answer. What a provider refuses of a raw chat is the chat's own fault; of a question to an agent, ours."""
    detail = f"there is no answer: {reason}"
    if code == "refused" and raw:
        return ProblemError(400, "refused-by-provider", detail)
    return ProblemError(502, slug_of(code), detail)


def _first(ended: Ended, kind: type[E]) -> E | None:
    return next((one for one in map(event_of, ended.records) if isinstance(one, kind)), None)


def _provenance(run: str, session: str, answered: Answered, label: Clearance) -> Provenance:
    return Provenance(
        run=run,
        session=session,
        label=label,
        model=answered.model,
        team=answered.team,
        confidence=answered.confidence,
        evidence=tuple(
            Source(
                id=item.id,
                title=item.title,
                label=item.label,
                score=item.score,
                source=item.source,
                partition=item.partition,
            )
            for item in answered.evidence
        ),
        citations=answered.citations,
        contributions=answered.contributions,
    )


def usage_of(done: Completed) -> CompletionUsage | None:
    used = done.usage
    if used is None:
        return None
    total = used.input_tokens + used.output_tokens
    return CompletionUsage(prompt_tokens=used.input_tokens, completion_tokens=used.output_tokens, total_tokens=total)


def completion_id(run: str) -> str:
    return f"{ID_PREFIX}{run}"


def session_of(command: Command) -> str | None:
    return command.actor.id if command.actor.kind == conversing.CONVERSATION else None


def headers(command: Command, ended: Ended | None) -> Mapping[str, str]:
    """Where the chat goes on, and of an answer how confidential it is."""
    session = session_of(command)
    found = {} if session is None else {SESSION_HEADER: session}
    if ended is not None:
        found[LABEL_HEADER] = max(stored.record.envelope.label for stored in ended.records).value
    return found
