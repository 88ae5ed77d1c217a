"""The kernel's ports over the simulated broker: what one process of the simulation is wired with."""

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

from contracts import subjects
from contracts.domains import Domain, Partition
from contracts.envelope import Record, Stored
from contracts.kernel import DeadLetter
from contracts.retrieval import Entry, Hit, Query
from contracts.subjects import ActorRef, Lane
from runtime.errors import UnavailableError
from runtime.ports import Handler, Lag, QueueName, Timer, Watch
from runtime.schedule import When
from tests.simulation.client import Connection, Sky
from tests.simulation.loop import Process
from tests.simulation.server import PIN_LAPSE_S, Message, PartitionQueue, Server, stored


class SimLog:
    """An EventLog."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._server = connection.server
        self.reads: dict[str, int] = {}  # how far this process was shown each subject when it looked last

    async def append(self, subject: str, records: Sequence[Record], *, expected: int) -> int:
        return await self._connection.call(
            f"append {subject}", lambda: self._server.append(subject, records, expected), conflicts=True
        )

    async def read(self, subject: str, *, after: int = 0, limit: int | None = None) -> list[Stored]:
        lag = self._lag()
        found = await self._connection.call(f"read {subject}", lambda: self._server.read(subject, after, lag))
        found = found[:limit]
        if found or not after:
            self.reads[subject] = found[-1].sequence if found else 0
        return found

    async def at(self, domain: Domain, sequence: int) -> Stored | None:
        messages, lag = self._server.logs[domain].messages, self._lag()

        def look() -> Stored | None:
            return stored(messages[sequence - 1]) if 0 < sequence <= len(messages) - lag else None

        return await self._connection.call(f"at {sequence}", look)

    async def follow(self, domain: Domain, lanes: Sequence[Lane], *, after: int) -> AsyncIterator[Sequence[Stored]]:
        stream = self._server.logs[domain]
        while True:
            while len(stream.messages) <= after:
                await stream.changed.wait()
            page = stream.messages[after : after + 500]
            after = page[-1].sequence
            if batch := [stored(one) for one in page if subjects.lane_of(one.subject) in lanes]:
                yield batch

    async def last(self, domain: Domain) -> int:
        return await self._connection.call("last", lambda: len(self._server.logs[domain].messages))

    async def wait(self, subject: str, *, after: int, timeout_s: float) -> bool:
        stream = self._server.logs[subjects.parse(subject).actor.domain]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while stream.lasts.get(subject, 0) <= after:
                    await stream.changed.wait()
        return stream.lasts.get(subject, 0) > after

    async def watch(self, subject: str, *, after: int, from_now: bool = False) -> Watch:
        raise NotImplementedError(f"{subject} after {after} ({from_now}): workers do not watch")

    def _lag(self) -> int:
        """How many messages behind the replica is that answers."""
        sky = self._connection.sky
        return sky.chance.randint(1, 3) if sky.happens(sky.weather.stale_read) else 0


class SimDelivery:
    """A Delivery."""

    def __init__(
        self, connection: Connection, partition: PartitionQueue, message: Message, pin: str, *, repeated: bool
    ) -> None:
        self._connection = connection
        self._partition = partition
        self.subject = message.subject
        self.sequence = message.sequence
        self.time_ns = message.time_ns
        self.headers = message.headers
        self.body = message.body
        self.pin = pin
        self.repeated = repeated

    async def ack(self) -> None:
        self._connection.server.history.note("ack", self._partition.name, self.sequence, self.pin)
        self._connection.tell(lambda: self._partition.end(self.sequence))

    async def working(self) -> None:
        self._connection.tell(lambda: self._partition.touch(self.sequence))

    async def bury(self, letter: DeadLetter) -> None:
        await self._connection.call("bury", lambda: self._connection.server.bury(letter))
        self._connection.tell(lambda: self._partition.end(self.sequence))


class SimFeed:
    """A Feed. What arrives waits in a buffer, as in the real one: a paused holder goes on with that."""

    def __init__(self, connection: Connection, partition: PartitionQueue) -> None:
        self.process: Process = connection.process
        self._connection = connection
        self._partition = partition
        self._buffer: deque[tuple[int, SimDelivery]] = deque()
        self._generation = 0
        self._news = asyncio.Event()
        self._lost = False
        self._closed = False
        self._was_pinned = False
        self._taken = 0
        self._arrives_at = 0.0

    async def open(self) -> None:
        if self._on_cut not in self._connection.on_cut:
            self._connection.on_cut.append(self._on_cut)
        await self._connection.call(f"unpin {self._partition.name}", self._partition.unpin)
        await self.reset()
        self._wait_again()

    async def take(self) -> SimDelivery:
        while True:
            while self._buffer:
                generation, delivery = self._buffer.popleft()
                if generation >= self._generation:
                    self._was_pinned = True
                    self._taken += 1
                    return delivery
            if self._lost:
                self._lost = False
                raise UnavailableError("broker", "the hold is lost")
            self._news.clear()
            await self._news.wait()

    async def reset(self) -> None:
        self._connection.server.history.note("reset", self._partition.name)
        self._taken = -1
        self._generation = await self._connection.call(f"reset {self._partition.name}", self._partition.reset)
        self._taken = 0

    async def lag(self) -> Lag:
        known, partition = (self._generation, self._taken), self._partition
        stored = await self._connection.call(f"last of {partition.name}", lambda: partition.stored)
        look = await self._connection.call(
            f"look at {partition.name}", lambda: (partition.lag(*known), partition.reached)
        )
        lag, reached = look
        late = reached < stored or known != (self._generation, self._taken)
        return "arriving" if lag == "nothing" and late else lag

    async def close(self) -> None:
        self._closed = True
        if self._on_cut in self._connection.on_cut:
            self._connection.on_cut.remove(self._on_cut)
        self._later(self._connection.sky.way_s(), self._leave, server=True)

    # The server's side calls these two.

    def arrive(self, message: Message, pin: str, generation: int, *, repeated: bool) -> None:
        """A message is on its way here; those of one connection keep their order."""
        loop, connection = self._connection.server.loop, self._connection
        if connection.is_cut:
            return
        self._arrives_at = max(self._arrives_at, loop.time() + connection.sky.way_s())
        delivery = SimDelivery(connection, self._partition, message, pin, repeated=repeated)
        loop.call_at(self._arrives_at, self._put, connection.cuts, generation, delivery, context=connection.context)

    @property
    def silent(self) -> bool:
        """Whether it asks for nothing now."""
        return not self.process.runs or self._connection.is_cut

    def lost(self) -> None:
        """The next request of this client is answered with 423."""
        self._later(PIN_LAPSE_S * self._connection.sky.chance.random(), self._notice)

    def _put(self, cuts: int, generation: int, delivery: SimDelivery) -> None:
        if (
            not self._closed and cuts == self._connection.cuts
        ):  # What is lost with a connection is the last of it, or all.
            self._buffer.append((generation, delivery))
            self._news.set()

    def _notice(self) -> None:
        if not self._closed:
            self._lost = True
            self._news.set()
            self._wait_again()

    def _on_cut(self) -> None:
        """What had arrived may be gone with the connection; what is unended comes again after a reset."""
        if self._connection.sky.happens(0.5):
            self._buffer.clear()
        self._lost = True
        self._news.set()
        self._later(0.2, self._wait_again)

    def _wait_again(self) -> None:
        """Ask again, without a pin, as soon as there is a connection."""
        if self._connection.is_cut or self._connection.server.is_out:
            self._later(0.2, self._wait_again)
        else:
            self._later(self._connection.sky.way_s(), self._rejoin, server=True)

    def _rejoin(self) -> None:
        if not self._closed:
            self._partition.wait(self)

    def _leave(self) -> None:
        """Whoever is pinned by now loses his pin: the server cannot be asked to unpin only us."""
        self._partition.leave(self)
        if self._was_pinned:
            self._partition.unpin()

    def _later(self, delay_s: float, do: Callable[[], None], *, server: bool = False) -> None:
        context = self._connection.server.context if server else self._connection.context
        self._connection.server.loop.call_later(delay_s, do, context=context)


class SimQueue:
    """A Queue."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._server = connection.server

    async def publish(self, subject: str, record: Record, *, attempt: str | None = None) -> None:
        await self._connection.call(f"publish {subject}", lambda: self._server.publish(subject, record, attempt))

    async def latest(self, actor: ActorRef) -> Record | None:
        raise NotImplementedError(f"{actor}: only the gateway asks")

    def feed(self, domain: Domain, name: QueueName, partition: int) -> SimFeed:
        return SimFeed(self._connection, self._server.partition(domain, name, partition))

    async def sweep(self, domain: Domain) -> None:
        """Nothing: what is ended is kept for the checks."""

    async def deaths(self, domain: Domain, name: QueueName, sequence: int) -> int:
        return await self._connection.call("deaths", lambda: self._server.deaths[domain.value, name, sequence])

    async def died(self, domain: Domain, name: QueueName, sequence: int) -> int:
        def count() -> int:
            self._server.deaths[domain.value, name, sequence] += 1
            return self._server.deaths[domain.value, name, sequence]

        return await self._connection.call("died", count)

    async def survived(self, domain: Domain, name: QueueName, sequence: int) -> None:
        self._connection.tell(lambda: _forget(self._server, (domain.value, name, sequence)))

    async def bury(self, letter: DeadLetter) -> None:
        await self._connection.call("bury", lambda: self._server.bury(letter))


