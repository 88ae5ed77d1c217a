"""The whole system in memory, in one thread of events: the real gateway, actors, retrieval and model, on a clock of its own."""

import asyncio
import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, AsyncExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from actors.roster import TOOLS
from adapters.extractive import ExtractiveModel
from adapters.memory import MemoryBlobs, MemoryBroker, MemoryLog, MemoryQueue, MemoryRpc
from adapters.memory_cache import MemoryCache
from adapters.memory_timers import MemoryTimers
from adapters.memory_vectors import MemoryVectors
from adapters.retrieval import LocalRetrieval
from adapters.similar_searches import SimilarSearches
from adapters.span_store import MemorySpanStore
from contracts.domains import Clearance, Domain
from contracts.users import Role
from deploy.tools_shown import shown
from gateway import routes
from gateway.app import Gateway
from gateway.identity import Passwords, Principal
from gateway.reads import PostgresReads
from gateway.services import Reads, Services
from gateway.watch import ProjectionWatch
from gateway.written import WrittenWatch
from projections import runs
from projections.paging import to_cursor
from projections.summaries import Summaries
from runtime.cached_embedder import CachedEmbedder, Of
from runtime.caching import Cache
from runtime.embedding_workers import EmbeddingWorkers
from runtime.limits import Limits
from runtime.model_names import Named
from runtime.outside import NoSummaries, Outside
from runtime.records import NoRecords
from runtime.telemetry import NoTelemetry
from tests.embedders import WordHashes, hashed
from tests.folded_reads import FoldedReads
from tests.gateway_agents import Scripted
from tests.gateway_world import HASHER, SETTINGS, TOKENS
from tests.projecting import Reached, read_models
from tests.taint.pump import Pump

START = datetime.now(UTC).replace(microsecond=0)
LIFETIME_S = 365 * 86_400
LIMITS = Limits(park_after_s=600.0)
STREAM = "text/event-stream"


class Fresh(ProjectionWatch):
    """Knows how far the projector has come; without one read models are folded when they are asked, and always there.

    `idle` says that somebody waits for more.
    """

    def __init__(self, rpc: MemoryRpc) -> None:
        super().__init__(rpc)
        self.idle = asyncio.Event()
        self.projected: Reached | None = None

    async def reached(self, domain: Domain, sequence: int, *, timeout_s: float) -> bool:  # noqa: ARG002 - the watch's
        projected = self.projected
        if projected is not None:
            await projected.until(lambda: projected.positions[domain] >= sequence)
        return True

    async def advance(self, *, timeout_s: float) -> None:
        self.idle.set()
        await super().advance(timeout_s=timeout_s)


class Reader(Struct, frozen=True):
    """Somebody with a token, as he is cleared now."""

    name: str
    role: Role
    clearance: Clearance

    @property
    def principal(self) -> Principal:
        return Principal(username=self.name, roles=(self.role,), clearance=self.clearance)


