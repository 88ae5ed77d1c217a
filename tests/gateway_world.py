"""The gateway over the kernel, the actors and the projections' folds, all in memory: only the agents' thinking is replaced."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import msgspec
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import Struct

from actors import conversation as conversations
from actors.ceo.knowledge_item import knowledge_item
from actors.signal import signal
from actors.sophia import analysis as analyses_actor
from actors.system.chat import chat
from actors.system.user import user
from adapters.memory import MemoryBlobs, MemoryBroker, MemoryLog, MemoryQueue, MemoryRpc
from adapters.memory_timers import MemoryTimers
from adapters.span_store import MemorySpanStore
from contracts import subjects
from contracts.catalogue import tag
from contracts.curating import ImportedItems, ImportsQuery
from contracts.domains import Clearance, Domain, Partition
from contracts.envelope import Envelope, Message, Record, Stored
from contracts.http import (
    Analyses,
    AnalysesQuery,
    Analysis,
    EventsQuery,
    EventView,
    KnowledgeItem,
    MessagesQuery,
    ModelUsage,
    Session,
    Sessions,
    SessionsQuery,
    Turns,
)
from contracts.ids import new_id
from contracts.model import Allowance, Prompt, Reply, Usage
from contracts.retrieval import Entry, Hit, Query
from contracts.subjects import ActorRef
from contracts.users import CreateUser, Role
from gateway import reads
from gateway.app import Gateway
from gateway.heads import KERNEL_TYPES
from gateway.identity import Passwords, Principal, Tokens
from gateway.rates import Quota
from gateway.services import EventsRead, GatewaySettings, Services
from gateway.watch import ProjectionWatch
from gateway.written import WrittenWatch
from projections import analyses, knowledge, messages, runs, sessions
from runtime.actor import Actor, AnyActor
from runtime.embedding_workers import EmbeddingWorkers
from runtime.errors import AllowanceError, InvalidError, UnavailableError
from runtime.limits import Limits
from runtime.outside import Outside
from runtime.ports import OnDelta
from runtime.read_models import Projection, logged
from runtime.telemetry import NoTelemetry
from runtime.worker import Worker
from tests.embedders import hashed
from tests.gateway_agents import Agents, Scripted

LIMITS = Limits(
    ack_wait_s=0.5,
    retry_s_min=0.001,
    retry_s_max=0.01,
    reply_recheck_s=0.05,
    hello_s=0,  # There is nobody else.
    drain_s_max=0.05,
)
UNCOUNTED = Quota(per_minute=1_000_000, per_hour=1_000_000)
SETTINGS = GatewaySettings(
    wait_s=5,
    projection_wait_s=0.2,
    progress_poll_s=0.02,
    events_poll_s=0.02,
    heartbeat_s=0.5,
    body_bytes_max=300_000,
    domain_quota=UNCOUNTED,
    cross_quota=UNCOUNTED,
)
HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
DOMAINS = (Domain.SOPHIA, Domain.ARTEMIS, Domain.CEO, Domain.SYSTEM)
R = TypeVar("R", bound=Struct)


def token_key() -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


TOKENS = Tokens(token_key())


class Costly:
    """A model that takes 100 tokens and 0.25 a call, if they may be spent."""

    name = "costly"
    usage = Usage(90, 10, 250_000)

    async def complete(
        self,
        prompt: Prompt,
        *,
        idempotency_key: str,  # noqa: ARG002 - the port's
        on_delta: OnDelta | None = None,  # noqa: ARG002 - the port's
        allowance: Allowance | None = None,
    ) -> Reply:
        if allowance is not None and allowance.less(self.usage).used_up:
            raise AllowanceError("costly needs 100 tokens and 0.25, and something to spare")
        sections = {section.name: "echo" for section in prompt.sections}
        return Reply(sections=sections, cited=(), confidence=1.0, model=self.name, usage=self.usage)


class Words:
    """Retrieval by counting common words."""

    def __init__(self) -> None:
        self.entries: dict[tuple[Partition, str], Entry] = {}

    async def index(self, partition: Partition, entries: Sequence[Entry], *, version: int = 0) -> None:  # noqa: ARG002
        self.entries.update({(partition, entry.id): entry for entry in entries})

    async def remove(self, partition: Partition, ids: Sequence[str], *, version: int = 0) -> None:  # noqa: ARG002
        for id in ids:  # noqa: A001 - the field's name
            self.entries.pop((partition, id), None)

    async def search(self, query: Query) -> list[Hit]:
        """Without a filter on clearance, on purpose: the gateway must not rely on it alone."""
        words = set(query.text.lower().split())
        hits = [
            Hit(entry=entry, partition=partition, score=len(words & set(entry.text.lower().split())) / len(words))
            for (partition, _), entry in self.entries.items()
            if partition in query.partitions
        ]
        return sorted((hit for hit in hits if hit.score), key=lambda hit: -hit.score)[: query.limit]


class FoldedReads:
    """Reads that fold what the logs have more for every question: always as fresh as the log."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._folded: dict[str, tuple[dict[tuple[str, ...], Any], dict[Domain, int]]] = {}
        self.down = False

    def _all(self, after: dict[Domain, int]) -> list[Stored]:
        if self.down:
            raise UnavailableError("postgres", "connection refused")
        return [
            Stored(one.subject, one.sequence, one.record)
            for domain, stream in self._broker.logs.items()
            for one in stream.messages[after.get(domain, 0) :]
            if one.record is not None
        ]

    def _fold(self, projection: Projection[R]) -> list[R]:
        rows, after = self._folded.setdefault(projection.name, ({}, {}))
        for one in projection.wanted(logged(self._all(after))):
            key = projection.key(one)
            if key is None:
                continue
            row = projection.fold(rows.get(key), one)
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row
        after.update({domain: len(stream.messages) for domain, stream in self._broker.logs.items()})
        return list(rows.values())

    async def sessions(
        self, query: SessionsQuery, *, owner: str | None, domains: Sequence[Domain], clearance: Clearance
    ) -> Sessions:
        found = [
            row
            for row in self._fold(sessions.SESSIONS)
            if owner in (None, row.owner) and row.domain in domains and row.label <= clearance
        ]
        found.sort(key=lambda row: row.created, reverse=True)
        return Sessions(sessions=tuple(map(reads.session_view, found[: query.limit])))

    async def session(self, id: str, *, clearance: Clearance) -> Session | None:  # noqa: A002 - the field's name
        found = [row for row in self._fold(sessions.SESSIONS) if row.id == id and row.label <= clearance]
        return reads.session_view(found[0]) if found else None

    async def turns(self, session: str, query: MessagesQuery, *, clearance: Clearance) -> Turns:
        found = [row for row in self._fold(messages.MESSAGES) if row.session == session and row.label <= clearance]
        found.sort(key=lambda row: row.sequence, reverse=True)
        return Turns(turns=tuple(map(reads.turn_view, found[: query.limit])))

    async def analyses(self, query: AnalysesQuery, *, by: str | None, clearance: Clearance) -> Analyses:
        found = [row for row in self._fold(analyses.ANALYSES) if by in (None, row.asker) and row.label <= clearance]
        return Analyses(analyses=tuple(map(reads.analysis_view, found[: query.limit])))

    async def analysis(self, id: str, *, clearance: Clearance) -> Analysis | None:  # noqa: A002 - the field's name
        found = [row for row in self._fold(analyses.ANALYSES) if row.id == id and row.label <= clearance]
        return reads.analysis_view(found[0]) if found else None

    async def knowledge(self, ids: Sequence[str], *, clearance: Clearance, now: datetime) -> list[KnowledgeItem]:
        return [
            reads.item_view(row)
            for row in self._fold(knowledge.KNOWLEDGE)
            if row.id in ids and row.label <= clearance and (row.expires is None or row.expires > now)
        ]

    async def imports(self, query: ImportsQuery, *, owner: str, clearance: Clearance, now: datetime) -> ImportedItems:
        found = [
            knowledge.ImportedRow(id=row.id, place=row.imported.key, digest=row.imported.digest, updated=row.updated)
            for row in self._fold(knowledge.KNOWLEDGE)
            if row.imported
            and (row.imported.collection, row.created_by) == (query.collection, owner)
            and row.label <= clearance
            and (row.expires is None or row.expires > now)
        ]
        found.sort(key=lambda row: row.id)
        return ImportedItems(items=tuple(map(reads.imported_view, found[: query.limit])))

    def _records(self, clearance: Clearance) -> list[EventView]:
        rows = [row for row in self._labelled() if row.label <= clearance]
        return [reads.record_view(row) for row in sorted(rows, key=lambda row: (row.time, row.domain, row.sequence))]

    def _labelled(self) -> list[runs.RunRecord]:
        """The records, those of a knowledge item at least as confidential as it is now: what `projections.runs` asks in SQL."""
        rows = self._fold(runs.RUNS)
        present = {
            row.actor: row.label
            for row in rows
            if row.kind == runs.KNOWLEDGE_ITEM and row.lane == "log" and row.type not in KERNEL_TYPES
        }
        return [
            msgspec.structs.replace(row, label=max(row.label, present.get(row.actor, Clearance.TOP_SECRET)))
            if row.kind == runs.KNOWLEDGE_ITEM
            else row
            for row in rows
        ]

    async def label_of_run(self, correlation: str) -> Clearance | None:
        return max((row.label for row in self._labelled() if row.correlation == correlation), default=None)

    async def run(self, correlation: str, *, clearance: Clearance) -> list[EventView]:
        found = [view for view in self._records(clearance) if view.correlation == correlation]
        return [msgspec.structs.replace(view, body=None) for view in found]

    async def spent(self, correlation: str, *, clearance: Clearance) -> dict[Domain, ModelUsage]:
        rows = [row for row in self._fold(runs.RUNS) if row.label <= clearance and row.correlation == correlation]
        calls = [runs.ModelCall(row.domain, row.body) for row in rows if row.effect in runs.MODEL_EFFECTS]
        return {domain: reads.usage_view(one) for domain, one in runs.spent(calls).items()}

    async def events(self, query: EventsQuery, *, clearance: Clearance) -> EventsRead:
        """The cursor is how many records there are before it."""
        records = self._records(clearance)
        after = query.after or "0"
        if not (after.isascii() and after.isdecimal()):
            raise InvalidError("not a cursor of ours", "cursor")
        start = int(after)
        page = records[start : start + query.limit]
        shown = tuple(
            view
            for view in page
            if (query.domain in (None, view.domain))
            and query.type in (None, view.type)
            and query.correlation in (None, view.correlation)
            and view.lane == query.lane
        )
        return EventsRead(shown, str(start + len(page)), more=start + len(page) < len(records))

    async def end_of_events(self) -> str:
        return str(len(self._all({})))


