"""Conversation: a session with one domain, its questions and answers."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from contracts.approval import ApprovalRule
from contracts.collaboration import Missing
from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message
from contracts.grounds import Grounds
from contracts.model import Allowance, Citation, Evidence, Failure, Usage
from contracts.sources import SOURCES_MAX, Kind, Source
from contracts.strategic import StrategicContext
from contracts.users import Grants

EXCHANGES_MAX = 3
EXCHANGE_CHARS_MAX = 600

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


TEAMS_OF: dict[Domain, frozenset[Team]] = {
    Domain.SOPHIA: frozenset({"client_analysis", "market_research", "sales_intelligence", "business_insight"}),
    Domain.ARTEMIS: frozenset({"code_analysis", "system_monitoring", "security", "performance_analysis"}),
}
"""Which teams each domain has."""

CODE_TEAMS: tuple[Team, ...] = ("code_analysis", "security", "performance_analysis")
"""Those that read source code; the first answers where a question's words speak for none."""

READS: dict[Team, frozenset[Kind]] = {
    "client_analysis": frozenset({"table"}),
    "market_research": frozenset(),
    "sales_intelligence": frozenset({"table"}),
    "business_insight": frozenset({"table"}),
    "code_analysis": frozenset({"archive"}),
    "system_monitoring": frozenset({"table"}),
    "security": frozenset({"archive", "advisories"}),
    "performance_analysis": frozenset({"archive", "profile"}),
}
"""Which kinds of stored files each team analyses."""

Question = Annotated[str, Meta(min_length=1, max_length=8_000, pattern=r"\S")]
REPOSITORY = r"^(/[^\x00]*|https?://[A-Za-z0-9.:\[\]-]+/[^\x00-\x20\x7f?#\\]+(#[^\x00-\x20\x7f~^:?*\\\[]+)?)$"
RepositoryPlace = Annotated[str, Meta(min_length=1, max_length=1_000, pattern=REPOSITORY)]
"""A path on the worker's machine, or the address of a git repository with `#` and a branch, tag or commit where one is meant.

What may hold somebody's name, password or token is refused here, before it is recorded."""


class StartSession(Message, frozen=True, kw_only=True, tag="conversation.start.v1"):
    owner: str
    title: str
    context_type: ContextType


class Exchange(Struct, frozen=True):
    """An earlier question of the session and the beginning of its answer."""

    question: str
    answer: str


class Ask(Message, frozen=True, kw_only=True, tag="conversation.ask.v1"):
    """A question in a session; `turn` is the question's id. `team` None lets the router decide.

    `collaborate` None lets the team decide whether other domains are asked, False forbids it. A question to a conversation
    that has not begun begins it, with `history` as its memory: what was said elsewhere, as the asker tells it. One that has
    begun knows its own. `budget` is what may be spent on models, by all who work on the answer; `approval`
    says which tools people must agree to, for all of them. `ceo_context`: the answer says, too, what the strategy makes of it.
    `repository`: the path of a folder on the worker's machine, or a git repository's address, whose code the question is about.
    `sources`: stored files that it is about.
    """

    turn: str
    by: str
    text: Question
    context_type: ContextType
    team: Team | None = None
    collaborate: bool | None = None
    budget: Allowance | None = None
    approval: ApprovalRule | None = None
    history: Annotated[tuple[Exchange, ...], Meta(max_length=EXCHANGES_MAX)] = ()
    grants: Grants = None
    ceo_context: bool = False
    repository: RepositoryPlace | None = None
    sources: Annotated[tuple[Source, ...], Meta(max_length=SOURCES_MAX)] = ()


class Answer(Message, frozen=True, kw_only=True, tag="conversation.answer.v1"):
    """The reaction's conclusion, sent to the conversation itself."""

    turn: str
    answer: "Answered"


class AnswerInPart(Message, frozen=True, kw_only=True, tag="conversation.answer_in_part.v1"):
    """The reaction's conclusion as far as it goes: it waits for what is missing."""

    turn: str
    answer: "Answered"
    missing: tuple[Missing, ...]


class Fail(Message, frozen=True, kw_only=True, tag="conversation.fail.v1"):
    turn: str
    reason: str
    code: Failure | None = None


class EndSession(Message, frozen=True, kw_only=True, tag="conversation.end.v1"):
    by: str


class SessionStarted(Event, frozen=True, kw_only=True, tag="conversation.started.v1"):
    owner: str
    title: str
    context_type: ContextType


class Asked(Event, frozen=True, kw_only=True, tag="conversation.asked.v1"):
    """A question, with the last exchanges of the session as its working memory; `label` is at least theirs.

    `flow` is the order of work in which it is answered (`contracts.model.FLOW`).
    """

    turn: str
    by: str
    text: str
    team: Team | None = None
    collaborate: bool | None = None
    history: tuple[Exchange, ...] = ()
    label: Clearance = Clearance.PUBLIC
    budget: Allowance | None = None
    flow: int = 1
    approval: ApprovalRule | None = None
    grants: Grants = None
    ceo_context: bool = False
    repository: str | None = None
    sources: tuple[Source, ...] = ()


class Contribution(Struct, frozen=True, kw_only=True):
    """What another domain added: the request type, how it ended, a summary and its confidence."""

    domain: Domain
    request_type: str
    status: str
    summary: str
    confidence: float


class Answered(Event, frozen=True, kw_only=True, tag="conversation.answered.v1"):
    """An answer: content, confidence 0 to 1, the evidence it rests on, what other domains contributed, and the model.

    `label` is the highest label of everything it rests on. `citations` are places in `content`, `usage` is what
    models have cost to answer, in all domains.
    """

    turn: str
    question: str = ""
    content: str
    team: Team
    confidence: float
    evidence: tuple[Evidence, ...]
    collaboration_needed: bool
    collaborators: tuple[Domain, ...]
    contributions: tuple[Contribution, ...]
    model: str
    label: Clearance
    citations: tuple[Citation, ...] = ()
    usage: Usage | None = None
    flow: int = 1
    grounds: Grounds | None = None
    strategic: StrategicContext | None = None


class AnsweredInPart(Event, frozen=True, kw_only=True, tag="conversation.answered_in_part.v1"):
    """An answer without what is `missing`. `Answered` follows when that has come, or `LeftInPart`."""

    turn: str
    answer: Answered
    missing: tuple[Missing, ...]

    @property
    def label(self) -> Clearance:
        return self.answer.label


class LeftInPart(Event, frozen=True, kw_only=True, tag="conversation.left_in_part.v1"):
    """What is missing of the turn's answer is waited for no longer: the part that was answered is all there will be."""

    turn: str
    reason: str
    code: Failure | None = None


class Failed(Event, frozen=True, kw_only=True, tag="conversation.failed.v1"):
    turn: str
    reason: str
    code: Failure | None = None


class SessionEnded(Event, frozen=True, kw_only=True, tag="conversation.ended.v1"):
    by: str
