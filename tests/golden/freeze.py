"""Freeze events and histories for ever: `python -m tests.golden.freeze` writes the files that do not exist yet.

A frozen file is what some version of this code wrote to a log. It is never edited: `manifest.json` holds its SHA-256, and a
test compares. For a new event type or kind of actor add a sample below and run this; for a new shape of an old one, too.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Event, Message, Record, to_headers
from contracts.ids import derived_id, timed_id
from contracts.kernel import Refused, Unchanged
from runtime.actor import AnyActor
from runtime.chain import GENESIS, seal
from runtime.errors import Rejected

FOLDER = Path(__file__).parent
MANIFEST = FOLDER / "manifest.json"
START = datetime(2026, 11, 21, 8, 0, 0, 1_500, tzinfo=UTC)


class FrozenRecord(Struct, frozen=True):
    """A record as the broker has it. The body is kept as text, byte for byte."""

    sequence: int
    headers: dict[str, str]
    body: str


class FrozenHistory(Struct, frozen=True):
    """A whole log of one actor, and the state it folds to, as JSON."""

    kind: str
    records: tuple[FrozenRecord, ...]
    state: msgspec.Raw


def history(actor: AnyActor, domain: Domain, messages: Sequence[Message | Event]) -> FrozenHistory:
    """What handling these messages records. An event among them is taken as recorded: nothing of today decides it any more."""
    state, prev, sequence = actor.initial, GENESIS, 0
    records: list[FrozenRecord] = []
    for number, message in enumerate(messages):
        cause = timed_id(int((START + timedelta(minutes=number)).timestamp()) * 10**9, actor.kind, number)
        events: Sequence[Event]
        if isinstance(message, Event):
            events = [message]
        else:
            try:
                events = actor.decide(state, message) or [Unchanged(message=cause)]
            except Rejected as refusal:
                events = [Refused(message=cause, code=refusal.code, reason=refusal.reason)]
        for place, event in enumerate(events):
            record = seal(_envelope(event, cause, number, place, domain), msgspec.json.encode(event), prev)
            prev, sequence = record.envelope.hash or GENESIS, sequence + 3
            records.append(_frozen(record, sequence))
            if not isinstance(event, Refused | Unchanged):
                state = actor.evolve(state, event)
    return FrozenHistory(actor.kind, tuple(records), msgspec.Raw(msgspec.json.encode(state, order="deterministic")))


def _envelope(event: Event, cause: str, number: int, place: int, domain: Domain) -> Envelope:
    by_domain = number % 2 == 1
    return Envelope(
        id=derived_id(cause, "golden", place),
        type=tag(type(event)),
        time=START + timedelta(minutes=number, microseconds=place),
        correlation=derived_id(cause, "run"),
        principal="Zoë",
        source=domain,
        causation=cause,
        reaction=derived_id(cause, "reaction") if by_domain else None,
        clearance=Clearance.RESTRICTED,
        label=getattr(event, "label", Clearance.INTERNAL),
        priority=5 if by_domain else 3,
        response_required=by_domain,
        reply_to="sophia.in.1.conversation.c1" if by_domain else None,
        deadline=START + timedelta(days=1) if by_domain else None,
        idempotency_key="the client's" if by_domain else None,
        traceparent=f"00-{derived_id(cause, 'run').replace('-', '')}-b7ad6b7169203331-01",
    )


def _frozen(record: Record, sequence: int) -> FrozenRecord:
    return FrozenRecord(sequence, to_headers(record.envelope), record.body.decode())


def frozen_files() -> Iterator[Path]:
    """Every frozen file."""
    for folder in ("events", "histories"):
        yield from sorted((FOLDER / folder).glob("*.json"))


def digests() -> dict[str, str]:
    return {
        path.relative_to(FOLDER).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in frozen_files()
    }


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_bytes(content)


def main() -> None:
    from tests.golden import added_samples, approval_samples, event_samples, samples

    for name, event in {**event_samples.EVENTS, **approval_samples.EVENTS}.items():
        _write(FOLDER / "events" / f"{name}.json", event if isinstance(event, bytes) else msgspec.json.encode(event))
    histories = {**samples.HISTORIES, **approval_samples.HISTORIES, **added_samples.HISTORIES}
    for name, (actor, domain, messages) in histories.items():
        content = msgspec.json.format(msgspec.json.encode(history(actor, domain, messages)), indent=1) + b"\n"
        _write(FOLDER / "histories" / f"{name}.json", content)
    known: dict[str, str] = msgspec.json.decode(MANIFEST.read_bytes()) if MANIFEST.exists() else {}
    whole = {**digests(), **known}
    MANIFEST.write_bytes(msgspec.json.format(msgspec.json.encode(whole, order="sorted"), indent=1) + b"\n")


if __name__ == "__main__":
    main()
