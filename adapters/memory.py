"""EventLog, Snapshots, Queue, Blobs, Rpc in memory, with the semantics of the real ones: the reference text for the next adapter.

One MemoryBroker is the world that several logs, queues and services share. Nothing survives the process. A section without
`await` is atomic here: that is what stands for the server's lock.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from adapters.memory_feed import Durable, MemoryFeed, Message, Stream
from adapters.memory_letters import MemoryLetters
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record, Stored
from contracts.kernel import DeadLetter
from contracts.subjects import ActorRef, Lane
from runtime.errors import ConflictError, InvalidError, OutcomeError, UnavailableError
from runtime.limits import Limits
from runtime.ports import Handler, QueueName
from runtime.telemetry import SPAN_RPC, SPAN_SERVE, NoTelemetry, Telemetry

FOLLOW_BATCH_MAX = 500
BLOB_BYTES_MAX = 32 << 20
CALLS_MAX = 64  # calls of one service handled at once

_log = logging.getLogger(__name__)


class MemoryBroker:
    """The shared world. Deliveries that stay unended for `ack_wait_s` come again."""

    def __init__(self, *, ack_wait_s: float = Limits().ack_wait_s, pending_max: int = Limits().pending_max) -> None:
        self._ack_wait_s = ack_wait_s
        self._pending_max = pending_max
        self.inboxes = {domain: Stream() for domain in Domain}
        self.logs = {domain: Stream() for domain in Domain}
        self.letters = MemoryLetters()
        self.blobs: dict[str, bytes] = {}
        self.services: dict[str, Callable[[bytes, str | None], Awaitable[bytes]]] = {}
        self.listeners: list[tuple[str, Callable[[str, bytes], None]]] = []
        self.attempts: dict[str, int] = {}
        self._durables: dict[tuple[Domain, QueueName, int], Durable] = {}

    def durable(self, domain: Domain, name: QueueName, partition: int) -> Durable:
        """The consumer of one partition of a queue."""
        found = self._durables.get((domain, name, partition))
        if found is None:
            stream = self.inboxes[domain] if name == "inbox" else self.logs[domain]
            found = Durable(stream, name, partition, self._ack_wait_s, self._pending_max)
            self._durables[domain, name, partition] = found
        return found

    async def publish_plain(self, subject: str, body: bytes) -> None:
        """As a program outside would, without headers, to `<domain>.pub.<kind>.<id>`: the partition is filled in."""
        domain, _, kind, id = subject.split(".")  # noqa: A001 - the token's name
        actor = subjects.actor_ref(Domain(domain), kind, id)
        self.inboxes[actor.domain].add(subjects.Address("pub", actor).subject, body, None)


class MemoryLog:
    def __init__(self, broker: MemoryBroker) -> None:
        self._logs = broker.logs

    async def append(self, subject: str, records: Sequence[Record], *, expected: int) -> int:
        if not records:
            raise InvalidError("nothing to append")
        stream = self._stream(subject)
        if stream.lasts.get(subject, 0) != expected:
            raise ConflictError(f"{subject} does not end at {expected}")
        ids = {record.envelope.id for record in records}
        if len(ids) < len(records) or ids & stream.ids.keys():
            raise ConflictError(f"{subject}: an event was stored before")
        return [stream.add(subject, record.body, record) for record in records][-1]

    async def read(self, subject: str, *, after: int = 0, limit: int | None = None) -> list[Stored]:
        found = [_stored(one) for one in self._stream(subject).messages[after:] if one.subject == subject]
        return found[:limit]

    async def follow(
        self, domain: Domain, lanes: Sequence[Lane], *, after: int
    ) -> AsyncGenerator[Sequence[Stored], None]:
        stream = self._logs[domain]
        while True:
            while not (page := stream.messages[after : after + FOLLOW_BATCH_MAX]):
                await stream.change()
            after = page[-1].sequence
            if batch := [_stored(one) for one in page if subjects.lane_of(one.subject) in lanes]:
                yield batch

    async def at(self, domain: Domain, sequence: int) -> Stored | None:
        messages = self._logs[domain].messages
        return _stored(messages[sequence - 1]) if 0 < sequence <= len(messages) else None

    async def last(self, domain: Domain) -> int:
        return len(self._logs[domain].messages)

    async def wait(self, subject: str, *, after: int, timeout_s: float) -> bool:
        stream = self._stream(subject)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while stream.lasts.get(subject, 0) <= after:
                    await stream.change()
        return stream.lasts.get(subject, 0) > after

    async def watch(self, subject: str, *, after: int, from_now: bool = False) -> "MemoryWatch":
        stream = self._stream(subject)
        return MemoryWatch(stream, subject, max(after, stream.lasts.get(subject, 0)) if from_now else after)

    def _stream(self, subject: str) -> Stream:
        return self._logs[subjects.parse(subject).actor.domain]


class MemorySnapshots:
    def __init__(self) -> None:
        self._snapshots: dict[ActorRef, bytes] = {}

    async def save(self, actor: ActorRef, snapshot: bytes) -> None:
        self._snapshots[actor] = snapshot

    async def load(self, actor: ActorRef) -> bytes | None:
        return self._snapshots.get(actor)


class MemoryWatch:
    def __init__(self, stream: Stream, subject: str, after: int) -> None:
        self._stream = stream
        self._subject = subject
        self._after = after

    async def take(self, timeout_s: float) -> list[Stored]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._stream.lasts.get(self._subject, 0) <= self._after:
                    await self._stream.change()
        found = [_stored(one) for one in self._stream.messages[self._after :] if one.subject == self._subject]
        self._after = found[-1].sequence if found else self._after
        return found

    async def close(self) -> None:
        """Nothing to end."""


class MemoryQueue:
    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def publish(self, subject: str, record: Record, *, attempt: str | None = None) -> None:
        self._broker.inboxes[subjects.parse(subject).actor.domain].add(subject, record.body, record, attempt)

    async def latest(self, actor: ActorRef) -> Record | None:
        subject = subjects.inbox(actor)
        kept = self._broker.inboxes[actor.domain].messages
        return next((one.record for one in reversed(kept) if one.subject == subject), None)

    def feed(self, domain: Domain, name: QueueName, partition: int) -> MemoryFeed:
        return MemoryFeed(self._broker.letters, self._broker.durable(domain, name, partition))

    async def sweep(self, domain: Domain) -> None:
        """Nothing is forgotten here: `Durable.waiting` counts what is not ended."""

    async def deaths(self, domain: Domain, name: QueueName, sequence: int) -> int:
        return self._broker.attempts.get(subjects.attempt(domain, name, sequence), 0)

    async def died(self, domain: Domain, name: QueueName, sequence: int) -> int:
        subject = subjects.attempt(domain, name, sequence)
        self._broker.attempts[subject] = count = self._broker.attempts.get(subject, 0) + 1
        return count

    async def survived(self, domain: Domain, name: QueueName, sequence: int) -> None:
        self._broker.attempts.pop(subjects.attempt(domain, name, sequence), None)

    async def bury(self, letter: DeadLetter) -> None:
        await self._broker.letters.put(letter)


class MemoryBlobs:
    def __init__(self, broker: MemoryBroker) -> None:
        self._blobs = broker.blobs

    async def put(self, content: bytes) -> str:
        if len(content) > BLOB_BYTES_MAX:
            raise InvalidError(f"{len(content)} bytes are more than a blob may have ({BLOB_BYTES_MAX})")
        digest = hashlib.sha256(content).hexdigest()
        self._blobs[digest] = content
        return digest

    async def get(self, digest: str) -> bytes:
        if digest not in self._blobs:
            raise OutcomeError(f"no blob {digest[:64]!r}")
        return self._blobs[digest]


class MemoryRpc:
    """An Rpc. The last server of a subject gets the requests."""

    def __init__(self, broker: MemoryBroker, telemetry: Telemetry | None = None) -> None:
        self._broker = broker
        self._telemetry = telemetry or NoTelemetry()

    async def call(self, subject: str, body: bytes, *, timeout_s: float) -> bytes:
        with self._telemetry.span(SPAN_RPC, attributes={"subject": subject}) as span:
            service = self._broker.services.get(subject)
            if service is None:
                raise UnavailableError(subjects.served_by(subject), f"nobody answers on {subject}")
            try:
                async with asyncio.timeout(timeout_s):
                    return await service(body, span.traceparent)
            except TimeoutError:
                raise UnavailableError(
                    subjects.served_by(subject), f"no answer on {subject} in {timeout_s} s"
                ) from None

    async def serve(self, subject: str, handler: Handler) -> None:
        free = asyncio.Semaphore(CALLS_MAX)

        async def answer(body: bytes, parent: str | None) -> bytes:
            async with free:
                with self._telemetry.span(f"{SPAN_SERVE} {subject}", parent=parent):
                    try:
                        return await handler(body)
                    except (UnavailableError, InvalidError, OutcomeError):
                        raise
                    except Exception:  # noqa: BLE001 - as over the wire: an answer, and never an exception's insides
                        _log.exception("serving %s failed", subject)
                        raise UnavailableError("service", "the service failed") from None

        self._broker.services[subject] = answer

    async def announce(self, subject: str, body: bytes) -> None:
        for wanted, handler in self._broker.listeners:
            if _matches(wanted, subject):
                asyncio.get_running_loop().call_soon(handler, subject, body)

    async def listen(self, subject: str, handler: Callable[[str, bytes], None]) -> None:
        self._broker.listeners.append((subject, handler))


def _matches(wanted: str, subject: str) -> bool:
    """Whether a subject fits a filter: `*` is one token, `>` all that follow."""
    filters, tokens = wanted.split("."), subject.split(".")
    if filters[-1] == ">" and len(tokens) >= len(filters):
        filters, tokens = filters[:-1], tokens[: len(filters) - 1]
    return len(filters) == len(tokens) and all(one in ("*", token) for one, token in zip(filters, tokens, strict=True))


def _stored(message: Message) -> Stored:
    if message.record is None:
        raise ValueError(f"{message.subject} at {message.sequence} has no envelope")
    return Stored(message.subject, message.sequence, message.record)
