"""Collaborations over HTTP: what a person asks a domain for, how it ended, and what may be asked for."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct, field

from contracts.collaboration import Missing, Status
from contracts.conversation import Question
from contracts.domains import Clearance, Domain
from contracts.http import Body, Budget, Cursor, Deadline, Label, Limit, Priority
from contracts.model import Citation, Evidence, Section
from contracts.users import Permission

CONTEXT_TEXTS_MAX = 20

AnsweringDomain = Literal["sophia", "artemis", "ceo"]
State = Literal["pending", "partial"] | Status
TypeName = Annotated[str, Meta(pattern=r"^[a-z][a-z_]*\Z", max_length=64)]
ContextName = Annotated[str, Meta(min_length=1, max_length=64)]
ContextText = Annotated[str, Meta(max_length=8_000)]


Context = Annotated[dict[ContextName, ContextText], Meta(max_length=CONTEXT_TEXTS_MAX)]


class AskDomain(Body, frozen=True, kw_only=True):
    """One of a domain's request types, asked for by a person. `GET /v1/collaborations/types` says which `context` each takes."""

    domain: AnsweringDomain
    request_type: TypeName
    question: Question
    context: Context = field(default_factory=dict)
    needs_ceo_context: bool = False
    confidentiality: Label = None
    priority: Priority = 3
    deadline: Deadline = None
    budget: Budget | None = None


class CollaborationsQuery(Body, frozen=True, kw_only=True):
    """`domain` is the one that answers."""

    domain: AnsweringDomain | None = None
    status: State | None = None
    type: TypeName | None = None
    after: Cursor | None = None
    limit: Limit = 50


class CollaborationView(Struct, frozen=True, kw_only=True):
    """One request to a domain, and its outcome once there is one.

    `asking` is `system` where a person asked. `partial`: the outcome is without what is `missing`. `expired`: there was none by
    the deadline; one that came all the same is here, `late` says how it ended, and `concluded` when.
    """

    id: str
    domain: Domain
    asking: Domain
    by: str
    request_type: str
    question: str
    status: State
    priority: int
    label: Clearance
    requested: datetime
    deadline: datetime | None = None
    concluded: datetime | None = None
    late: Status | None = None
    sections: dict[str, str] = {}
    evidence: tuple[Evidence, ...] = ()
    citations: tuple[Citation, ...] = ()
    confidence: float = 0.0
    model: str = ""
    reason: str = ""
    missing: tuple[Missing, ...] = ()
    correlation_id: str


class Collaborations(Struct, frozen=True, kw_only=True):
    """Newest first; go on with `next` until it is null."""

    collaborations: tuple[CollaborationView, ...]
    next: str | None = None


class RequestTypeView(Struct, frozen=True, kw_only=True):
    """What a domain may be asked for: `context` is the JSON Schema of the request's, `sections` are what the outcome has."""

    domain: Domain
    name: str
    description: str
    context: Raw
    sections: tuple[Section, ...]
    permission: Permission


class RequestTypes(Struct, frozen=True, kw_only=True):
    types: tuple[RequestTypeView, ...]
