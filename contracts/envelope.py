"""The envelope every message and event travels in, and the two bases of their bodies."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from msgspec import Struct

from contracts.domains import Clearance, Domain

PRIORITY_DEFAULT = 3


class Message(Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """What arrives in an inbox: a request (`Ask`) or a fact from outside (`DealClosed`). Tags are explicit and stable."""


class Personal(Message, frozen=True, kw_only=True):
    """What only a person can say, and only for himself: the kernel takes it from nobody but the principal `by`."""

    by: str


class Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What an actor recorded about itself, past tense; never changed after release."""


class Envelope(Struct, frozen=True, kw_only=True, gc=False):
    """Who sent what, why, on whose behalf, and how confidential it is.

    `causation` is the message an event came from, or the event whose reaction sent a message. In an event, `reaction` is the
    event whose reaction sent that message, so that the events of a run form a tree.

    `clearance` is the asker's: the ceiling of every read done on his behalf. `label` is how confidential this body is: at
    least that of everything it rests on. `traceparent` is W3C Trace Context. `prev` and `hash` chain an actor's log.
    """

    id: str
    type: str
    time: datetime
    correlation: str
    principal: str
    source: Domain
    causation: str | None = None
    reaction: str | None = None
    target: Domain | None = None
    clearance: Clearance = Clearance.PUBLIC
    label: Clearance = Clearance.PUBLIC
    priority: int = PRIORITY_DEFAULT
    response_required: bool = False
    reply_to: str | None = None
    deadline: datetime | None = None
    idempotency_key: str | None = None
    traceparent: str | None = None
    prev: str | None = None
    hash: str | None = None


class Record(Struct, frozen=True, gc=False):
    """An envelope with its body as stored: JSON of one tagged Struct."""

    envelope: Envelope
    body: bytes


class Stored(Struct, frozen=True, gc=False):
    """A record with its place: the subject and the stream-wide sequence."""

    subject: str
    sequence: int
    record: Record


_BREAKS = re.compile(r"[\r\n]+")
_DOMAINS = {domain.value: domain for domain in Domain}
_CLEARANCES = {clearance.value: clearance for clearance in Clearance}
CORRELATION_HEADER, PRINCIPAL_HEADER = "Diarchy-Correlation", "Diarchy-Principal"
_NEEDED = ("Diarchy-Id", "Diarchy-Type", "Diarchy-Time", CORRELATION_HEADER, PRINCIPAL_HEADER, "Diarchy-Source")
_ALWAYS = {*_NEEDED, "Diarchy-Clearance", "Diarchy-Label", "Diarchy-Priority"}
_NAMES = (
    "Diarchy-Causation",
    "Diarchy-Clearance",
    "Diarchy-Correlation",
    "Diarchy-Deadline",
    "Diarchy-Hash",
    "Diarchy-Id",
    "Diarchy-Idempotency-Key",
    "Diarchy-Label",
    "Diarchy-Prev",
    "Diarchy-Principal",
    "Diarchy-Priority",
    "Diarchy-Reaction",
    "Diarchy-Reply-To",
    "Diarchy-Response-Required",
    "Diarchy-Source",
    "Diarchy-Target",
    "Diarchy-Time",
    "Diarchy-Type",
    "traceparent",
)
# What `header_text` writes, and behind it the end or what the broker added: one expression takes a third of splitting lines.
_WRITTEN = re.compile(
    "".join([f"{name}: (.*)\r\n" if name in _ALWAYS else f"(?:{name}: (.*)\r\n)?" for name in _NAMES])
    + r"(?=Nats-|\r\n|\Z)"
)