class Blind:
    """A watch on a log that cannot be read any more."""

    async def take(self, timeout_s: float) -> list[Stored]:  # noqa: ARG002 - the port's
        raise UnavailableError("broker", "gone")

    async def close(self) -> None: ...


class World:
    """A running system in memory, and clients of its gateway."""

    def __init__(self, settings: GatewaySettings = SETTINGS) -> None:
        self.broker = MemoryBroker(ack_wait_s=LIMITS.ack_wait_s)
        self.log = MemoryLog(self.broker)
        self.queue = MemoryQueue(self.broker)
        self.rpc = MemoryRpc(self.broker)
        self.words = Words()
        self.embeddings = EmbeddingWorkers([hashed("all-minilm"), hashed("mxbai-embed-large")], NoTelemetry())
        self.agents = Agents()
        self.chats = Scripted()
        self.reads = FoldedReads(self.broker)
        self.spans = MemorySpanStore()
        self.workers: list[Worker] = []
        self.checks: dict[str, Callable[[], Coroutine[Any, Any, str]]] = {}
        self.services = Services(
            log=self.log,
            queue=self.queue,
            letters=self.broker.letters,
            retrieval=self.words,
            embeddings=self.embeddings,
            blobs=MemoryBlobs(self.broker),
            reads=self.reads,
            spans=self.spans,
            telemetry=NoTelemetry(),
            tokens=TOKENS,
            passwords=Passwords(HASHER),
            watch=ProjectionWatch(self.rpc),
            written=WrittenWatch(self.rpc),
            chat_models=self.chats.models,
            clock=now,
            checks=self.checks,
            metrics=self._metrics,
            settings=settings,
        )
        self.gateway = Gateway(self.services)

    async def _metrics(self) -> bytes:
        return b"diarchy_up 1\n"

    async def __aenter__(self) -> "World":
        actors: list[AnyActor] = [
            Actor(
                "conversation",
                conversations.State(),
                self.agents.decide,
                conversations.evolve,
                self.agents.converse,
            ),
            Actor(
                "analysis", analyses_actor.State(), analyses_actor.decide, analyses_actor.evolve, self.agents.analyse
            ),
            chat,
            knowledge_item,
            signal,
            user,
        ]
        outside = Outside(
            log=self.log,
            queue=self.queue,
            timers=MemoryTimers(self.broker),
            retrieval=self.words,
            model=Costly(),
            chats=self.chats,
            announce=self.rpc.announce,
            blobs=MemoryBlobs(self.broker),
            telemetry=NoTelemetry(),
            clock=now,
            tools={},
            limits=LIMITS,
        )
        rpc = MemoryRpc(self.broker)
        self.workers = [Worker(domain, actors, outside, rpc, new_id()) for domain in DOMAINS]
        await asyncio.gather(*(worker.start() for worker in self.workers))
        await self.services.watch.start()
        await self.services.written.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.gateway.streams.stop()
        await asyncio.gather(*(worker.stop() for worker in self.workers))

    @asynccontextmanager
    async def client(
        self, *roles: Role, name: str = "ann", clearance: Clearance = Clearance.CONFIDENTIAL, base: str | None = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        """A client with a token; without roles, without one. `base` is a real server's address."""
        principal = Principal(username=name, roles=roles, clearance=clearance)
        headers = {"Authorization": f"Bearer {TOKENS.issue(principal, now())}"} if roles else {}
        app: Any = self.gateway.app  # Falcon says dict where httpx says MutableMapping.
        transport = None if base else httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(
            transport=transport, base_url=base or "http://gateway", headers=headers, timeout=20
        ) as client:
            yield client

    async def add_user(self, username: str, password: str, *roles: Role, clearance: Clearance) -> None:
        message = CreateUser(username=username, password_hash=HASHER.hash(password), roles=roles, clearance=clearance)
        actor = ActorRef(Domain.SYSTEM, "user", username)
        await self.send(actor, message)
        assert await self.log.wait(subjects.log(actor), after=0, timeout_s=5)

    async def send(self, actor: ActorRef, message: Message, label: Clearance = Clearance.PUBLIC) -> None:
        identity = new_id()
        envelope = Envelope(
            id=identity,
            type=tag(type(message)),
            time=now(),
            correlation=identity,
            principal="system",
            source=Domain.SYSTEM,
            target=actor.domain,
            label=label,
        )
        await self.queue.publish(subjects.inbox(actor), Record(envelope, msgspec.json.encode(message)))

    def recorded(self) -> int:
        """How many messages and records there are anywhere."""
        streams = (*self.broker.inboxes.values(), *self.broker.logs.values())
        return sum(len(stream.messages) for stream in streams)


def now() -> datetime:
    return datetime.now(UTC)


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 60))


def sse(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and data of each event of a stream's text."""
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in fields:
            events.append((fields["event"], msgspec.json.decode(fields["data"])))
    return events
