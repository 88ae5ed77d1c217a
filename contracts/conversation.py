"""Conversation: a session with one domain, its questions and answers."""

from typing import Literal

from msgspec import Struct

from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message
from contracts.model import Evidence

ContextType = Literal["business", "technical"]
Team = Literal[
    "client_analysis",
    "market_research",
    "sales_intelligence",
    "business_insight",
    "code_analysis",
    "system_monitoring",
    "security",
    "performance_analysis",
]


class StartSession(Message, frozen=True, kw_only=True, tag="conversation.start.v1"):
    owner: str
    title: str
    context_type: ContextType


class Ask(Message, frozen=True, kw_only=True, tag="conversation.ask.v1"):
    """A question in a session; `turn` is the question's id. `team` None lets the router decide."""

    turn: str
    by: str
    text: str
    team: Team | None = None
    collaborate: bool | None = None


class Answer(Message, frozen=True, kw_only=True, tag="conversation.answer.v1"):
    """The reaction's conclusion, sent to the conversation itself."""

    turn: str
    answer: "Answered"


class Fail(Message, frozen=True, kw_only=True, tag="conversation.fail.v1"):
    turn: str
    reason: str


class EndSession(Message, frozen=True, kw_only=True, tag="conversation.end.v1"):
    by: str


class SessionStarted(Event, frozen=True, kw_only=True, tag="conversation.started.v1"):
    owner: str
    title: str
    context_type: ContextType


class Asked(Event, frozen=True, kw_only=True, tag="conversation.asked.v1"):
    turn: str
    by: str
    text: str
    team: Team | None = None
    collaborate: bool | None = None


class Contribution(Struct, frozen=True, kw_only=True):
    """What another domain added: the request type, how it ended, a summary and its confidence."""

    domain: Domain
    request_type: str
    status: str
    summary: str
    confidence: float


class Answered(Event, frozen=True, kw_only=True, tag="conversation.answered.v1"):
    """An answer: content, confidence 0 to 1, the evidence it rests on, what other domains contributed, and the model.

    `label` is the highest label of everything it rests on.
    """

    turn: str
    content: str
    team: Team
    confidence: float
    evidence: tuple[Evidence, ...]
    collaboration_needed: bool
    collaborators: tuple[Domain, ...]
    contributions: tuple[Contribution, ...]
    model: str
    label: Clearance


class Failed(Event, frozen=True, kw_only=True, tag="conversation.failed.v1"):
    turn: str
    reason: str


class SessionEnded(Event, frozen=True, kw_only=True, tag="conversation.ended.v1"):
    by: str