def header_pairs(envelope: Envelope) -> list[tuple[str, str]]:  # noqa: C901 - one line a field
    """The envelope as message headers, sorted by name; fields at None are left out. Every message passes here: no loop."""
    e = envelope
    pairs: list[tuple[str, str]] = []
    add = pairs.append
    if e.causation is not None:
        add(("Diarchy-Causation", e.causation))
    add(("Diarchy-Clearance", e.clearance._value_))
    add(("Diarchy-Correlation", e.correlation))
    if e.deadline is not None:
        add(("Diarchy-Deadline", _text(e.deadline)))
    if e.hash is not None:
        add(("Diarchy-Hash", e.hash))
    add(("Diarchy-Id", e.id))
    if e.idempotency_key is not None:
        add(("Diarchy-Idempotency-Key", e.idempotency_key))
    add(("Diarchy-Label", e.label._value_))
    if e.prev is not None:
        add(("Diarchy-Prev", e.prev))
    add(("Diarchy-Principal", e.principal))
    add(("Diarchy-Priority", str(e.priority)))
    if e.reaction is not None:
        add(("Diarchy-Reaction", e.reaction))
    if e.reply_to is not None:
        add(("Diarchy-Reply-To", e.reply_to))
    if e.response_required:
        add(("Diarchy-Response-Required", "true"))
    add(("Diarchy-Source", e.source._value_))
    if e.target is not None:
        add(("Diarchy-Target", e.target._value_))
    add(("Diarchy-Time", _text(e.time)))
    add(("Diarchy-Type", e.type))
    if e.traceparent is not None:
        add(("traceparent", e.traceparent))
    return pairs


def header_text(envelope: Envelope) -> str:
    """`header_pairs` as lines that end in CRLF; a line break within a value becomes a space."""
    pairs = header_pairs(envelope)
    text = "\r\n".join(map(": ".join, pairs))
    if text.count("\n") != len(pairs) - 1 or text.count("\r") != len(pairs) - 1:
        text = "\r\n".join([f"{name}: {_BREAKS.sub(' ', value)}" for name, value in pairs])
    return text + "\r\n"


def to_headers(envelope: Envelope) -> dict[str, str]:
    """`header_pairs` by name."""
    return dict(header_pairs(envelope))


def from_headers(headers: Mapping[str, str]) -> Envelope:
    """The envelope that `to_headers` wrote. Raises ValueError naming what is missing or malformed."""
    return _envelope(tuple(map(headers.get, _NAMES)))


def from_header_text(text: str) -> Envelope | None:
    """What `from_headers` says of headers that begin with what `header_text` wrote, in less than half the time.

    None for lines that stand otherwise, which proves nothing. Raises ValueError as `from_headers` does.
    """
    found = _WRITTEN.match(text)
    return None if found is None else _envelope(found.groups())


def _envelope(values: Sequence[str | None]) -> Envelope:
    """Of the values of `_NAMES`."""
    (
        causation,
        clearance,
        correlation,
        deadline,
        hash_,
        id_,
        idempotency_key,
        label,
        prev,
        principal,
        priority,
        reaction,
        reply_to,
        response_required,
        source,
        target,
        time,
        type_,
        traceparent,
    ) = values
    if id_ is None or type_ is None or time is None or correlation is None or principal is None or source is None:
        missing = [name for name in _NEEDED if values[_NAMES.index(name)] is None]
        raise ValueError(f"missing headers: {', '.join(missing)}")
    try:
        return Envelope(
            id=id_,
            type=type_,
            time=datetime.fromisoformat(time),
            correlation=correlation,
            principal=principal,
            source=_DOMAINS[source],
            causation=causation,
            reaction=reaction,
            target=_DOMAINS[target] if target else None,
            clearance=_CLEARANCES[clearance] if clearance is not None else Clearance.PUBLIC,
            label=_CLEARANCES[label] if label is not None else Clearance.PUBLIC,
            priority=int(priority) if priority is not None else PRIORITY_DEFAULT,
            response_required=response_required == "true",
            reply_to=reply_to,
            deadline=datetime.fromisoformat(deadline) if deadline else None,
            idempotency_key=idempotency_key,
            traceparent=traceparent,
            prev=prev,
            hash=hash_,
        )
    except KeyError as error:
        raise ValueError(f"unknown domain or clearance {error}") from None


@lru_cache(maxsize=8)  # sealed, sent and shown: the same moment three times in a row
def _text(moment: datetime) -> str:
    return (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).isoformat(timespec="microseconds")
