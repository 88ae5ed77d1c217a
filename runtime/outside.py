"""Outside: what reactions reach the world through."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec
from msgspec import Struct

from contracts.approval import ApprovalRule
from contracts.chat import ChatReply, ChatRequest
from contracts.curating import StrategicSummary
from contracts.embeddings import Embedded, EmbedTexts, ServedModel
from contracts.envelope import Record
from runtime.breaker import Policy
from runtime.errors import OutcomeError, UnavailableError
from runtime.guards import Guards
from runtime.limits import Limits
from runtime.model_ports import Call, ChatCompletions, ChatModel
from runtime.named_repositories import NamedRepositories, NoRepositories
from runtime.observing import NoSpans, NothingMeasured
from runtime.ports import Blobs, EventLog, Queue, Retrieval, Snapshots, Summaries, Timers, Tool
from runtime.records import NoRecords, Records
from runtime.researching import NO_RESEARCH, Research
from runtime.telemetry import Telemetry
from runtime.telemetry_ports import Measurements, SpanStore
from runtime.tool_runner import ToolRunner
from runtime.tool_threads import ToolThreads
from runtime.vector_ports import Embeddings

RETRIEVAL_RESET_S = 5.0  # our own service comes back quickly; what belongs to others has the breaker's 60 s

Near = Callable[[str, Record], Awaitable[bool]]
"""Hands a message to an actor that this worker holds and waits until it was handled; False: it holds no such actor."""


Announce = Callable[[str, bytes], Awaitable[None]]
"""Tells whoever listens on a subject now; nothing is kept. Never raises."""


async def _far(_subject: str, _record: Record) -> bool:
    return False


async def _unheard(_subject: str, _body: bytes) -> None: ...


class NoModels:
    """ChatCompletions where none are configured."""

    models: tuple[str, ...] = ()

    async def chat(self, request: ChatRequest, call: Call) -> ChatReply:  # noqa: ARG002 - the port's
        raise OutcomeError(f"there is no model {request.model!r}: no model is configured")


class NoEmbeddings:
    """Embeddings where there is no embedding role: whoever compares texts goes by their words."""

    async def embed(self, request: EmbedTexts) -> Embedded:
        raise UnavailableError("embedding", f"there is no model {request.model!r}")

    async def models(self) -> list[ServedModel]:
        return []


class NoSummaries:
    """Summaries where there is no read model of the CEO's knowledge: everywhere but with its keeper."""

    async def summary(self, *_asked: object, **_under: object) -> StrategicSummary:
        raise OutcomeError("the strategic summary is made by the CEO's knowledge keeper: ask that domain for it")


class Outside(Struct, frozen=True, kw_only=True):
    """What reactions reach the world through. `caller`: the name of the model that calls tools, if any does; `approvals`: the
    operator's rules of which tools people must agree to."""

    log: EventLog
    queue: Queue
    timers: Timers
    snapshots: Snapshots | None = None
    retrieval: Retrieval
    model: ChatModel
    chats: ChatCompletions = msgspec.field(default_factory=NoModels)
    announce: Announce = _unheard
    blobs: Blobs
    telemetry: Telemetry
    clock: Callable[[], datetime]
    embeddings: Embeddings = msgspec.field(default_factory=NoEmbeddings)
    summaries: Summaries = msgspec.field(default_factory=NoSummaries)
    research: Research = NO_RESEARCH
    measurements: Measurements = msgspec.field(default_factory=NothingMeasured)
    spans: SpanStore = msgspec.field(default_factory=NoSpans)
    records: Records = msgspec.field(default_factory=NoRecords)
    repositories: NamedRepositories = msgspec.field(default_factory=NoRepositories)
    caller: str = ""
    tools: dict[str, Tool] = {}
    approvals: tuple[ApprovalRule, ...] = ()
    tool_runner: ToolRunner = msgspec.field(default_factory=ToolThreads)
    limits: Limits = Limits()
    near: Near = _far
    guards: Guards = msgspec.field(default_factory=lambda: Guards({"retrieval": Policy(reset_s=RETRIEVAL_RESET_S)}))
