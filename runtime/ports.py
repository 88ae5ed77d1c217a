"""The ports: what the kernel needs of the world. Each has a memory adapter and a real one, and one contract suite for both."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from msgspec import Struct

from contracts.curating import StrategicSummary, SummaryQuery
from contracts.domains import Clearance, Domain, Partition
from contracts.envelope import Record, Stored
from contracts.kernel import DeadLetter
from contracts.letters import LetterFilter
from contracts.retrieval import Entry, Hit, Query
from contracts.subjects import ActorRef, Lane
from contracts.users import Permission
from runtime.schedule import When


class Delivery(Protocol):
    """One message handed to a worker. Exactly one of `ack` and `bury` ends it; unended ones come again after a while."""

    @property
    def subject(self) -> str: ...

    @property
    def sequence(self) -> int:
        """The stream-wide sequence: with the subject it names the message for ever."""
        ...

    @property
    def pin(self) -> str:
        """Under which hold of the partition it was handed out: a new one means that the hold was lost and gained again."""
        ...

    @property
    def repeated(self) -> bool:
        """Whether it was handed out before: a worker may have died with it in hand."""
        ...

    @property
    def time_ns(self) -> int:
        """When the stream stored it, Unix nanoseconds."""
        ...

    @property
    def headers(self) -> dict[str, str]:
        """As they came, the broker's own among them."""
        ...

    @property
    def body(self) -> bytes: ...

    async def ack(self) -> None:
        """Handled: never hand it out again."""
        ...

    async def working(self) -> None:
        """Still at it: do not hand it out again yet."""
        ...

    async def bury(self, letter: DeadLetter) -> None:
        """Store the letter in the dead letters, then end the message for good. Raises UnavailableError."""
        ...


QueueName = Literal["inbox", "reactor"]
"""The inbox lanes (`in`, `pub`); the `log` lane."""

Lag = Literal["nothing", "arriving", "backlog"]
"""Arriving: all is handed out, or that is about to be known. Backlog: some is not, and waits until other things are ended."""


class Feed(Protocol):
    """One partition of one durable queue, as its holder gets it. At most `Limits.pending_max` messages are unended at a time.

    The broker hands a partition's messages to one holder. That is no lock: who lost the hold may still work on what he was given.
    """

    async def open(self) -> None:
        """Take the partition: who held it gets no more of it, and what he was handed and did not end comes again.

        Raises UnavailableError.
        """
        ...

    async def take(self) -> Delivery:
        """The next message, waiting without end. Raises UnavailableError when the hold is lost: go on with `take`.

        The first of a new hold (`pin`) may be out of order: `reset` then.
        """
        ...

    async def reset(self) -> None:
        """Hand out again, in stream order, all that is not ended; what was handed out before this returns is void.

        What was ended behind something unended comes again, too. Raises UnavailableError.
        """
        ...

    async def lag(self) -> Lag:
        """What of the partition was stored before this call and not taken yet. Raises UnavailableError."""
        ...

    async def close(self) -> None:
        """Let go of the partition. Never raises."""
        ...


class Queue(Protocol):
    """The durable side of the streams: inboxes, and the log as the reactors see it."""

    async def publish(self, subject: str, record: Record, *, attempt: str | None = None) -> None:
        """Return once the message is stored durably; a repeated envelope id within two minutes is stored once.

        With an `attempt` that is compared instead of the envelope's id: a message that is sent again on purpose is no repeat.

        Raises UnavailableError when the broker does not confirm in time (the message may or may not be stored then), and
        when the inbox is full (it is not stored then).
        """
        ...

    async def latest(self, actor: ActorRef) -> Record | None:
        """The last message to the actor that its inbox still holds, which may have been handled. Raises UnavailableError."""
        ...

    def feed(self, domain: Domain, name: QueueName, partition: int) -> Feed:
        """One partition of one durable queue of the domain."""
        ...

    async def sweep(self, domain: Domain) -> None:
        """Forget the messages of the domain's inbox that are ended, so that it has room for others. Raises UnavailableError."""
        ...

    async def deaths(self, domain: Domain, name: QueueName, sequence: int) -> int:
        """How many workers may have died with this message in hand: what `died` counted. Raises UnavailableError."""
        ...

    async def died(self, domain: Domain, name: QueueName, sequence: int) -> int:
        """Count one more worker that may have died with this message in hand; how many that makes. Raises UnavailableError."""
        ...

    async def survived(self, domain: Domain, name: QueueName, sequence: int) -> None:
        """Forget what `died` counted. Never raises."""
        ...

    async def bury(self, letter: DeadLetter) -> None:
        """Store a dead letter as `DeadLetters.put` does. Raises UnavailableError."""
        ...


