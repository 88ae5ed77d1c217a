"""Conversation: one session with a domain; at most one turn waits for an answer.

A turn that was answered in part waits for no one: the next question may come, and is told of the part. When the whole answer
comes, it takes the part's place in what later questions are told.
"""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from actors.answering import answer
from actors.findable import make_findable
from actors.memory import remember
from contracts.conversation import (
    EXCHANGE_CHARS_MAX,
    EXCHANGES_MAX,
    Answer,
    Answered,
    AnsweredInPart,
    AnswerInPart,
    Ask,
    Asked,
    EndSession,
    Exchange,
    Fail,
    Failed,
    LeftInPart,
    SessionEnded,
    SessionStarted,
    StartSession,
)
from contracts.domains import Clearance
from contracts.model import FLOW
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError, Rejected

TURNS_MAX = 1_000
TITLE_CHARS_MAX = 80
PARTS_MAX = 10  # turns of a session whose whole answer is still to come

Recordable = SessionStarted | Asked | AnsweredInPart | LeftInPart | Answered | Failed | SessionEnded


class Part(Struct, frozen=True):
    """A turn that was answered in part, as later questions are told of it."""

    turn: str
    exchange: Exchange


class State(Struct, frozen=True):
    owner: str | None = None
    ended: bool = False
    turns: frozenset[str] = frozenset()
    pending: Asked | None = None
    recent: tuple[Exchange, ...] = ()
    label: Clearance = Clearance.PUBLIC
    parts: tuple[Part, ...] = ()


def decide(state: State, message: StartSession | Ask | AnswerInPart | Answer | Fail | EndSession) -> list[Recordable]:
    match message:
        case StartSession():
            if state.owner is not None:
                return []
            return [SessionStarted(owner=message.owner, title=message.title, context_type=message.context_type)]
        case Ask():
            return _ask(state, message)
        case AnswerInPart():
            part = AnsweredInPart(turn=message.turn, answer=message.answer, missing=message.missing)
            return [part] if _waits_for(state, message.turn) else []
        case Answer():
            return [message.answer] if _waits_for(state, message.turn) or _part(state, message.turn) else []
        case Fail():
            if _part(state, message.turn):
                return [LeftInPart(turn=message.turn, reason=message.reason, code=message.code)]
            failed = Failed(turn=message.turn, reason=message.reason, code=message.code)
            return [failed] if _waits_for(state, message.turn) else []
        case EndSession():
            _owned(state, message.by)
            return [] if state.ended else [SessionEnded(by=message.by)]
        case _:
            assert_never(message)


def _ask(state: State, message: Ask) -> list[Recordable]:
    if message.turn in state.turns:
        return []  # Messages are redelivered; a repeat changes nothing.
    asked = Asked(
        turn=message.turn,
        by=message.by,
        text=message.text,
        team=message.team,
        collaborate=message.collaborate,
        history=state.recent if state.owner else tuple(_cut(past.question, past.answer) for past in message.history),
        label=state.label,
        budget=message.budget,
        flow=FLOW,
        approval=message.approval,
        grants=message.grants,
        ceo_context=message.ceo_context,
        repository=message.repository,
        sources=message.sources,
    )
    if state.owner is None:
        return [
            SessionStarted(owner=message.by, title=message.text[:TITLE_CHARS_MAX], context_type=message.context_type),
            asked,
        ]
    _owned(state, message.by)
    if state.ended:
        raise Rejected("the session has ended", "gone")
    if state.pending:
        raise Rejected(f"turn {state.pending.turn} is unanswered")
    if len(state.parts) >= PARTS_MAX:
        raise Rejected(f"{PARTS_MAX} answers of this session are not complete yet; wait for one or cancel it", "limit")
    if len(state.turns) >= TURNS_MAX:
        raise Rejected(f"a session has at most {TURNS_MAX} turns", "limit")
    return [asked]


def _cut(question: str, answer: str) -> Exchange:
    return Exchange(question[:EXCHANGE_CHARS_MAX], answer[:EXCHANGE_CHARS_MAX])


def _owned(state: State, by: str) -> None:
    if state.owner is None:
        raise Rejected("no such session", "not_found")
    if by != state.owner:
        raise Rejected("the session belongs to somebody else", "forbidden")


def _waits_for(state: State, turn: str) -> bool:
    return state.pending is not None and state.pending.turn == turn


def _part(state: State, turn: str) -> Part | None:
    return next((part for part in state.parts if part.turn == turn), None)


def _told(state: State, turn: str, exchange: Exchange) -> tuple[Exchange, ...]:
    """What later questions are told: the turn's exchange behind the others, or where its part stands."""
    part = _part(state, turn)
    if part is None:
        return (*state.recent, exchange)[-EXCHANGES_MAX:]
    return tuple(exchange if past == part.exchange else past for past in state.recent)


def evolve(state: State, event: Recordable) -> State:
    match event:
        case SessionStarted():
            return replace(state, owner=event.owner)
        case Asked():
            return replace(state, turns=state.turns | {event.turn}, pending=event, recent=state.recent or event.history)
        case AnsweredInPart():
            exchange = _cut(event.answer.question, event.answer.content)
            return replace(
                state,
                pending=None,
                recent=_told(state, event.turn, exchange),
                parts=(*state.parts, Part(event.turn, exchange)),
                label=max(state.label, event.label),
            )
        case LeftInPart():
            return replace(state, parts=_without(state, event.turn))
        case Answered():
            part = _part(state, event.turn)
            question = part.exchange.question if part else state.pending.text if state.pending else ""
            return replace(
                state,
                pending=state.pending if part else None,
                recent=_told(state, event.turn, _cut(question, event.content)),
                parts=_without(state, event.turn),
                label=max(state.label, event.label),
            )
        case Failed():
            return replace(state, pending=None)
        case SessionEnded():
            return replace(state, ended=True)
        case _:
            assert_never(event)


def _without(state: State, turn: str) -> tuple[Part, ...]:
    return tuple(part for part in state.parts if part.turn != turn)


async def react(recorded: Recorded[Asked | Answered], effects: Effects) -> None:
    event = recorded.event
    match event:
        case Asked():
            try:
                answered = await answer(recorded, event, effects)
            except OutcomeError as error:
                await effects.tell(Fail(turn=event.turn, reason=str(error), code=error.code))
            else:
                await effects.tell(Answer(turn=event.turn, answer=answered))
        case Answered():
            await make_findable(recorded, effects)
            if event.flow >= FLOW:
                await remember(recorded, event, effects)
        case _:
            assert_never(event)


def abandon(recorded: Recorded[Asked | Answered], reason: str) -> Fail | None:
    return Fail(turn=recorded.event.turn, reason=reason) if isinstance(recorded.event, Asked) else None


conversation = Actor("conversation", State(), decide, evolve, react, abandon)
