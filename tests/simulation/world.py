"""One simulated run: workers of two domains, clients, everything that goes wrong, and the quiet afterwards."""

import asyncio
import random
from datetime import UTC, datetime

import msgspec

from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Record
from contracts.ids import new_id
from contracts.model import Prompt, Reply
from contracts.subjects import ActorRef
from runtime import model_ports
from runtime.errors import OutcomeError, UnavailableError
from runtime.guards import Guards
from runtime.limits import Limits
from runtime.outside import Outside
from runtime.telemetry import NoTelemetry
from runtime.worker import Worker
from tests.simulation.actors import ACTORS, Put
from tests.simulation.client import Connection, Sky
from tests.simulation.faults import Faults
from tests.simulation.history import History
from tests.simulation.loop import Process, SimLoop, context_of, current
from tests.simulation.plan import BUSY_S, Options, Plan, Sent, planned
from tests.simulation.ports import Air, Nothing, SimBlobs, SimLog, SimQueue, SimRpc, SimSnapshots, SimTimers
from tests.simulation.server import ACK_WAIT_S, PENDING_MAX, Server
from tests.simulation.weather import calmed

LIMITS = Limits(
    attempts_max=3,
    ack_wait_s=ACK_WAIT_S,
    pending_max=PENDING_MAX,
    retry_s_min=0.02,
    retry_s_max=0.5,
    park_after_s=0.5,
    reply_recheck_s=2.0,
    deaths_max=100,
    live_actors_max=3,
    idle_s=1.0,
    snapshot_events=5,
    snapshot_events_min=2,
)
QUIET_S_MAX = 90.0  # after the last fault everything must have ended within this
LOOK_S = 0.25
AFTER_S = 3.0  # then nothing more may come


class Accepted(msgspec.Struct, frozen=True):
    """A message that its sender was told is stored."""

    id: str
    to: ActorRef
    message: Put


class Call(msgspec.Struct, frozen=True):
    """One call of the outside service: by whom, and whether he had been shown its journal entry or was at it already."""

    key: str
    answer: str
    who: str
    known: bool
    under_way: bool


class Service:
    """What effects call outside: every call gives another answer, so that each answer tells which call it was."""

    name = "service"

    def __init__(self, world: "World", log: SimLog) -> None:
        self._world = world
        self._log = log
        self._under_way: set[str] = set()

    async def complete(self, prompt: Prompt, call: model_ports.Call) -> Reply:
        world = self._world
        noted = Call(
            key=call.key,
            answer=f"answer {len(world.calls)} to {prompt.question}",
            who=current().name,
            known=world.journaled(call.key, self._log),
            under_way=call.key in self._under_way,
        )
        world.calls.append(noted)
        world.history.note("call", call.key, noted.answer)
        self._under_way.add(call.key)
        try:
            await asyncio.sleep(world.sky.way_s() * 3)
        finally:
            self._under_way.discard(call.key)
        if prompt.role == "unusable":
            raise OutcomeError(noted.answer)
        if world.sky.happens(world.sky.weather.refused):
            raise UnavailableError("service", "busy")
        return Reply(sections={"answer": noted.answer}, cited=(), confidence=1.0, model="simulated")


class Member:
    """One process of a worker: from its start to its crash."""

    def __init__(self, world: "World", domain: Domain, name: str) -> None:
        self.domain = domain
        self.process = Process(name)
        self.connection = Connection(world.server, world.sky, self.process)
        log = SimLog(self.connection)
        outside = Outside(
            log=log,
            queue=SimQueue(self.connection),
            timers=SimTimers(self.connection),
            snapshots=SimSnapshots(self.connection),
            retrieval=Nothing(),
            model=Service(world, log),
            blobs=SimBlobs(world.server),
            telemetry=NoTelemetry(),
            clock=world.now,
            limits=LIMITS,
            guards=Guards({}, world.loop.time),
        )
        rpc = SimRpc(self.connection, world.air)
        self.worker = Worker(domain, ACTORS[domain], outside, rpc, name)


