"""The simulated broker: streams, durable consumers with pins, and what they do when it hurts.

It behaves as the real server does (`broker-facts.md` 1, 2, 5, 9 and the server's consumer): compare-and-set before
deduplication, a window for repeats, an acknowledgement from whoever lost his hold counts, one for what is not handed out does
not, a new holder is given new messages at once and unended ones when their time is up, a reset starts again from the
acknowledgement floor with what was ended above it. Everything here happens in one step: that is the server's lock.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record, Stored, to_headers
from contracts.kernel import DeadLetter
from contracts.subjects import ActorRef
from runtime.errors import ConflictError, UnavailableError
from runtime.ports import Lag, QueueName
from tests.simulation.history import History
from tests.simulation.loop import SERVER, Process, context_of

ACK_WAIT_S = 2.0
PIN_LAPSE_S = 1.0  # a holder that asks for nothing for so long loses its pin
PENDING_MAX = 32
SHORT_WINDOW_S = 10.0


class Message(Struct, frozen=True):
    """One stored message."""

    subject: str
    sequence: int
    time_ns: int
    headers: dict[str, str]
    body: bytes
    record: Record | None


class Stream:
    """Messages by sequence. Whether ended ones are swept out makes no difference to what is handed out."""

    def __init__(self, server: "Server", name: str) -> None:
        self.name = name
        self.messages: list[Message] = []
        self.lasts: dict[str, int] = {}
        self.by_subject: dict[str, list[Message]] = {}
        self.changed = asyncio.Event()
        self._ids: dict[str, tuple[float, int]] = {}
        self._server = server

    def known(self, identity: str) -> int | None:
        """The sequence of a message with this id, if it came within the window."""
        found = self._ids.get(identity)
        if found is None or found[0] + self._server.dedupe_s <= self._server.loop.time():
            return None
        return found[1]

    def add(self, subject: str, body: bytes, headers: dict[str, str], record: Record | None) -> int:
        """Store; the old sequence of a known id."""
        identity = headers.get("Nats-Msg-Id")
        if identity is not None:
            old = self.known(identity)
            if old is not None:
                self._server.history.note("known", self.name, identity)
                return old
            self._ids[identity] = (self._server.loop.time(), len(self.messages) + 1)
        message = Message(subject, len(self.messages) + 1, self._server.time_ns(), headers, body, record)
        self.messages.append(message)
        self.lasts[subject] = message.sequence
        self.by_subject.setdefault(subject, []).append(message)
        self.changed.set()
        self.changed = asyncio.Event()
        self._server.stored(self, message)
        return message.sequence


class Holder(Protocol):
    """The client's end of a partition."""

    process: Process

    @property
    def silent(self) -> bool: ...

    def arrive(self, message: Message, pin: str, generation: int, *, repeated: bool) -> None: ...

    def lost(self) -> None: ...


