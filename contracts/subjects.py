"""Every subject and stream name: the only place that builds or parses one.

`<domain>.<lane>.<partition>.<kind>.<id>`, for example `sophia.log.17.conversation.sophia-01JD…`. An effect journal adds the
reaction it belongs to: `<domain>.run.<partition>.<kind>.<id>.<reaction>`, a timer its name:
`<domain>.tmr.<partition>.<kind>.<id>.<name>`. Publishers outside use `<domain>.pub.<kind>.<id>`;
the stream's transform stores it as `<domain>.pub.<partition>.<kind>.<id>`.
"""

import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from contracts.domains import Domain

PARTITIONS = 16
"""Of a domain, fixed for ever; what a worker holds are whole ones, so more than 16 workers of a domain are of no use."""
ID_CHARS_MAX = 128
_DOMAINS = {domain.value: domain for domain in Domain}
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{1,{ID_CHARS_MAX}}}")

Lane = Literal["in", "pub", "tmr", "log", "run", "snap"]
LANES: tuple[Lane, ...] = ("in", "pub", "tmr", "log", "run", "snap")
DUE = "due"
"""The lane inside a timer stream of what has fired; nobody but the broker reads or writes it."""
_LANES: dict[str, Lane] = {lane: lane for lane in LANES}
# One expression for the whole subject: a projector parses one for every record it reads (split and compare took twice as long).
_SUBJECT = re.compile(
    rf"({'|'.join(_DOMAINS)})\.({'|'.join(LANES)})\.[0-9]+\.({_TOKEN.pattern})\.({_TOKEN.pattern})(?:\.([^.]*))?",
    re.DOTALL,
)


class ActorRef(Struct, frozen=True, order=True, gc=False):
    """Which actor: its domain, kind and id. Kind and id are 1 to 128 characters of A–Z a–z 0–9 _ -."""

    domain: Domain
    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.domain.value}/{self.kind}/{self.id}"

    @property
    def partition(self) -> int:
        """Which of its domain's it belongs to."""
        return partition(self.kind, self.id)


class Address(Struct, frozen=True, gc=False):
    """A parsed subject: the lane of an actor; `reaction` is set in the run lane only."""

    lane: Lane
    actor: ActorRef
    reaction: str | None = None

    @property
    def subject(self) -> str:
        actor = self.actor
        tail = f".{self.reaction}" if self.reaction else ""
        return f"{actor.domain.value}.{self.lane}.{actor.partition}.{actor.kind}.{actor.id}{tail}"


def is_token(text: str) -> bool:
    """Whether the text can stand between two dots of a subject."""
    return _TOKEN.fullmatch(text) is not None


def actor_ref(domain: Domain, kind: str, id: str) -> ActorRef:  # noqa: A002 - the field's name
    """A reference whose tokens were checked. Raises ValueError naming the one that is not usable in a subject."""
    for name, token in (("kind", kind), ("id", id)):
        if not _TOKEN.fullmatch(token):
            raise ValueError(f"{name} {token[:40]!r} must be 1 to {ID_CHARS_MAX} characters of A-Z a-z 0-9 _ -")
    return ActorRef(domain, kind, id)


@lru_cache(maxsize=16_384)  # a Python loop over the bytes; a busy actor's is asked for with each of its messages
@lru_cache(maxsize=65_536)
def partition(kind: str, id: str) -> int:  # noqa: A002 - the field's name
    """FNV-1a-32 of kind and id, modulo 16: what the server's `partition(16, …)` gives for the same tokens."""
    number = 2166136261
    for byte in (kind + id).encode():
        number = ((number ^ byte) * 16777619) & 0xFFFFFFFF
    return number % PARTITIONS


def partition_filter(domain: Domain, name: str, partition: int) -> str:
    """Everything of one partition that a durable queue hands out: of an inbox stream all, of a log the events.

    One filter, because several make the server search: 254 µs a message instead of 3.
    """
    return f"{domain.value}.{'*' if name == 'inbox' else 'log'}.{partition}.>"


def members(domain: Domain) -> str:
    """Core subject on which the workers of a domain say that they live, and which partitions they hold."""
    return f"system.member.{domain.value}"


def inbox(actor: ActorRef) -> str:
    return Address("in", actor).subject


def log(actor: ActorRef) -> str:
    return Address("log", actor).subject


def log_in(actor: ActorRef, number: int) -> str:
    """What `log` gives, where the actor's partition is known: that is most of the work."""
    return f"{actor.domain.value}.log.{number}.{actor.kind}.{actor.id}"


def run(actor: ActorRef, reaction: str) -> str:
    return Address("run", actor, reaction).subject


def snapshot(actor: ActorRef) -> str:
    return Address("snap", actor).subject


def publisher(actor: ActorRef) -> str:
    """Where a program outside publishes a fact for this actor."""
    return f"{actor.domain.value}.pub.{actor.kind}.{actor.id}"


def timer(actor: ActorRef, name: str) -> str:
    """Where a timer of the actor is kept; the name `*` stands for all of its timers."""
    return f"{Address('tmr', actor).subject}.{name}"


def due(actor: ActorRef) -> str:
    """Where the broker stores what a timer of the actor fired, until the inbox has it."""
    return f"{actor.domain.value}.{DUE}.{actor.partition}.{actor.kind}.{actor.id}"


