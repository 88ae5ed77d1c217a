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
from actors.ceo.alert import alert
from actors.ceo.knowledge_item import knowledge_item
from actors.collaboration import collaboration
from actors.remembering import memory
from actors.signal import signal
from actors.sophia import analysis as analyses_actor
from actors.sophia.records import RECORDS
from actors.system.approval import approval
from actors.system.chat import chat
from actors.system.registry import registry
from actors.system.user import user
from adapters.memory import MemoryBlobs, MemoryBroker, MemoryLog, MemoryQueue, MemoryRpc
from adapters.memory_timers import MemoryTimers
from adapters.span_store import MemorySpanStore
from contracts import subjects
from contracts.agents import Pulse
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain, Partition
from contracts.envelope import Envelope, Message, Record, Stored
from contracts.ids import new_id
from contracts.model import Prompt, Reply, Usage
from contracts.retrieval import Entry, Hit, Query
from contracts.subjects import ActorRef
from contracts.users import CreateUser, Role
from deploy.tools_shown import shown
from gateway.app import Gateway
from gateway.identity import Passwords, Principal, Tokens
from gateway.rates import Quota
from gateway.services import GatewaySettings, Services
from gateway.watch import ProjectionWatch
from gateway.written import WrittenWatch
from runtime.actor import Actor, AnyActor
from runtime.breaker import Policy
from runtime.embedding_workers import EmbeddingWorkers
from runtime.errors import AllowanceError, UnavailableError
from runtime.guards import Guards
from runtime.limits import Limits
from runtime.merged_embeddings import MergedEmbeddings
from runtime.model_names import Named
from runtime.model_ports import Call
from runtime.outside import Outside
from runtime.ports import Retrieval
from runtime.telemetry import NoTelemetry
from runtime.worker import Worker
from tests.embedders import hashed
from tests.folded_reads import FoldedReads
from tests.gateway_agents import MEASURE, Agents, Scripted

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
    import_quota=UNCOUNTED,
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

    async def complete(self, prompt: Prompt, call: Call) -> Reply:
        if call.allowance is not None and call.allowance.less(self.usage).used_up:
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
            Hit(entry=entry, partition=partition, score=score, relevance=score)
            for (partition, _), entry in self.entries.items()
            if partition in query.partitions
            for score in [len(words & set(entry.text.lower().split())) / len(words)]
        ]
        return sorted((hit for hit in hits if hit.score), key=lambda hit: -hit.score)[: query.limit]


class Blind:
    """A watch on a log that cannot be read any more."""

    async def take(self, timeout_s: float) -> list[Stored]:  # noqa: ARG002 - the port's
        raise UnavailableError("broker", "gone")

    async def close(self) -> None: ...


class World:
    """A running system in memory, and clients of its gateway."""

    def __init__(self, settings: GatewaySettings = SETTINGS, retrieval: Retrieval | None = None) -> None:
        self.broker = MemoryBroker(ack_wait_s=LIMITS.ack_wait_s)
        self.log = MemoryLog(self.broker)
        self.queue = MemoryQueue(self.broker)
        self.rpc = MemoryRpc(self.broker)
        self.words = Words()
        self.retrieval = retrieval or self.words
        workers = EmbeddingWorkers([hashed("all-minilm"), hashed("mxbai-embed-large")], NoTelemetry())
        self.embeddings = MergedEmbeddings(workers, NoTelemetry())
        self.agents = Agents()
        self.chats = Scripted()
        self.reads = FoldedReads(self.broker)
        self.spans = MemorySpanStore()
        self.workers: list[Worker] = []
        self.pulse: Callable[[Domain], Pulse | None] = lambda _: None
        self.checks: dict[str, Callable[[], Coroutine[Any, Any, str]]] = {}
        self.services = Services(
            log=self.log,
            queue=self.queue,
            letters=self.broker.letters,
            retrieval=self.retrieval,
            embeddings=self.embeddings,
            blobs=MemoryBlobs(self.broker),
            reads=self.reads,
            spans=self.spans,
            telemetry=NoTelemetry(),
            tokens=TOKENS,
            passwords=Passwords(HASHER),
            watch=ProjectionWatch(self.rpc),
            written=WrittenWatch(self.rpc),
            chat_models=tuple(Named(name, ("test",), (name,)) for name in self.chats.models),
            tools=shown(),
            clock=now,
            checks=self.checks,
            metrics=self._metrics,
            pulse=self._pulse,
            settings=settings,
        )
        self.gateway = Gateway(self.services)

    async def _pulse(self, domain: Domain) -> Pulse | None:
        return self.pulse(domain)

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
            approval,
            chat,
            alert,
            collaboration,
            knowledge_item,
            memory,
            registry,
            signal,
            *RECORDS,
            user,
        ]
        outside = Outside(
            log=self.log,
            queue=self.queue,
            timers=MemoryTimers(self.broker),
            retrieval=self.retrieval,
            model=Costly(),
            chats=self.chats,
            announce=self.rpc.announce,
            blobs=MemoryBlobs(self.broker),
            telemetry=NoTelemetry(),
            clock=now,
            tools={"measure": MEASURE},
            limits=LIMITS,
            guards=Guards({"retrieval": Policy(reset_s=LIMITS.retry_s_max)}),
        )
        rpc = MemoryRpc(self.broker)
        self.workers = [Worker(domain, actors, outside, rpc, new_id()) for domain in DOMAINS]
        await asyncio.gather(*(worker.start() for worker in self.workers))
        await self.services.watch.start()
        await self.services.written.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.gateway.streams.stop()
        await self.embeddings.stop()
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
