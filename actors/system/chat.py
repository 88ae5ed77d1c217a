"""Chat: one request to a configured model as it is, asked and answered once."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from contracts.raw_chat import CHAT, AnswerChat, AskChat, ChatAnswered, ChatAsked, ChatFailed, FailChat
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError, Rejected

Recordable = ChatAsked | ChatAnswered | ChatFailed


class State(Struct, frozen=True):
    asked: bool = False
    ended: bool = False


def decide(state: State, message: AskChat | AnswerChat | FailChat) -> list[Recordable]:
    match message:
        case AskChat():
            return [] if state.asked else [ChatAsked(by=message.by, request=message.request, budget=message.budget)]
        case AnswerChat():
            return [message.answer] if _waits(state) else []
        case FailChat():
            return [ChatFailed(reason=message.reason, code=message.code)] if _waits(state) else []
        case _:
            assert_never(message)


def _waits(state: State) -> bool:
    if not state.asked:
        raise Rejected("nothing was asked", "not_found")
    return not state.ended


def evolve(state: State, event: Recordable) -> State:
    match event:
        case ChatAsked():
            return replace(state, asked=True)
        case ChatAnswered() | ChatFailed():
            return replace(state, ended=True)
        case _:
            assert_never(event)


async def react(recorded: Recorded[ChatAsked], effects: Effects) -> None:
    effects.allow(recorded.event.budget)
    try:
        reply = await effects.converse(recorded.event.request)
    except OutcomeError as error:
        await effects.tell(FailChat(reason=str(error), code=error.code))
    else:
        await effects.tell(AnswerChat(answer=ChatAnswered(reply=reply, label=effects.label)))


def abandon(recorded: Recorded[ChatAsked], reason: str) -> FailChat:  # noqa: ARG001 - there is one request a chat
    return FailChat(reason=reason)


chat = Actor(CHAT, State(), decide, evolve, react, abandon)
