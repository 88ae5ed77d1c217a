"""The HTTP API's own shapes: what is posted to it and what it answers. Paths and permissions stand in `gateway/routes.py`.

Texts, numbers and lists from outside are bounded here; the gateway refuses what does not fit before anything is recorded.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

from contracts.analysis import PhaseMissing, PhaseResult
from contracts.approval import ApprovalRule
from contracts.collaboration import Missing
from contracts.conversation import ContextType, Contribution, Question, RepositoryPlace, Team
from contracts.domains import Clearance, Domain
from contracts.grounds import Grounds
from contracts.model import BudgetSpent, Citation, Evidence
from contracts.sources import SOURCES_MAX
from contracts.strategic import StrategicContext
from contracts.trace import SpanRecord
from contracts.users import Permission, Role

PAGE_MAX = 200
Label = Annotated[
    Clearance | None,
    Meta(description="How confidential what you write is; at most your clearance, which is also the default."),
]
Priority = Annotated[int, Meta(ge=1, le=5, description="1 (whenever) to 5 (most urgent).")]
Deadline = Annotated[
    Annotated[datetime, Meta(tz=True)] | None,
    Meta(description="After this moment the answer is of no use; with an offset from UTC."),
]
Limit = Annotated[int, Meta(ge=1, le=PAGE_MAX)]
Cursor = Annotated[str, Meta(max_length=400, description="`next` of the page before; opaque.")]
AskedDomain = Literal["sophia", "artemis"]
SourceItem = Annotated[str, Meta(max_length=100, pattern=r"^[A-Za-z0-9_-]+\Z")]


class Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is sent to the API: unknown fields are refused."""


class Credentials(Body, frozen=True, kw_only=True):
    username: Annotated[str, Meta(min_length=1, max_length=128)]
    password: Annotated[str, Meta(min_length=1, max_length=1_024)]


class CreateSession(Body, frozen=True, kw_only=True):
    """`context_type` defaults to business for sophia and technical for artemis."""

    domain: AskedDomain
    title: Annotated[str, Meta(max_length=300)] = ""
    context_type: ContextType | None = None
    confidentiality: Label = None


class Budget(Body, frozen=True, kw_only=True):
    """What a run may spend on models in all domains: tokens read and written, and money in the currency of the prices."""

    tokens_max: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    cost_max: Annotated[float, Meta(gt=0, le=10**9)] | None = None


class AskQuestion(Body, frozen=True, kw_only=True):
    """A question. Without `team` the router decides; `collaborate` forces or forbids asking the other domain.

    A run that would spend more than its `budget` on models fails and says what it spent; without one the settings' holds.
    With `approval` it waits, in every domain, until people have agreed to the tools that this names. With `ceo_context` it is
    answered with the strategy in view, and is at least as confidential as the quarter's priorities. `repository`, for Artemis:
    whose code the question is about, of what the operator allows: the absolute path of a folder on its worker's machine, or the
    address of a git repository over HTTPS, with `#` and a branch, tag or commit's whole name where that is not its first branch.

    `sources`: ids of knowledge items whose files the question is about: these are analysed, nothing that a search finds instead.
    Sophia reads tables, Artemis archives of source code, profiles and tables of metrics; a domain that is asked besides gets what
    it reads. The question is at least as confidential as they are.
    """

    question: Question
    team: Team | None = None
    collaborate: bool | None = None
    confidentiality: Label = None
    priority: Priority = 3
    deadline: Deadline = None
    budget: Budget | None = None
    approval: ApprovalRule | None = None
    ceo_context: bool = False
    repository: RepositoryPlace | None = None
    sources: Annotated[tuple[SourceItem, ...], Meta(max_length=SOURCES_MAX)] = ()


class CreateAnalysis(Body, frozen=True, kw_only=True):
    """A comprehensive analysis in five phases over both domains and the CEO's context. `budget`, `approval` as for a question."""

    subject: Annotated[str, Meta(min_length=1, max_length=300, pattern=r"\S")]
    question: Question
    confidentiality: Label = None
    priority: Priority = 3
    deadline: Deadline = None
    budget: Budget | None = None
    approval: ApprovalRule | None = None


