"""A raw chat: one request to a configured model, as it was asked, and what the model answered. Each is an actor of its own."""

from contracts.chat import ChatReply, ChatRequest
from contracts.domains import Clearance
from contracts.envelope import Event, Message
from contracts.model import Allowance, Failure

CHAT = "chat"
"""The kind of actor; its id follows from the run."""

EXTRACTIVE = "extractive"
"""The model that is always there: it quotes what the chat holds, and calls no tools."""


class AskChat(Message, frozen=True, kw_only=True, tag="chat.ask.v1"):
    """`budget` is what may be spent on the model."""

    by: str
    request: ChatRequest
    budget: Allowance | None = None


class AnswerChat(Message, frozen=True, kw_only=True, tag="chat.answer.v1"):
    """The reaction's conclusion, sent to the chat itself."""

    answer: "ChatAnswered"


class FailChat(Message, frozen=True, kw_only=True, tag="chat.fail.v1"):
    reason: str
    code: Failure | None = None


class ChatAsked(Event, frozen=True, kw_only=True, tag="chat.asked.v1"):
    by: str
    request: ChatRequest
    budget: Allowance | None = None


class ChatAnswered(Event, frozen=True, kw_only=True, tag="chat.answered.v1"):
    """What the model answered; `label` is the highest of all that it was given."""

    reply: ChatReply
    label: Clearance


class ChatFailed(Event, frozen=True, kw_only=True, tag="chat.failed.v1"):
    reason: str
    code: Failure | None = None