class KeptLetter(Struct, frozen=True):
    """A dead letter and its place: a later one is newer, and a letter gets a new one whenever it changes."""

    place: int
    letter: DeadLetter


class DeadLetters(Protocol):
    """What could not be handled, one letter an id, until somebody redrives or drops it; what he did is kept instead."""

    async def put(self, letter: DeadLetter) -> None:
        """Keep a letter: `runtime.letters.merged` says what becomes of one that is there. Raises UnavailableError."""
        ...

    async def get(self, id: str) -> KeptLetter | None:  # noqa: A002 - the field's name
        """A letter, whole, or what was done with it. Raises UnavailableError."""
        ...

    async def find(self, wanted: LetterFilter, *, limit: int, before: int | None = None) -> list[KeptLetter]:
        """Letters that are not ended and were put `before` that place, newest first, without bodies. Raises UnavailableError."""
        ...

    async def replace(self, place: int, letter: DeadLetter) -> KeptLetter:
        """Keep this instead of the letter with its id.

        Raises ConflictError when that is no longer at the place, UnavailableError when the outcome is unknown.
        """
        ...


class Watch(Protocol):
    """The records of one subject as they are stored; see EventLog.watch."""

    async def take(self, timeout_s: float) -> Sequence[Stored]:
        """What was stored since the last call, in order, none missing or twice; empty after `timeout_s`.

        Raises UnavailableError; what it could not say then comes with the next call.
        """
        ...

    async def close(self) -> None:
        """End it; idempotent."""
        ...


class EventLog(Protocol):
    """The only truth: per subject an append-only sequence of records, per domain one order over all of them."""

    async def append(self, subject: str, records: Sequence[Record], *, expected: int) -> int:
        """Append all or nothing, if the subject's last sequence is `expected` (0: it has none). Returns the new last sequence.

        Raises ConflictError when it is not, UnavailableError when the outcome is unknown: reread before trying again.
        """
        ...

    async def read(self, subject: str, *, after: int = 0, limit: int | None = None) -> list[Stored]:
        """The records of one exact subject with a sequence above `after`, in order: all, or the first `limit` (1 to 500).

        Raises UnavailableError.
        """
        ...

    async def at(self, domain: Domain, sequence: int) -> Stored | None:
        """The record at one sequence of the domain's log stream; None where there is none. Raises UnavailableError."""
        ...

    def follow(self, domain: Domain, lanes: Sequence[Lane], *, after: int) -> AsyncIterator[Sequence[Stored]]:
        """Batches (1 to 500, never empty) of the domain's log stream above `after`, in order, without end; live included."""
        ...

    async def last(self, domain: Domain) -> int:
        """The last sequence of the domain's log stream; 0 when empty. Raises UnavailableError."""
        ...

    async def wait(self, subject: str, *, after: int, timeout_s: float) -> bool:
        """Whether anything was appended to the exact subject above `after`; waits up to `timeout_s`. Raises UnavailableError."""
        ...

    async def watch(self, subject: str, *, after: int, from_now: bool = False) -> Watch:
        """The exact subject's records above `after`, as they are stored; close it.

        `from_now`: only what is stored after the call is wanted; of what was stored before, some may come all the same.
        Raises UnavailableError.
        """
        ...


class Snapshots(Protocol):
    """The last snapshot of each actor. A cache: what was saved may be gone, or older than what was saved last."""

    async def save(self, actor: ActorRef, snapshot: bytes) -> None:
        """Keep it instead of the actor's earlier one. Raises UnavailableError, InvalidError when it is too large."""
        ...

    async def load(self, actor: ActorRef) -> bytes | None:
        """The actor's snapshot; None when there is none. Raises UnavailableError."""
        ...


class Timer(Struct, frozen=True):
    """A timer that waits: what kind of message it will send to whom, when, and since when it is set."""

    target: ActorRef
    name: str
    type: str
    when: When
    since: datetime


