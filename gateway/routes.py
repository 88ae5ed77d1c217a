"""The API in one table: what is asked where, by whom, what it becomes and what comes back.

A row drives routing, validation, authorisation and the OpenAPI document. `permissions` are alternatives: one of them is
needed; a route that leads to one domain then asks for that domain's own. No permission means any valid token.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct

from contracts import facts, http
from contracts import letters as dead
from contracts.analysis import AnalysisCompleted, AnalysisFailed
from contracts.catalogue import tag
from contracts.conversation import Answered, Failed, SessionEnded, SessionStarted
from contracts.domains import Clearance, Domain
from contracts.envelope import Event
from contracts.facts import SignalRecorded
from contracts.http import EventView
from contracts.knowledge import Knowledge, KnowledgeAdded, KnowledgeDeleted, KnowledgeUpdated
from contracts.users import Permission
from gateway import commands, conversing, curating, events, letters, queries
from gateway.commands import Incoming
from gateway.execution import Command, Ended

Method = Literal["GET", "POST", "PUT", "DELETE"]
LimitClass = Literal["open", "sign_in", "sophia", "artemis", "cross_domain", "system"]
"""Which rate limit a route counts against (mission F3)."""

COUNTED: frozenset[LimitClass] = frozenset({"sophia", "artemis", "cross_domain", "system"})
"""The classes whose requests are counted, a user and path; signing in has its own bound (Passwords)."""

MEDIA_JSON = "application/json"
MEDIA_TEXT = "text/plain; version=0.0.4; charset=utf-8"
WRITE_ANY: tuple[Permission, ...] = ("sophia:write", "artemis:write")
READ_ANY: tuple[Permission, ...] = ("sophia:read", "artemis:read")
CURATE: tuple[Permission, ...] = ("cross_domain:collaborate", "system:admin")


@dataclass(frozen=True)
class Does:
    """A command: the message it becomes, the events that end the wait for it, and the reply made of the one that did."""

    build: Callable[[Incoming[Any]], Awaitable[Command]]
    ends: tuple[type[Event], ...]
    reply: Callable[[Incoming[Any], Command, Ended], Awaitable[Struct | None]]
    tags: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", frozenset(map(tag, self.ends)))


@dataclass(frozen=True)
class Answers:
    """A query: its answer, and where it can be followed live, a stream of events with their cursors."""

    answer: Callable[[Incoming[Any]], Awaitable[Struct | bytes]]
    live: Callable[[Incoming[Any]], AsyncIterator[tuple[str | None, EventView]]] | None = None


@dataclass(frozen=True, kw_only=True)
class Route:
    """One row. `request` is the type of the JSON body (`bytes`: any file), `query` that of the query parameters."""

    method: Method
    path: str
    summary: str
    action: Does | Answers
    limit: LimitClass
    request: Any = None
    query: type[Struct] | None = None
    reply: type[Struct] | None = None
    status: int = 200
    permissions: tuple[Permission, ...] = ()
    public: bool = False
    media: str = MEDIA_JSON
    example: Struct | None = None

    @property
    def streams(self) -> bool:
        return isinstance(self.action, Does) or self.action.live is not None


_QUESTION = http.AskQuestion(question="Which customers are at risk, and what would keep them?", priority=4)
_KNOWLEDGE = Knowledge(
    title="Pricing for next year",
    content="List prices rise by four per cent in March; renewals are exempt.",
    category="strategic_planning",
    confidentiality=Clearance.CONFIDENTIAL,
    strategic_priority=8,
    tags=("pricing",),
)
_FACT = facts.BusinessInsight(title="Deal closed", text="Northwind renewed for three years.", origin="crm")
_CONVERSED = (Answered, Failed)

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/v1/auth/token",
        summary="Sign in: a bearer token for an hour",
        action=Answers(queries.token),
        limit="sign_in",
        request=http.Credentials,
        reply=http.Token,
        public=True,
        example=http.Credentials(username="admin", password="correct horse battery staple"),  # noqa: S106 - an example
    ),
    Route(
        method="GET",
        path="/v1/me",
        summary="Who the token says you are",
        action=Answers(queries.me),
        limit="open",
        reply=http.Me,
    ),
    Route(
        method="POST",
        path="/v1/sessions",
        summary="Begin a session with a domain",
        action=Does(conversing.create_session, (SessionStarted,), conversing.session_reply),
        limit="cross_domain",
        request=http.CreateSession,
        reply=http.Session,
        status=201,
        permissions=WRITE_ANY,
        example=http.CreateSession(domain="sophia", title="Renewals"),
    ),
    Route(
        method="GET",
        path="/v1/sessions",
        summary="Your sessions, newest first (an administrator: everybody's)",
        action=Answers(queries.sessions),
        limit="cross_domain",
        query=http.SessionsQuery,
        reply=http.Sessions,
        permissions=READ_ANY,
    ),
    Route(
        method="GET",
        path="/v1/sessions/{session}",
        summary="One session",
        action=Answers(queries.session),
        limit="cross_domain",
        reply=http.Session,
        permissions=READ_ANY,
    ),
    Route(
        method="DELETE",
        path="/v1/sessions/{session}",
        summary="End a session; what was said stays",
        action=Does(conversing.end_session, (SessionEnded,), commands.nothing),
        limit="cross_domain",
        status=204,
        permissions=WRITE_ANY,
    ),
    Route(
        method="POST",
        path="/v1/sessions/{session}/messages",
        summary="Ask a question in a session",
        action=Does(conversing.ask_in_session, _CONVERSED, conversing.answer_turn),
        limit="cross_domain",
        request=http.AskQuestion,
        reply=http.Turn,
        permissions=WRITE_ANY,
        example=_QUESTION,
    ),
    Route(
        method="GET",
        path="/v1/sessions/{session}/messages",
        summary="Questions and answers of a session, newest first",
        action=Answers(queries.turns),
        limit="cross_domain",
        query=http.MessagesQuery,
        reply=http.Turns,
        permissions=READ_ANY,
    ),
    Route(
        method="POST",
        path="/v1/sophia/ask",
        summary="Ask Sophia a business question, in a session of its own",
        action=Does(conversing.ask_sophia, _CONVERSED, conversing.answer_turn),
        limit="sophia",
        request=http.AskQuestion,
        reply=http.Turn,
        permissions=("sophia:write",),
        example=_QUESTION,
    ),
    Route(
        method="POST",
        path="/v1/artemis/ask",
        summary="Ask Artemis a technical question, in a session of its own",
        action=Does(conversing.ask_artemis, _CONVERSED, conversing.answer_turn),
        limit="artemis",
        request=http.AskQuestion,
        reply=http.Turn,
        permissions=("artemis:write",),
        example=http.AskQuestion(question="Where does the import spend its time?", team="performance_analysis"),
    ),
    Route(
        method="POST",
        path="/v1/analyses",
        summary="Start a comprehensive analysis over both domains",
        action=Does(conversing.create_analysis, (AnalysisCompleted, AnalysisFailed), conversing.analysis_reply),
        limit="cross_domain",
        request=http.CreateAnalysis,
        reply=http.Analysis,
        status=201,
        permissions=("cross_domain:collaborate",),
        example=http.CreateAnalysis(subject="Customer portal", question="Should we rebuild the customer portal?"),
    ),
    Route(
        method="GET",
        path="/v1/analyses",
        summary="Your analyses, newest first (an administrator: everybody's)",
        action=Answers(queries.analyses),
        limit="cross_domain",
        query=http.AnalysesQuery,
        reply=http.Analyses,
    ),
    Route(
        method="GET",
        path="/v1/analyses/{analysis}",
        summary="One analysis as far as it has come",
        action=Answers(queries.analysis),
        limit="cross_domain",
        reply=http.Analysis,
    ),
    Route(
        method="POST",
        path="/v1/knowledge",
        summary="Add a knowledge item",
        action=Does(curating.add_knowledge, (KnowledgeAdded,), curating.item_reply),
        limit="cross_domain",
        request=Knowledge,
        reply=http.KnowledgeItem,
        status=201,
        permissions=CURATE,
        example=_KNOWLEDGE,
    ),
    Route(
        method="POST",
        path="/v1/knowledge/search",
        summary="Search what the company knows, under your clearance",
        action=Answers(queries.search_knowledge),
        limit="cross_domain",
        request=http.SearchKnowledge,
        reply=http.KnowledgeHits,
        example=http.SearchKnowledge(query="pricing of renewals", limit=5),
    ),
    Route(
        method="GET",
        path="/v1/knowledge/{item}",
        summary="One knowledge item",
        action=Answers(queries.knowledge_item),
        limit="cross_domain",
        reply=http.KnowledgeItem,
    ),
    Route(
        method="PUT",
        path="/v1/knowledge/{item}",
        summary="Replace a knowledge item",
        action=Does(curating.update_knowledge, (KnowledgeUpdated,), curating.item_reply),
        limit="cross_domain",
        request=Knowledge,
        reply=http.KnowledgeItem,
        permissions=CURATE,
        example=_KNOWLEDGE,
    ),
    Route(
        method="DELETE",
        path="/v1/knowledge/{item}",
        summary="Delete a knowledge item",
        action=Does(curating.delete_knowledge, (KnowledgeDeleted,), commands.nothing),
        limit="cross_domain",
        status=204,
        permissions=CURATE,
    ),
    Route(
        method="POST",
        path="/v1/files",
        summary="Store a file, to be named by its digest in a knowledge item's attachment",
        action=Answers(queries.store_file),
        limit="cross_domain",
        request=bytes,
        reply=http.File,
        status=201,
        permissions=(*CURATE, *WRITE_ANY),
    ),
    Route(
        method="POST",
        path="/v1/events/{domain}/{kind}/{id}",
        summary="Publish a fact; needs the domain's write permission (ceo: cross_domain:collaborate, system: system:admin)",
        action=Does(curating.publish_fact, (SignalRecorded,), curating.fact_reply),
        limit="cross_domain",
        request=facts.AnyFact,
        reply=http.EventView,
        status=201,
        permissions=(*WRITE_ANY, *CURATE),
        example=_FACT,
    ),
    Route(
        method="GET",
        path="/v1/events",
        summary="Recorded events: your own runs', with cross_domain:read or system:monitor everybody's; live as a stream",
        action=Answers(events.page, events.live),
        limit="system",
        query=http.EventsQuery,
        reply=http.Events,
    ),
    Route(
        method="GET",
        path="/v1/runs/{correlation}",
        summary="What happened under one correlation id",
        action=Answers(queries.run),
        limit="system",
        reply=http.Run,
    ),
    Route(
        method="GET",
        path="/v1/traces/{correlation}",
        summary="The spans of one run",
        action=Answers(queries.trace),
        limit="system",
        reply=http.Trace,
    ),
    Route(
        method="GET",
        path="/v1/dead-letters",
        summary="What could not be handled and waits for somebody, newest first",
        action=Answers(letters.page),
        limit="system",
        query=dead.DeadLettersQuery,
        reply=dead.DeadLetters,
        permissions=("dead_letters:read",),
    ),
    Route(
        method="POST",
        path="/v1/dead-letters/redrive",
        summary="Send what matches again, each message with one effect; what became of each",
        action=Answers(letters.redrive_all),
        limit="system",
        request=dead.RedriveLetters,
        reply=dead.LetterOutcomes,
        permissions=("dead_letters:manage",),
        example=dead.RedriveLetters(domain=Domain.SOPHIA, reason="TimeoutError"),
    ),
    Route(
        method="GET",
        path="/v1/dead-letters/{letter}",
        summary="One dead letter: origin, reason, attempts, stack, body; or what was done with it",
        action=Answers(letters.one),
        limit="system",
        reply=dead.DeadLetterView,
        permissions=("dead_letters:read",),
    ),
    Route(
        method="POST",
        path="/v1/dead-letters/{letter}/redrive",
        summary="Send its message again, or run its reaction on; repeated it has one effect",
        action=Answers(letters.redrive),
        limit="system",
        reply=dead.LetterOutcome,
        permissions=("dead_letters:manage",),
    ),
    Route(
        method="DELETE",
        path="/v1/dead-letters/{letter}",
        summary="Drop it: its content is deleted, who dropped it is kept",
        action=Answers(letters.drop),
        limit="system",
        reply=dead.LetterOutcome,
        permissions=("dead_letters:manage",),
    ),
    Route(
        method="GET",
        path="/health",
        summary="Whether this process answers",
        action=Answers(queries.health),
        limit="open",
        reply=http.Health,
        public=True,
    ),
    Route(
        method="GET",
        path="/health/detailed",
        summary="Whether everything this process needs answers",
        action=Answers(queries.detailed_health),
        limit="system",
        reply=http.DetailedHealth,
        permissions=("system:monitor",),
    ),
    Route(
        method="GET",
        path="/metrics",
        summary="Metrics in Prometheus' text format",
        action=Answers(queries.metrics),
        limit="system",
        media=MEDIA_TEXT,
        permissions=("system:monitor",),
    ),
)
