"""Dead letters: how one is written, what becomes of one that is there already, which ones a filter means."""

import hashlib
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Clearance
from contracts.envelope import from_headers
from contracts.ids import keyed_id
from contracts.kernel import DeadLetter, Resolve, Resume, Treatment
from contracts.letters import DeadLetterView, LetterFilter
from runtime.ports import Delivery
from runtime.publishers import MESSAGE_ID_HEADER, outside_id

STACK_CHARS_MAX = 8_000
REASON_CHARS_MAX = 1_000
BODY_BYTES_MAX = 4 << 20  # as JSON a third more
LISTED_BODY_BYTES_MAX = 16 << 10  # larger bodies are left out of lists
HISTORY_MAX = 50

_RESUMING: dict[str, type[Resolve | Resume]] = {tag(Resolve): Resolve, tag(Resume): Resume}


class _Outside(Struct):
    """What of a body from outside says how confidential it is."""

    type: str = ""
    confidentiality: Clearance | None = None


def letter_of(delivery: Delivery, reason: str, attempts: int, stack: str) -> DeadLetter:
    """The letter of a delivery that is given up. That of what ran a reaction on is the reaction's own."""
    body = delivery.body[:BODY_BYTES_MAX]
    type_, label, identity = _known_of(delivery)
    letter = DeadLetter(
        id=_letter_id(delivery.subject, identity),
        subject=delivery.subject,
        sequence=delivery.sequence,
        reason=_clean(reason[:REASON_CHARS_MAX]),
        attempts=attempts,
        time=datetime.now(UTC).isoformat(),
        time_ns=delivery.time_ns,
        type=type_,
        label=label,
        reaction=identity if subjects.lane_of(delivery.subject) == "log" else None,
        stack=_clean(stack[-STACK_CHARS_MAX:]),
        headers={
            name: value
            for name, value in delivery.headers.items()
            if not name.startswith("Nats-") or name == MESSAGE_ID_HEADER
        },
        body=body,
        digest=hashlib.sha256(delivery.body).hexdigest(),
        whole=len(body) == len(delivery.body),
    )
    return _as_reaction(letter)


def merged(letter: DeadLetter, known: DeadLetter | None) -> DeadLetter | None:
    """What to keep when a letter is put where `known` is; None: nothing changes, this burial is known.

    A reaction always fails at the same place: while its letter is redriven, `time_ns` tells what was sent since from a repeat.
    """
    if known is None:
        return letter
    same = (known.subject, known.sequence) == (letter.subject, letter.sequence)
    if same and known.ended is not None and known.ended.how == "dropped":
        return None
    if same and known.ended is None:
        redriven = bool(known.history) and known.history[-1].how == "redriven"
        if not redriven or known.time_ns == letter.time_ns:
            return None
    return msgspec.structs.replace(letter, burials=known.burials + 1, history=known.history)


def noted(letter: DeadLetter, treatment: Treatment) -> DeadLetter:
    """The letter, still open, with what somebody began to do to it."""
    return msgspec.structs.replace(letter, history=(*letter.history, treatment)[-HISTORY_MAX:])


def ended(letter: DeadLetter, treatment: Treatment) -> DeadLetter:
    """What is kept of a letter that somebody ended: who, when, how, and the digest of its body."""
    history = letter.history if treatment in letter.history else (*letter.history, treatment)[-HISTORY_MAX:]
    return msgspec.structs.replace(letter, stack="", headers={}, body=b"", history=history, ended=treatment)


def listed(letter: DeadLetter) -> DeadLetter:
    """The letter as lists have it: without a large body."""
    return letter if len(letter.body) <= LISTED_BODY_BYTES_MAX else msgspec.structs.replace(letter, body=b"")


