"""A domain's worker on the memory adapters, with an actor that counts, for the kernel's tests."""

from datetime import UTC, datetime
from typing import Any, assert_never

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.tool import Fetch, tool
from adapters.memory import MemoryBlobs, MemoryBroker, MemoryLog, MemoryQueue, MemoryRpc
from adapters.memory_timers import MemoryTimers
from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Event, Message, Record, Stored
from contracts.facts import StrategicAlert
from contracts.ids import new_id
from contracts.letters import LetterFilter
from contracts.model import Prompt, Reply, Section
from contracts.retrieval import Entry, Hit, Query
from contracts.subjects import ActorRef
from runtime.actor import Actor, AnyActor
from runtime.errors import Rejected
from runtime.limits import Limits
from runtime.model_ports import Call
from runtime.outside import NoSummaries, Outside
from runtime.ports import Retrieval, Summaries
from runtime.records import NoRecords, Records
from runtime.telemetry import NoTelemetry
from runtime.worker import Worker

LIMITS = Limits(
    ack_wait_s=0.2,
    retry_s_min=0.001,
    retry_s_max=0.01,
    attempts_max=3,
    reply_recheck_s=0.05,
    hello_s=0.001,
    heartbeat_s=0.05,
    drain_s_max=0.05,
    park_after_s=0.2,
)
PROMPT = Prompt(role="r", question="q", sections=(Section("answer", "a"),))


class Add(Message, frozen=True, kw_only=True, tag="counter.add.v1"):
    amount: int


class Note(Message, frozen=True, kw_only=True, tag="counter.note.v1"):
    text: str


class Added(Event, frozen=True, kw_only=True, tag="counter.added.v1"):
    amount: int


class Noted(Event, frozen=True, kw_only=True, tag="counter.noted.v1"):
    text: str


class Sum(Struct, frozen=True):
    total: int = 0
    notes: tuple[str, ...] = ()


def decide(_state: Sum, message: Add | Note | StrategicAlert) -> list[Added | Noted]:
    match message:
        case Add():
            if message.amount < 0:
                raise Rejected("amounts are not negative", "limit")
            if message.amount == 13:
                raise RuntimeError("a bug")
            return [Added(amount=1)] * message.amount
        case Note():
            return [Noted(text=message.text)]
        case StrategicAlert():
            return [Noted(text=message.title)]
        case _:
            assert_never(message)


def evolve(state: Sum, event: Added | Noted) -> Sum:
    match event:
        case Added():
            return replace(state, total=state.total + event.amount)
        case Noted():
            return replace(state, notes=(*state.notes, event.text))
        case _:
            assert_never(event)


COUNTER = ActorRef(Domain.CEO, "counter", "c1")
counter = Actor("counter", Sum(), decide, evolve)


class CountingModel:
    """Answers with how often it was asked; can be told to fail."""

    name = "counting"

    def __init__(self, fail: list[Exception] | None = None) -> None:
        self.keys: list[str] = []
        self.fail = fail or []

    async def complete(self, prompt: Prompt, call: Call) -> Reply:
        self.keys.append(call.key)
        if self.fail:
            raise self.fail.pop(0)
        return Reply(
            sections={"answer": f"{prompt.question} {len(self.keys)}"}, cited=(), confidence=1.0, model="counting"
        )


class OneHit:
    """Finds one entry of a given label."""

    def __init__(self, label: Clearance) -> None:
        self.label = label

    async def search(self, query: Query) -> list[Hit]:
        return [
            Hit(entry=Entry(id="e", title="t", text="x", label=self.label), partition=query.partitions[0], score=0.5)
        ]

    async def index(self, partition: object, entries: object, *, version: int = 0) -> None: ...

    async def remove(self, partition: object, ids: object, *, version: int = 0) -> None: ...


class World:
    """A domain's worker on the memory adapters."""

    def __init__(
        self,
        *actors: AnyActor,
        model: CountingModel | None = None,
        retrieval: Retrieval | None = None,
        broker: MemoryBroker | None = None,
        limits: Limits = LIMITS,
        summaries: Summaries | None = None,
        records: Records | None = None,
    ) -> None:
        self.broker = broker or MemoryBroker(ack_wait_s=LIMITS.ack_wait_s)
        self.log = MemoryLog(self.broker)
        self.queue = MemoryQueue(self.broker)
        self.timers = MemoryTimers(self.broker, actor_max=limits.timers_actor_max)
        self.model = model or CountingModel()
        self.actors = actors
        self.outside = Outside(
            log=self.log,
            queue=self.queue,
            timers=self.timers,
            retrieval=retrieval or OneHit(Clearance.PUBLIC),
            model=self.model,
            blobs=MemoryBlobs(self.broker),
            telemetry=NoTelemetry(),
            clock=lambda: datetime.now(UTC),
            summaries=summaries or NoSummaries(),
            records=records or NoRecords(),
            tools={"double": tool("double", _double, "Doubles a sum.", permission="sophia:read")},
            limits=limits,
        )

    async def __aenter__(self) -> "World":
        await self.start(Domain.CEO, Domain.SOPHIA)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self, *domains: Domain) -> None:
        """A new worker for each."""
        rpc = MemoryRpc(self.broker)
        self.workers = [Worker(domain, self.actors, self.outside, rpc, new_id()) for domain in domains]
        for worker in self.workers:
            await worker.start()

    async def stop(self) -> None:
        for worker in self.workers:
            await worker.stop()

    async def send(self, message: Message, to: ActorRef = COUNTER, **changes: Any) -> str:
        identity = changes.pop("id", None) or new_id()
        envelope = Envelope(
            id=identity,
            type=tag(type(message)),
            time=datetime.now(UTC),
            correlation=identity,
            principal=changes.pop("principal", "ann"),
            source=Domain.SYSTEM,
            target=to.domain,
            clearance=Clearance.RESTRICTED,
            **changes,
        )
        await self.queue.publish(subjects.inbox(to), Record(envelope, msgspec.json.encode(message)))
        return str(identity)

    async def events(self, of: ActorRef = COUNTER, *, at_least: int) -> list[Stored]:
        """The actor's log once it has that many records."""
        while len(found := await self.log.read(subjects.log(of))) < at_least:
            after = found[-1].sequence if found else 0
            assert await self.log.wait(subjects.log(of), after=after, timeout_s=5), f"{len(found)} of {at_least} came"
        return found

    async def letters(self) -> list[Any]:
        """The dead letters once there are any: a message that is not blocked by them has come through."""
        await self.send(Note(text="through"), ActorRef(Domain.CEO, "counter", "other"))
        while not (found := await self.broker.letters.find(LetterFilter(), limit=100)):
            await self.broker.inboxes[Domain.CEO].change(0.05)
        return [one.letter for one in found]


def _double(arguments: Sum, _blobs: Fetch) -> Sum:
    return Sum(total=2 * arguments.total)