class PartitionQueue:
    """A durable pull consumer over one partition of a queue, with a pinned priority group."""

    def __init__(self, server: "Server", name: str) -> None:
        self.name = name
        self.line: list[Message] = []
        self.pending: dict[int, float] = {}  # place in the line: when it is handed out again
        self.place_of: dict[int, int] = {}
        self.next = 0
        self.seen = 0
        self.floor = 0
        self.pin = ""
        self.generation = 0
        self.handed_out = 0  # since the last reset
        self.stored = 0  # the last message of the partition in its stream
        self.known_at = 0.0  # when that is known here
        self.pinned: Holder | None = None
        self.waiting: list[Holder] = []
        self._server = server
        self._pins = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def unended(self) -> list[Message]:
        """What is not handled to its end."""
        return [self.line[place] for place in (*self.pending, *range(self.next, len(self.line)))]

    @property
    def is_quiet(self) -> bool:
        """Whether all that was stored is known here, and handled to its end."""
        return not self.unended and self.stored == (self.line[-1].sequence if self.line else 0)

    @property
    def reached(self) -> int:
        """Up to where all was handed out."""
        return self.line[self.next - 1].sequence if self.next else 0

    def lag(self, generation: int, taken: int) -> Lag:
        """What is left for who took so many messages since a reset."""
        if self.next < len(self.line):
            return "backlog"
        return "nothing" if (generation, self.handed_out) == (self.generation, taken) else "arriving"

    def put(self, message: Message) -> None:
        self.place_of[message.sequence] = len(self.line)
        self.line.append(message)
        self.pump()

    def wait(self, holder: Holder) -> None:
        if holder is not self.pinned and holder not in self.waiting:
            self.waiting.append(holder)
        self._assign()

    def leave(self, holder: Holder) -> None:
        if holder in self.waiting:
            self.waiting.remove(holder)
        if holder is self.pinned:
            self.pinned = None
            self._assign()

    def unpin(self) -> None:
        holder, self.pinned = self.pinned, None
        if holder is not None:
            holder.lost()
        self._assign()

    def lapse(self) -> None:
        """The holder asked for nothing for too long."""
        if self.pinned is not None and self.pinned.silent:
            self._server.history.note("pin lapses", self.name)
            self.unpin()

    def reset(self) -> int:
        """Start again from the floor, for whoever is pinned. Returns the generation of what is handed out from now on."""
        self.next, self.pending, self.handed_out = self.floor, {}, 0
        self.generation += 1
        self._server.loop.call_soon(self.pump, context=self._server.context)
        return self.generation

    def touch(self, sequence: int) -> None:
        place = self.place_of[sequence]
        if place in self.pending:
            self.pending[place] = self._server.loop.time() + ACK_WAIT_S

    def end(self, sequence: int) -> None:
        """An acknowledgement, from whomever."""
        place = self.place_of[sequence]
        if place >= self.next:
            return  # As the server does: not handed out since the last reset.
        self.pending.pop(place, None)
        self.floor = min(self.pending, default=self.next)
        self.pump()

    def pump(self) -> None:
        """Hand out what can be: first what stayed unended too long, then what is new."""
        now = self._server.loop.time()
        self._assign()
        holder = self.pinned
        if holder is None or self._server.is_out:
            return
        for place, until in sorted(self.pending.items()):
            if until <= now:
                self._hand_out(holder, place)
        while self.next < len(self.line) and len(self.pending) < PENDING_MAX:
            place, self.next = self.next, self.next + 1
            self._hand_out(holder, place)
        if not self.pending:
            self.floor = self.next
        elif self._timer is None or self._timer.cancelled() or self._timer.when() <= now:
            first = max(now + 0.001, min(self.pending.values()))
            self._timer = self._server.loop.call_at(first, self.pump, context=self._server.context)

    def _hand_out(self, holder: Holder, place: int) -> None:
        self.pending[place] = self._server.loop.time() + ACK_WAIT_S
        self.handed_out += 1
        repeated = place < self.seen
        self.seen = max(self.seen, place + 1)
        kind, message = "handed out again" if repeated else "handed out", self.line[place]
        self._server.history.note(kind, self.name, message.sequence, self.pin, self.generation, holder.process.name)
        holder.arrive(message, self.pin, self.generation, repeated=repeated)

    def _assign(self) -> None:
        if self.pinned is None:
            self.waiting = [holder for holder in self.waiting if holder.process.alive]
            if self.waiting:
                self.pinned = self.waiting.pop(0)
                self._pins += 1
                self.pin = f"{self.name}:{self._pins}"
                self._server.history.note("pin", self.pin, self.pinned.process.name)
                if self.pinned.silent:  # A paused client's request waits here as well as any.
                    self._server.loop.call_later(PIN_LAPSE_S, self.lapse, context=self._server.context)
                self.pump()