class World:
    """Everything of one run. `live` is the whole story; `checks` reads what it left."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.plan: Plan = planned(options)
        self.loop = SimLoop(options.seed, shuffled=self.plan.weather.shuffled)  # type: ignore[abstract] # no sockets
        self.chance = random.Random(f"faults {options.seed}")  # noqa: S311 - a simulation's choices
        self.sky = Sky(self.plan.weather, self.chance)
        self.history = History(self.loop)
        self.server = Server(self.loop, self.history)
        self.server.dedupe_s = self.plan.weather.dedupe_s
        self.server.signal_s = self.sky.way_s
        self.air = Air()
        self.members: list[Member] = []
        self.accepted: list[Accepted] = []
        self.calls: list[Call] = []
        self.ended: list[str] = []  # workers that ended by themselves, and why
        self.is_quiet = False
        self.faults = Faults(self)
        self._started = 0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.server.time_ns() / 1e9, UTC)

    @property
    def living(self) -> list[Member]:
        return [member for member in self.members if member.process.alive]

    def journaled(self, key: str, log: SimLog) -> bool:
        """Whether the journal entry of this effect is stored and the reader was shown it."""
        reaction, number = key.rsplit(":", 1)
        for subject, shown in log.reads.items():
            if subject.endswith(reaction) and ".run." in subject:
                entries = self.server.read(subject, 0)
                return any(
                    one.sequence <= shown and msgspec.json.decode(one.record.body)["effect"] == int(number)
                    for one in entries
                )
        return False

    async def live(self) -> None:
        """Send and break until both are done, calm down, wait until nothing is left to do."""
        clients = [
            self.loop.create_task(
                self._client(f"client-{number}", sent), context=context_of(Process(f"client-{number}"))
            )
            for number, sent in enumerate(self.plan.clients)
        ]
        for domain, count in self.plan.workers.items():
            for _ in range(count):
                self.start(domain)
        await self.faults.run(BUSY_S)
        self.sky.weather = calmed(self.plan.weather)
        self.history.note("calm")
        await asyncio.gather(*clients)
        await self._become_quiet()
        self.server.fire_all()  # The time-outs of what was answered long ago.
        await asyncio.sleep(AFTER_S)
        self.is_quiet = await self._become_quiet()

    async def _become_quiet(self) -> bool:
        """Wait until every message and reaction has ended; whether they have, in time."""
        until = self.loop.time() + QUIET_S_MAX
        while self.loop.time() < until:
            if self._is_quiet():
                return True
            await asyncio.sleep(LOOK_S)
        return False

    def _is_quiet(self) -> bool:
        soon = self.loop.time() + QUIET_S_MAX
        return all(partition.is_quiet for partition in self.server.partitions.values()) and not any(
            timer.when() < soon for timer in self.server.timers.values()
        )

    def start(self, domain: Domain) -> None:
        """One more worker of the domain, as a supervisor would start it."""
        self._started += 1
        member = Member(self, domain, f"{domain.value}-{self._started}")
        self.members.append(member)
        self.loop.create_task(self._work(member), context=context_of(member.process))

    async def _work(self, member: Member) -> None:
        try:
            await member.worker.start()
            await member.worker.wait()
        except Exception as error:  # noqa: BLE001 - whatever ends a worker is a finding
            self.ended.append(f"{member.process.name}: {error!r}")
            self.history.note("worker ended", error)
            self.loop.kill(member.process)
            self.start(member.domain)

    async def _client(self, name: str, sent: tuple[Sent, ...]) -> None:
        queue = SimQueue(Connection(self.server, self.sky, current()))
        for one in sent:
            await asyncio.sleep(one.pause_s)
            identity = new_id()
            envelope = Envelope(
                id=identity,
                type=tag(Put),
                time=self.now(),
                correlation=identity,
                principal=name,
                source=Domain.SYSTEM,
                target=one.to.domain,
                clearance=Clearance.INTERNAL,
            )
            record = Record(envelope, msgspec.json.encode(one.message))
            while True:
                try:
                    await queue.publish(subjects.inbox(one.to), record)
                    break
                except UnavailableError:
                    await asyncio.sleep(0.1)
            self.accepted.append(Accepted(identity, one.to, one.message))
            self.history.note("accepted", identity, str(one.to), one.message)