def _forget(server: Server, key: tuple[str, str, int]) -> None:
    server.deaths.pop(key, None)


class Air:
    """What is announced reaches whoever listens: late, or not at all, or when he is no longer paused."""

    def __init__(self) -> None:
        self.listeners: list[tuple[str, Connection, Callable[[str, bytes], None]]] = []


class SimRpc:
    """The announcements of an Rpc."""

    def __init__(self, connection: Connection, air: Air) -> None:
        self._connection = connection
        self._air = air

    async def call(self, subject: str, body: bytes, *, timeout_s: float) -> bytes:
        raise UnavailableError("service", f"nobody answers {len(body)} bytes on {subject} within {timeout_s} s")

    async def serve(self, subject: str, handler: Handler) -> None:
        raise NotImplementedError(f"{subject}: {handler}")

    async def announce(self, subject: str, body: bytes) -> None:
        mine = self._connection
        if mine.is_cut or mine.is_mute or mine.server.is_out:
            return
        for wanted, other, handler in self._air.listeners:
            sky: Sky = mine.sky
            if wanted == subject and not other.is_cut and not sky.happens(sky.weather.lost_beat):
                mine.server.loop.call_later(sky.way_s(), handler, subject, body, context=other.context)

    async def listen(self, subject: str, handler: Callable[[str, bytes], None]) -> None:
        self._air.listeners.append((subject, self._connection, handler))