def parse_timer(subject: str) -> tuple[ActorRef, str]:
    """The actor and name that `timer` was given. Raises ValueError."""
    front, _, name = subject.rpartition(".")
    address = parse(front)
    if address.lane != "tmr" or not _TOKEN.fullmatch(name):
        raise ValueError(f"not a timer's subject: {subject[:200]!r}")
    return address.actor, name


def domain_of(subject: str) -> Domain:
    """The domain of an actor's subject. Raises ValueError."""
    try:
        return _DOMAINS[subject[: subject.index(".")]]
    except KeyError:
        raise ValueError(f"not an actor's subject: {subject[:200]!r}") from None


def parse(subject: str) -> Address:
    """The address a stored subject names. Raises ValueError for anything that this module would not build."""
    found = _SUBJECT.fullmatch(subject)
    if found is None:
        raise ValueError(f"not an actor's subject: {subject[:200]!r}")
    domain, lane, kind, id_, reaction = found.groups()
    if (lane == "run") != (reaction is not None):
        raise ValueError(f"not an actor's subject: {subject[:200]!r}")
    return Address(_LANES[lane], ActorRef(_DOMAINS[domain], kind, id_), reaction)


def in_stream(domain: Domain) -> str:
    return f"{domain.value.upper()}_IN"


def timer_stream(domain: Domain) -> str:
    return f"{domain.value.upper()}_TMR"


def log_stream(domain: Domain) -> str:
    return f"{domain.value.upper()}_LOG"


def snapshot_stream(domain: Domain) -> str:
    return f"{domain.value.upper()}_SNAP"


def lane_filter(domain: Domain, lane: Lane) -> str:
    """All subjects of one lane of one domain."""
    return f"{domain.value}.{lane}.>"


DEAD_LETTERS_STREAM = "DLQ"
DEAD_LETTERS_FILTER = "dlq.*.*.*"
SPANS_STREAM = "SPANS"
SPANS_FILTER = "system.span.*"
MEASUREMENTS_STREAM = "MEASUREMENTS"
MEASUREMENTS_FILTER = "system.measured.*"
BLOBS_STREAM = "BLOBS"
BLOBS_FILTER = "blob.*.*"
ATTEMPTS_STREAM = "ATTEMPTS"
ATTEMPTS_FILTER = "attempt.>"
CACHE_STREAM = "CACHE"
CACHE_FILTER = "cache.*"
STORED_PREFIX = "stored"


def dead_letter(domain: Domain, queue: str, letter: str) -> str:
    """Where a dead letter is kept, one a subject: whatever becomes of it replaces it."""
    return f"dlq.{domain.value}.{queue}.{letter}"


def dead_letters(domain: Domain | None = None, queue: str | None = None, letter: str | None = None) -> str:
    """The dead letters of a domain, of a queue, of one id. Raises ValueError for what cannot be an id."""
    if letter is not None and not _TOKEN.fullmatch(letter):
        raise ValueError(f"not the id of a dead letter: {letter[:60]!r}")
    return f"dlq.{domain.value if domain else '*'}.{queue or '*'}.{letter or '*'}"


def attempt(domain: Domain, queue: str, sequence: int) -> str:
    """Where it is counted how often a worker died with this message in hand."""
    return f"attempt.{domain.value}.{queue}.{sequence}"


def cached(key: str) -> str:
    """Where the shared cache keeps the value of a key. Raises ValueError for what cannot be one."""
    if not _TOKEN.fullmatch(key):
        raise ValueError(f"not a key of the cache: {key[:60]!r}")
    return f"cache.{key}"


def lane_of(subject: str) -> str:
    """The second token, `?` where there is none: also for subjects that `parse` refuses."""
    return [*subject.split(".", 2), "?"][1] or "?"


def stored(subject: str) -> str:
    """Core subject on which the broker repeats what was stored on a log or run subject: after the fact, as it was stored."""
    return f"{STORED_PREFIX}.{subject}"


def blob(digest: str, chunk: int | Literal["*"]) -> str:
    """Where one chunk of a blob is kept; `*` for all of them."""
    return f"blob.{digest}.{chunk}"


def spans(trace_id: str) -> str:
    """Where the finished spans of one trace (32 hex digits) are kept."""
    return f"system.span.{trace_id}"


def measured(source: str) -> str:
    """Where the measurements of one source are kept. Raises ValueError for what cannot be the name of one."""
    if not _TOKEN.fullmatch(source):
        raise ValueError(f"not a source of measurements: {source[:60]!r}")
    return f"system.measured.{source}"


def projected(domain: Domain) -> str:
    """Core subject on which the projector says how far the read models of a domain's log have come."""
    return f"system.projected.{domain.value}"


def written(domain: Domain, run: str) -> str:
    """Core subject on which a domain's worker announces what a model writes for a run (`contracts.chat.Written`); `*`: any."""
    return f"{domain.value}.written.{run}"


def service(domain: Domain, name: str) -> str:
    """Core request/reply subject of a stateless service of a domain, such as `embedding.rpc.search`."""
    return f"{domain.value}.rpc.{name}"


def providers(domain: Domain) -> str:
    """Core request/reply subject on which a domain's worker says how its model providers are."""
    return service(domain, "providers")


def served_by(subject: str) -> str:
    """Who answers on a service's subject, for people: `embedding service`."""
    return f"{subject.partition('.')[0]} service"


def metrics(role: str) -> str:
    """Core request/reply subject on which a role's process gives its metrics as Prometheus text."""
    return service(Domain.SYSTEM, f"metrics.{role}")