class CancelRun(Body, frozen=True, kw_only=True):
    """The reason is told to whoever may see the run; without one it is who cancelled it."""

    reason: Annotated[str, Meta(min_length=1, max_length=300, pattern=r"\S")] | None = None


class SessionsQuery(Body, frozen=True, kw_only=True):
    domain: AskedDomain | None = None
    after: Cursor | None = None
    limit: Limit = 50


class MessagesQuery(Body, frozen=True, kw_only=True):
    after: Cursor | None = None
    limit: Limit = 50


class AnalysesQuery(Body, frozen=True, kw_only=True):
    after: Cursor | None = None
    limit: Limit = 50


class EventsQuery(Body, frozen=True, kw_only=True):
    """Filters are joined by AND. `after` is exclusive; without it the page starts at the first event, a stream at the end.

    Lane `log` holds events, `run` the journals of effects.
    """

    domain: Domain | None = None
    kind: Annotated[str, Meta(max_length=128)] | None = None
    id: Annotated[str, Meta(max_length=128)] | None = None
    type: Annotated[str, Meta(max_length=128)] | None = None
    correlation: Annotated[str, Meta(max_length=64)] | None = None
    lane: Literal["log", "run"] = "log"
    since: Annotated[datetime, Meta(tz=True)] | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None
    after: Cursor | None = None
    limit: Limit = 50


class Token(Struct, frozen=True, kw_only=True):
    """A bearer token for the Authorization header; `expires_in` seconds."""

    access_token: str
    expires_in: int
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the scheme's name


class Me(Struct, frozen=True, kw_only=True):
    username: str
    roles: tuple[Role, ...]
    permissions: tuple[Permission, ...]
    clearance: Clearance


class Pending(Struct, frozen=True, kw_only=True):
    """Accepted and durable, not finished: the result will be at `status_url`, its progress in `/v1/runs/{correlation_id}`.

    `approvals` are those that it waits for people to decide (`/v1/approvals`); `notes` what the asker had better know of it, such
    as an approver who is no user here.
    """

    correlation_id: str
    status_url: str
    status: Literal["pending"] = "pending"
    approvals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Session(Struct, frozen=True, kw_only=True):
    id: str
    domain: Domain
    title: str
    context_type: ContextType
    owner: str
    status: Literal["active", "ended"]
    label: Clearance
    started: datetime
    turns: int = 0
    last_active: datetime | None = None


class Sessions(Struct, frozen=True, kw_only=True):
    """Newest first; go on with `next` until it is null."""

    sessions: tuple[Session, ...]
    next: str | None = None


class AnswerReply(Struct, frozen=True, kw_only=True):
    """What an answer says, how sure it is (0 to 1), what it rests on and which model wrote it.

    `citations` say for each sentence of the content that has a mark such as `[1]` which evidence it rests on, and where in it;
    `grounds` what its confidence was computed from; `strategic` what it says with the CEO's context, where that was wanted.
    """

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
    grounds: Grounds | None = None
    strategic: StrategicContext | None = None


class Turn(Struct, frozen=True, kw_only=True):
    """One question of a session and, once there is one, its answer or why there is none.

    `partial`: another domain is `missing` from the answer, which becomes `answered` at `status_url` once that has come. Where it
    will not, `failure` says why, and the part stands. `approvals` are those that its run waits for people to decide.
    """

    id: str
    session: str
    question: str
    by: str
    status: Literal["pending", "partial", "answered", "failed"]
    asked: datetime
    answer: AnswerReply | None = None
    failure: str | None = None
    answered: datetime | None = None
    correlation_id: str | None = None
    missing: tuple[Missing, ...] = ()
    status_url: str | None = None
    approvals: tuple[str, ...] = ()


class Turns(Struct, frozen=True, kw_only=True):
    """Newest first; go on with `next` until it is null."""

    turns: tuple[Turn, ...]
    next: str | None = None