class Server:
    """What every client reaches."""

    def __init__(self, loop: asyncio.AbstractEventLoop, history: History) -> None:
        self.loop = loop
        self.history = history
        self.context = context_of(SERVER)
        self.dedupe_s = 120.0
        self.signal_s: Callable[[], float] = float  # how long after it was stored a consumer learns of a message
        self.is_out = False
        self.start_ns = 1_790_000_000_000_000_000
        self.inboxes = {domain: Stream(self, subjects.in_stream(domain)) for domain in Domain}
        self.logs = {domain: Stream(self, subjects.log_stream(domain)) for domain in Domain}
        self.letters: dict[tuple[str, int], DeadLetter] = {}
        self.deaths: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self.blobs: dict[str, bytes] = {}
        self.snapshots: dict[ActorRef, bytes] = {}
        self.partitions: dict[tuple[Domain, QueueName, int], PartitionQueue] = {}
        self.timers: dict[tuple[ActorRef, str], asyncio.TimerHandle] = {}
        self._due: dict[tuple[ActorRef, str], tuple[str, Record]] = {}
        self._firings = 0

    def time_ns(self) -> int:
        return self.start_ns + int(self.loop.time() * 1e9)

    def partition(self, domain: Domain, name: QueueName, number: int) -> PartitionQueue:
        found = self.partitions.get((domain, name, number))
        if found is None:
            found = PartitionQueue(self, f"{domain.value}.{name}.{number}")
            self.partitions[domain, name, number] = found
        return found

    def stored(self, stream: Stream, message: Message) -> None:
        """Put a message into the line of its consumer."""
        address = subjects.parse(message.subject)
        if address.lane in ("in", "pub", "log"):
            name: QueueName = "reactor" if address.lane == "log" else "inbox"
            partition = self.partition(address.actor.domain, name, address.actor.partition)
            partition.stored = message.sequence
            partition.known_at = max(partition.known_at, self.loop.time() + self.signal_s())
            self.loop.call_at(partition.known_at, partition.put, message, context=self.context)
        self.history.note("stored", f"{stream.name} #{message.sequence}", message.subject, message.headers)

    def append(self, subject: str, records: Sequence[Record], expected: int) -> int:
        """All or nothing. Raises ConflictError."""
        stream = self.logs[subjects.parse(subject).actor.domain]
        if stream.lasts.get(subject, 0) != expected:
            raise ConflictError(f"{subject} does not end at {expected}")
        if any(stream.known(record.envelope.id) for record in records):
            raise ConflictError(f"{subject}: an event was stored before")
        sequence = 0
        for record in records:
            headers = to_headers(record.envelope)
            headers["Nats-Msg-Id"] = record.envelope.id
            sequence = stream.add(subject, record.body, headers, record)
        return sequence

    def read(self, subject: str, after: int, lag: int = 0) -> list[Stored]:
        """The records of a subject; a lagging replica lacks the last ones."""
        stream = self.logs[subjects.parse(subject).actor.domain]
        last = len(stream.messages) - lag
        return [stored(one) for one in stream.by_subject.get(subject, ()) if after < one.sequence <= last]

    def publish(self, subject: str, record: Record, attempt: str | None = None) -> int:
        headers = to_headers(record.envelope)
        headers["Nats-Msg-Id"] = attempt or record.envelope.id
        return self.inboxes[subjects.parse(subject).actor.domain].add(subject, record.body, headers, record)

    def bury(self, letter: DeadLetter) -> None:
        self.letters.setdefault((letter.subject, letter.sequence), letter)
        self.history.note("buried", f"{letter.subject} #{letter.sequence}", letter.reason)

    def set_timer(self, target: ActorRef, name: str, record: Record, due_s: float) -> None:
        self.cancel_timer(target, name)
        subject = subjects.inbox(target)
        self._due[target, name] = subject, record
        self.timers[target, name] = self.loop.call_at(due_s, self._fire, (target, name), context=self.context)

    def cancel_timer(self, target: ActorRef, name: str) -> None:
        timer = self.timers.pop((target, name), None)
        if timer is not None:
            timer.cancel()

    def fire_all(self) -> None:
        """As if the time of every timer had come."""
        for key, timer in sorted(self.timers.items(), key=lambda one: one[0]):
            timer.cancel()
            self._fire(key)

    def _fire(self, key: tuple[ActorRef, str]) -> None:
        del self.timers[key]
        self.history.note("timer", key[1])
        due = self._due.pop(key)
        self._fired(*due)
        if self.dedupe_s < SHORT_WINDOW_S:
            self.loop.call_later(self.dedupe_s + 0.1, self._fired, *due, context=self.context)

    def _fired(self, subject: str, record: Record) -> None:
        """What a timer fires has no message id that the server looks at: one that is set again comes again."""
        self._firings += 1
        self.publish(subject, record, f"firing {self._firings}")

    def lapse(self) -> None:
        for partition in self.partitions.values():
            partition.lapse()

    def back(self) -> None:
        """An outage is over."""
        self.is_out = False
        for partition in self.partitions.values():
            partition.pump()

    def refuse_if_out(self) -> None:
        if self.is_out:
            raise UnavailableError("broker", "out")


def stored(message: Message) -> Stored:
    assert message.record is not None
    return Stored(message.subject, message.sequence, message.record)