class SimTimers:
    """Timers that are kept by the broker: they outlive who set them, and fire twice where the broker forgets ids."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._server = connection.server

    async def set(self, target: ActorRef, name: str, record: Record, when: When) -> None:
        assert isinstance(when, datetime)
        due_s = when.timestamp() - self._server.start_ns / 1e9
        await self._connection.call(f"timer {name}", lambda: self._server.set_timer(target, name, record, due_s))

    async def cancel(self, target: ActorRef, name: str) -> None:
        await self._connection.call(f"no timer {name}", lambda: self._server.cancel_timer(target, name))

    async def list(self, domain: Domain, *, limit: int = 1_000) -> list[Timer]:
        raise NotImplementedError(f"nobody in the simulation asks for {limit} timers of {domain.value}")


class SimSnapshots:
    """Snapshots: a cache."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._server = connection.server

    async def save(self, actor: ActorRef, snapshot: bytes) -> None:
        def save() -> None:
            self._server.snapshots[actor] = snapshot
            self._server.history.note("saved", str(actor))

        await self._connection.call(f"save {actor}", save)

    async def load(self, actor: ActorRef) -> bytes | None:
        found = await self._connection.call(f"load {actor}", lambda: self._server.snapshots.get(actor))
        if found is not None:
            self._server.history.note("loaded", str(actor))
        return found


class SimBlobs:
    """Blobs that never fail: they are no part of what is simulated."""

    def __init__(self, server: Server) -> None:
        self._blobs = server.blobs

    async def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self._blobs[digest] = content
        return digest

    async def get(self, digest: str) -> bytes:
        return self._blobs[digest]


class Nothing:
    """A Retrieval that knows nothing: searching is no part of what is simulated."""

    async def index(self, partition: Partition, entries: Sequence[Entry], *, version: int = 0) -> None: ...

    async def remove(self, partition: Partition, ids: Sequence[str], *, version: int = 0) -> None: ...

    async def search(self, query: Query) -> list[Hit]:  # noqa: ARG002 - the port's
        return []
