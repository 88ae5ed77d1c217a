"""The envelope every message and event travels in, and the two bases of their bodies."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from msgspec import Struct

from contracts.domains import Clearance, Domain

PRIORITY_DEFAULT = 3


class Message(Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """What arrives in an inbox: a request (`Ask`) or a fact from outside (`DealClosed`). Tags are explicit and stable."""


class Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What an actor recorded about itself, past tense; never changed after release."""


class Envelope(Struct, frozen=True, kw_only=True):
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


class Record(Struct, frozen=True):
    """An envelope with its body as stored: JSON of one tagged Struct."""

    envelope: Envelope
    body: bytes


class Stored(Struct, frozen=True):
    """A record with its place: the subject and the stream-wide sequence."""

    subject: str
    sequence: int
    record: Record


_BREAKS = re.compile(r"[\r\n]+")
_DOMAINS = {domain.value: domain for domain in Domain}
_CLEARANCES = {clearance.value: clearance for clearance in Clearance}
_NEEDED = ("Diarchy-Id", "Diarchy-Type", "Diarchy-Time", "Diarchy-Correlation", "Diarchy-Principal", "Diarchy-Source")


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
    get = headers.get
    target, deadline, priority = get("Diarchy-Target"), get("Diarchy-Deadline"), get("Diarchy-Priority")
    try:
        return Envelope(
            id=headers["Diarchy-Id"],
            type=headers["Diarchy-Type"],
            time=datetime.fromisoformat(headers["Diarchy-Time"]),
            correlation=headers["Diarchy-Correlation"],
            principal=headers["Diarchy-Principal"],
            source=_DOMAINS[headers["Diarchy-Source"]],
            causation=get("Diarchy-Causation"),
            reaction=get("Diarchy-Reaction"),
            target=_DOMAINS[target] if target else None,
            clearance=_CLEARANCES[get("Diarchy-Clearance", "public")],
            label=_CLEARANCES[get("Diarchy-Label", "public")],
            priority=int(priority) if priority is not None else PRIORITY_DEFAULT,
            response_required=get("Diarchy-Response-Required") == "true",
            reply_to=get("Diarchy-Reply-To"),
            deadline=datetime.fromisoformat(deadline) if deadline else None,
            idempotency_key=get("Diarchy-Idempotency-Key"),
            traceparent=get("traceparent"),
            prev=get("Diarchy-Prev"),
            hash=get("Diarchy-Hash"),
        )
    except KeyError as error:
        missing = [name for name in _NEEDED if name not in headers]
        if missing:
            raise ValueError(f"missing headers: {', '.join(missing)}") from None
        raise ValueError(f"unknown domain or clearance {error}") from None


@lru_cache(maxsize=8)  # sealed, sent and shown: the same moment three times in a row
def _text(moment: datetime) -> str:
    return (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).isoformat(timespec="microseconds")