class Response(Struct, frozen=True):
    status: int
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class World:
    """A system in memory. What is written is heard as `written`, everything that models announce.

    `stored`: its read models are PostgreSQL's, else the same folds in memory. `beginning` is the cursor before all events.
    """

    def __init__(self, *, stored: bool = False) -> None:
        self._stored = stored
        self.passed = timedelta()
        self.broker = MemoryBroker()
        self._pump = Pump(self.broker)
        self.log = MemoryLog(self.broker)
        self.folded = FoldedReads(self.broker)
        self._queue = MemoryQueue(self.broker)
        self._timers = MemoryTimers(self.broker, clock=self.clock)
        self.vectors = MemoryVectors(WordHashes().dimensions)
        embedder = CachedEmbedder(WordHashes(), Cache(NoTelemetry(), MemoryCache()), of=Of("here", "hashes"))
        self.retrieval = LocalRetrieval(embedder, self.vectors, NoTelemetry(), SimilarSearches(NoTelemetry()))
        self.beginning = to_cursor(runs.START) if stored else "0"
        self.written: list[bytes] = []
        self._tokens: dict[Reader, str] = {}
        self._rpc = MemoryRpc(self.broker)
        self.watch = Fresh(self._rpc)
        self._around = AsyncExitStack()
        self._summaries = Summaries(FoldedReads(self.broker), Cache(NoTelemetry()))
        self._pump.start(self._outside)

    def _services(self, reads: Reads) -> Services:
        return Services(
            log=self.log,
            queue=self._queue,
            letters=self.broker.letters,
            retrieval=self.retrieval,
            embeddings=EmbeddingWorkers([hashed("all-minilm")], NoTelemetry()),
            blobs=MemoryBlobs(self.broker),
            reads=reads,
            spans=MemorySpanStore(),
            telemetry=NoTelemetry(),
            tokens=TOKENS,
            passwords=Passwords(HASHER),
            watch=self.watch,
            written=WrittenWatch(self._rpc),
            clock=self.clock,
            settings=SETTINGS,
            tools=shown(),
            chat_models=tuple(Named(name, ("test",), (name,)) for name in Scripted.models),
        )

    def _outside(self, domain: Domain) -> Outside:
        return Outside(
            log=self.log,
            queue=self._queue,
            timers=self._timers,
            retrieval=self.retrieval,
            model=ExtractiveModel(),
            chats=Scripted(),
            blobs=MemoryBlobs(self.broker),
            telemetry=NoTelemetry(),
            clock=self.clock,
            embeddings=EmbeddingWorkers([hashed("all-minilm")], NoTelemetry()),
            summaries=self._summaries if domain is Domain.CEO else NoSummaries(),
            records=self.folded if domain is Domain.SOPHIA else NoRecords(),
            tools=TOOLS.get(domain, {}),
            announce=self._announced,
            limits=LIMITS,
        )

    def parking(self) -> AbstractContextManager[None]:
        """For a question that waits for people: it is settled once it has left the memory."""
        return self._pump.parking()

    async def _announced(self, subject: str, body: bytes) -> None:
        self.written.append(body)
        await self._rpc.announce(subject, body)

    async def __aenter__(self) -> Self:
        reads: Reads = self.folded
        if self._stored:
            db, self.watch.projected = await self._around.enter_async_context(read_models(self.log))
            reads = PostgresReads(db)
        services = self._services(reads)
        await services.written.start()
        self._gateway = Gateway(services, routes.ROUTES)
        self._around.callback(self._gateway.streams.stop)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._around.aclose()

    def clock(self) -> datetime:
        return START + self.passed

    async def advance(self, by: timedelta, *, fire: bool) -> None:
        """Let time pass. Timers that are due fire, or are late."""
        self.passed += by
        if fire:
            self._timers.fire()
        await self._settle()

    async def _settle(self) -> None:
        await self._pump.settle()
        if self.watch.projected is not None:
            await self.watch.projected.all_of(self.log)

    async def ask(
        self,
        reader: Reader,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Response:
        """A request and its whole response; of a stream without end, what it told until there was no more. Then all settles."""
        sent = {"authorization": f"Bearer {self._token(reader)}", **(headers or {})}
        content = b"" if body is None else msgspec.json.encode(body)
        if content:
            sent["content-type"] = "application/json"
        exchange = _Exchange(method, path, query, sent, content)
        self.watch.idle.clear()
        app: Any = self._gateway.app
        answering = asyncio.ensure_future(app(exchange.scope, exchange.receive, exchange.send))
        caught_up = asyncio.ensure_future(self.watch.idle.wait())
        try:
            await asyncio.wait((answering, caught_up), return_when=asyncio.FIRST_COMPLETED)
            exchange.gone.set()
            if not answering.done():
                answering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await answering
        finally:
            caught_up.cancel()
        await self._settle()
        return Response(exchange.status, b"".join(exchange.parts))

    def _token(self, reader: Reader) -> str:
        if reader not in self._tokens:
            self._tokens[reader] = TOKENS.issue(reader.principal, START, lifetime_s=LIFETIME_S)
        return self._tokens[reader]


class _Exchange:
    """One HTTP request as ASGI has it."""

    def __init__(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> None:
        parts = urlsplit(path)
        text = "&".join(filter(None, (parts.query, urlencode(query))))
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "root_path": "",
            "query_string": text.encode(),
            "headers": [
                (name.lower().encode(), value.encode())
                for name, value in {"host": "gateway", "content-length": str(len(body)), **headers}.items()
            ],
            "client": ("127.0.0.1", 1),
            "server": ("gateway", 80),
        }
        self.status = 0
        self.parts: list[bytes] = []
        self.gone = asyncio.Event()
        self._body: bytes | None = body

    async def receive(self) -> dict[str, Any]:
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, event: dict[str, Any]) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
        else:
            self.parts.append(event.get("body", b""))