class Analysis(Struct, frozen=True, kw_only=True):
    """An analysis as far as it has come: its finished phases and, at the end, the conclusion over all of them.

    `approvals` are those that its run waits for people to decide. `waiting_for` is the domain that the phase under way was asked
    of. `partial`: the phases that are `missing` are not done, or without what another domain was asked for, and what rests on
    them is worked out anew once that has come; where it will not, `failure` says why, and the part stands.
    """

    id: str
    by: str
    subject: str
    question: str
    status: Literal["running", "partial", "completed", "failed"]
    label: Clearance
    started: datetime
    phases: tuple[PhaseResult, ...] = ()
    executive_summary: str = ""
    recommendations: str = ""
    confidence: float = 0.0
    confidence_by_domain: dict[str, float] = {}
    completed: datetime | None = None
    failure: str | None = None
    correlation_id: str | None = None
    approvals: tuple[str, ...] = ()
    waiting_for: Domain | None = None
    missing: tuple[PhaseMissing, ...] = ()


class Analyses(Struct, frozen=True, kw_only=True):
    """Newest first; go on with `next` until it is null."""

    analyses: tuple[Analysis, ...]
    next: str | None = None


class File(Struct, frozen=True, kw_only=True):
    """A stored file, for a knowledge item's `attachment`. The digest is the SHA-256 of its bytes."""

    digest: str
    size_bytes: int
    media_type: str


class EventView(Struct, frozen=True, kw_only=True):
    """One recorded event: its place, its envelope and, where it may be shown, its body.

    A journaled effect names its `effect` and the `reaction` (the id of the event that caused it).
    """

    domain: Domain
    sequence: int
    kind: str
    actor: str
    id: str
    type: str
    time: datetime
    correlation: str
    principal: str
    label: Clearance
    causation: str | None = None
    lane: Literal["log", "run"] = "log"
    reaction: str | None = None
    effect: str | None = None
    body: Raw | None = None


class Events(Struct, frozen=True, kw_only=True):
    """Oldest first, of each domain in its order. Go on with `next` until it is null; a page may hold fewer than its limit."""

    events: tuple[EventView, ...]
    next: str | None = None


class Run(Struct, frozen=True, kw_only=True):
    """What happened under one correlation id, in every domain, in order of time; only what you are cleared for."""

    correlation_id: str
    events: tuple[EventView, ...]


class ModelUsage(Struct, frozen=True, kw_only=True):
    """Calls of models, and what they read, wrote and cost. `estimated`: of some the provider did not count the tokens.

    A call is one of the run's, by whichever provider it was answered: what others were asked in vain counts as tokens and cost
    where that was paid for. The quoting model's tokens count, too, and cost nothing.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    estimated: bool = False


class RunUsage(Struct, frozen=True, kw_only=True):
    """What a run has spent on models so far, in all and by domain, as far as you are cleared for its calls, and what it may."""

    correlation_id: str
    total: ModelUsage
    by_domain: dict[str, ModelUsage]
    budget: BudgetSpent | None = None


class Trace(Struct, frozen=True, kw_only=True):
    """The spans of one run, by start."""

    correlation_id: str
    trace_id: str
    spans: tuple[SpanRecord, ...]


class Health(Struct, frozen=True, kw_only=True):
    status: Literal["ok"] = "ok"


class Check(Struct, frozen=True, kw_only=True):
    name: str
    ok: bool
    milliseconds: float
    detail: str = ""


class DetailedHealth(Struct, frozen=True, kw_only=True):
    """Every dependency asked just now. `score` is the share of those that answered, 0 to 100."""

    status: Literal["ok", "degraded", "down"]
    score: int
    checks: tuple[Check, ...]


class FieldProblem(Struct, frozen=True, kw_only=True):
    """`field` is a JSON path such as `$.knowledge.title`, or the name of a parameter or header."""

    field: str
    detail: str


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457 problem details: the one form of every error."""

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    correlation_id: str = ""
    permission: str = ""
    errors: tuple[FieldProblem, ...] = ()
