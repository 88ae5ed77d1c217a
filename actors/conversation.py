"""Conversation: one session with a domain; at most one turn waits for an answer."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from actors.answering import answer
from actors.findable import make_findable
from contracts.conversation import (
    EXCHANGE_CHARS_MAX,
    EXCHANGES_MAX,
    Answer,
    Answered,
    Ask,
    Asked,
    EndSession,
    Exchange,
    Fail,
    Failed,
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

Recordable = SessionStarted | Asked | Answered | Failed | SessionEnded


class State(Struct, frozen=True):
    owner: str | None = None
    ended: bool = False
    turns: frozenset[str] = frozenset()
    pending: Asked | None = None
    recent: tuple[Exchange, ...] = ()
    label: Clearance = Clearance.PUBLIC


def decide(state: State, message: StartSession | Ask | Answer | Fail | EndSession) -> list[Recordable]:
    match message:
        case StartSession():
            if state.owner is not None:
                return []
            return [SessionStarted(owner=message.owner, title=message.title, context_type=message.context_type)]
        case Ask():
            return _ask(state, message)
        case Answer():
            return [message.answer] if _waits_for(state, message.turn) else []
        case Fail():
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
        grants=message.grants,
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


def evolve(state: State, event: Recordable) -> State:
    match event:
        case SessionStarted():
            return replace(state, owner=event.owner)
        case Asked():
            return replace(state, turns=state.turns | {event.turn}, pending=event, recent=state.recent or event.history)
        case Answered():
            question = state.pending.text if state.pending else ""
            recent = (*state.recent, _cut(question, event.content))[-EXCHANGES_MAX:]
            return replace(state, pending=None, recent=recent, label=max(state.label, event.label))
        case Failed():
            return replace(state, pending=None)
        case SessionEnded():
            return replace(state, ended=True)
        case _:
            assert_never(event)


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
        case _:
            assert_never(event)


def abandon(recorded: Recorded[Asked | Answered], reason: str) -> Fail | None:
    return Fail(turn=recorded.event.turn, reason=reason) if isinstance(recorded.event, Asked) else None


conversation = Actor("conversation", State(), decide, evolve, react, abandon)
