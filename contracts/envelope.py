"""The envelope every message and event travels in, and the two bases of their bodies."""

from datetime import UTC, datetime

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


_HEADERS = {name: "Diarchy-" + name.replace("_", "-").title() for name in Envelope.__struct_fields__}
_HEADERS["traceparent"] = "traceparent"


def to_headers(envelope: Envelope) -> dict[str, str]:
    """The envelope as message headers; fields at None are left out."""
    headers: dict[str, str] = {}
    for name, header in _HEADERS.items():
        value = getattr(envelope, name)
        if value is None or value is False:
            continue
        if isinstance(value, datetime):
            value = value.astimezone(UTC).isoformat(timespec="microseconds")
        elif isinstance(value, Clearance | Domain):
            value = value.value
        headers[header] = "true" if value is True else str(value)
    return headers


def from_headers(headers: dict[str, str]) -> Envelope:
    """The envelope that `to_headers` wrote. Raises ValueError or KeyError naming what is missing or malformed."""
    get = headers.get

    def moment(name: str) -> datetime | None:
        text = get(_HEADERS[name])
        return datetime.fromisoformat(text) if text else None

    missing = [
        header
        for header in map(_HEADERS.__getitem__, ("id", "type", "time", "correlation", "principal", "source"))
        if header not in headers
    ]
    if missing:
        raise ValueError(f"missing headers: {', '.join(missing)}")
    target = get(_HEADERS["target"])
    return Envelope(
        id=headers[_HEADERS["id"]],
        type=headers[_HEADERS["type"]],
        time=datetime.fromisoformat(headers[_HEADERS["time"]]),
        correlation=headers[_HEADERS["correlation"]],
        principal=headers[_HEADERS["principal"]],
        source=Domain(headers[_HEADERS["source"]]),
        causation=get(_HEADERS["causation"]),
        reaction=get(_HEADERS["reaction"]),
        target=Domain(target) if target else None,
        clearance=Clearance(get(_HEADERS["clearance"], "public")),
        label=Clearance(get(_HEADERS["label"], "public")),
        priority=int(get(_HEADERS["priority"], PRIORITY_DEFAULT)),
        response_required=get(_HEADERS["response_required"]) == "true",
        reply_to=get(_HEADERS["reply_to"]),
        deadline=moment("deadline"),
        idempotency_key=get(_HEADERS["idempotency_key"]),
        traceparent=get("traceparent"),
        prev=get(_HEADERS["prev"]),
        hash=get(_HEADERS["hash"]),
    )