def matches(wanted: LetterFilter, letter: DeadLetter) -> bool:
    """Whether the letter is one of those."""
    domain, lane, kind, _ = parts(letter)
    return (
        letter.ended is None
        and (wanted.domain is None or wanted.domain.value == domain)
        and wanted.lane in (None, lane)
        and wanted.kind in (None, kind)
        and wanted.type in (None, letter.type)
        and (wanted.reason is None or wanted.reason.casefold() in letter.reason.casefold())
        and (wanted.since is None or wanted.since <= datetime.fromisoformat(letter.time))
        and (wanted.until is None or datetime.fromisoformat(letter.time) <= wanted.until)
    )


def queue_of(lane: str | None) -> str | None:
    """The queue that a lane belongs to: as its letters' subjects have it."""
    return None if lane is None else "reactor" if lane == "log" else "inbox"


def parts(letter: DeadLetter) -> tuple[str, str, str, str]:
    """Domain, lane, kind and id of the actor it was for; empty where its subject is none of ours."""
    tokens = [*letter.subject.split("."), "", "", "", "", ""]
    return tokens[0], tokens[1], tokens[3], tokens[4]


def view_of(letter: DeadLetter, clearance: Clearance) -> DeadLetterView:
    """The letter as a reader of that clearance may see it."""
    domain, lane, kind, actor = parts(letter)
    view = DeadLetterView(
        id=letter.id,
        domain=domain,
        lane=lane,
        kind=kind,
        actor=actor,
        type=letter.type,
        time=letter.time,
        attempts=letter.attempts,
        burials=letter.burials,
        label=letter.label,
        digest=letter.digest,
        subject=letter.subject,
        sequence=letter.sequence,
        history=letter.history,
        ended=letter.ended,
        whole=letter.whole,
    )
    if letter.label > clearance:
        return msgspec.structs.replace(view, withheld=True, digest="")  # Of a short body a digest can be guessed.
    body, text = _shown(letter.body)
    return msgspec.structs.replace(
        view, reason=letter.reason, stack=letter.stack, headers=letter.headers, body=body, text=text
    )


def _shown(body: bytes) -> tuple[msgspec.Raw | None, str | None]:
    """As JSON, or as text where it is none."""
    if not body:
        return None, None
    try:
        return msgspec.Raw(msgspec.json.encode(msgspec.json.decode(body))), None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None, body.decode(errors="replace")


def _known_of(delivery: Delivery) -> tuple[str, Clearance, str]:
    """Type, label and identity. What cannot be read may say anything: only the highest clearance sees it."""
    if subjects.lane_of(delivery.subject) == "pub":
        try:
            outside = msgspec.json.decode(delivery.body, type=_Outside)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            outside = _Outside(confidentiality=Clearance.TOP_SECRET)
        return _clean(outside.type[:128]), outside.confidentiality or Clearance.INTERNAL, outside_id(delivery)
    try:
        envelope = from_headers(delivery.headers)
    except (ValueError, KeyError):
        return "", Clearance.TOP_SECRET, str(delivery.sequence)
    return envelope.type, max(envelope.label, envelope.clearance), envelope.id


def _letter_id(subject: str, identity: str) -> str:
    """The same whichever lane of the inbox the message came through."""
    domain, lane, *actor = [*subject.split("."), "", ""]
    return keyed_id("letter", domain, queue_of(lane) or "", *actor, identity)


def _as_reaction(letter: DeadLetter) -> DeadLetter:
    """The reaction that a Resolve or Resume did not bring to its end; any other letter as it is."""
    kind = _RESUMING.get(letter.type)
    if kind is None or subjects.lane_of(letter.subject) != "in":
        return letter
    try:
        actor = subjects.parse(letter.subject).actor
        resume = msgspec.json.decode(letter.body, type=kind)
    except (ValueError, msgspec.MsgspecError):
        return letter
    subject = subjects.log(actor)
    return msgspec.structs.replace(
        letter,
        id=_letter_id(subject, resume.reaction),
        subject=subject,
        sequence=resume.sequence,
        reaction=resume.reaction,
    )


def _clean(text: str) -> str:
    return text.encode(errors="replace").decode()