class Timers(Protocol):
    """Messages that are sent later, once or again and again. They outlive every process, and who set them.

    What fires is an ordinary message of the target's inbox, at least once, never early. It may still come just after a
    `cancel`. A one-off one keeps its envelope's id; each firing of a recurring one has an id of its own, the same whenever it
    is handed out again. Times that passed while the broker was away: a one-off timer fires then, a recurring one once.
    """

    async def set(self, target: ActorRef, name: str, record: Record, when: When) -> None:
        """Return once it is durable. The same target and name replaces what they stood for; a repeat changes nothing.

        A moment in the past fires at once. Raises OutcomeError for a name or moment that cannot be and when the target has
        too many timers (`runtime.schedule`), UnavailableError.
        """
        ...

    async def cancel(self, target: ActorRef, name: str) -> None:
        """Forget it; one that is not there is no error. Raises UnavailableError."""
        ...

    async def list(self, domain: Domain, *, limit: int = 1_000) -> list[Timer]:
        """Timers of a domain's actors, those that were set first. Raises UnavailableError."""
        ...


class Blobs(Protocol):
    """Large inputs, stored once by content hash."""

    async def put(self, content: bytes) -> str:
        """Store and return the SHA-256 as 64 hex digits; storing the same bytes again changes nothing."""
        ...

    async def get(self, digest: str) -> bytes:
        """The bytes. Raises OutcomeError when there is no such blob, UnavailableError."""
        ...


class Retrieval(Protocol):
    """Texts found again by meaning: embedding and vector search behind one door, owned by the embedding role."""

    async def index(self, partition: Partition, entries: Sequence[Entry], *, version: int = 0) -> None:
        """Embed and store; an entry with the same id is replaced. Raises UnavailableError.

        A call may still be done long after its caller gave it up. So of what is done to one id, here and by `remove`, what has a
        lower `version` than something done before is left out; 0: each entry's own counts, and without one it is always done.
        """
        ...

    async def remove(self, partition: Partition, ids: Sequence[str], *, version: int = 0) -> None:
        """Forget entries; unknown ids are no error. `version` as for `index`. Raises UnavailableError."""
        ...

    async def search(self, query: Query) -> list[Hit]:
        """The best entries, best first, never above the query's clearance, never expired. Raises UnavailableError."""
        ...


class Summaries(Protocol):
    """The strategic summary of the CEO's knowledge base, out of its read model."""

    async def summary(
        self, query: SummaryQuery, partitions: tuple[Partition, ...], *, clearance: Clearance, now: datetime
    ) -> StrategicSummary:
        """Of items in these partitions that `clearance` covers and that have not expired. Raises UnavailableError."""
        ...


class ToolLimits(Struct, frozen=True, kw_only=True):
    """What one call may take: seconds by the clock, and bytes for all of its processes together, beyond what they begin with."""

    s_max: float = 120.0
    memory_bytes_max: int = 1 << 30
    preload: tuple[str, ...] = ()  # modules slow to import: done once, before the first call, not in each


class Tool(Struct, frozen=True, kw_only=True):
    """A named piece of real work on real input: `run(arguments, blobs)` with a Struct in and a Struct out.

    It runs in a process of its own that reaches nothing but a scratch folder (`tempfile`), the programs of the environment, and
    the blobs that its arguments name: a function of these. Raises OutcomeError. `run` is a function of a module, which holds the
    tool too: that is how the process finds it. `description` is for models; who asks needs the `permission`; `approval`: people
    have to agree to each call.
    """

    name: str
    description: str
    arguments: type[Struct]
    result: type[Struct]
    run: Callable[[Any, Callable[[str], bytes]], Struct]
    permission: Permission
    limits: ToolLimits = ToolLimits()
    approval: bool = False


class Runnable(Protocol):
    """The one life cycle. `stop` is idempotent and returns when everything started has ended."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


Handler = Callable[[bytes], Awaitable[bytes]]
"""A stateless service: request body to reply body."""


class Rpc(Protocol):
    """Request and reply without storage, for services that may be asked again at will."""

    async def call(self, subject: str, body: bytes, *, timeout_s: float) -> bytes:
        """The reply. Raises UnavailableError when nobody answers in time, InvalidError or OutcomeError as the service raised."""
        ...

    async def serve(self, subject: str, handler: Handler) -> None:
        """Answer requests on `subject` (shared with other servers of it) until the connection closes; concurrent, bounded.

        When this returns whoever asks reaches it: it may be said to be ready.
        """
        ...

    async def announce(self, subject: str, body: bytes) -> None:
        """Tell whoever listens now; nothing is kept."""
        ...

    async def listen(self, subject: str, handler: Callable[[str, bytes], None]) -> None:
        """Call the handler with subject and body for everything announced on the subject (`*` and `>` allowed)."""
        ...
