"""The hash chain of an actor's log: every record carries the SHA-256 of itself and of the one before."""

import hashlib
from collections.abc import Iterable

import msgspec

from contracts.envelope import Envelope, Record, Stored, header_pairs

GENESIS = "0" * 64
"""What stands for the previous hash of an actor's first record."""


def seal(envelope: Envelope, body: bytes, prev: str) -> Record:
    """The record with `prev` and `hash` filled in: hash = SHA-256(prev, envelope with prev and without hash, body)."""
    linked = msgspec.structs.replace(envelope, prev=prev, hash=None)
    return Record(msgspec.structs.replace(linked, hash=_digest(linked, body, prev)), body)


def broken_at(records: Iterable[Stored]) -> int | None:
    """The sequence of the first record of one actor's log that does not follow from the one before; None: all do."""
    prev = GENESIS
    for stored in records:
        envelope = stored.record.envelope
        unsealed = msgspec.structs.replace(envelope, hash=None)
        if envelope.prev != prev or envelope.hash != _digest(unsealed, stored.record.body, prev):
            return stored.sequence
        prev = envelope.hash
    return None


def _digest(envelope: Envelope, body: bytes, prev: str) -> str:
    header = msgspec.json.encode(header_pairs(envelope))
    return hashlib.sha256(b"\0".join((prev.encode(), header, body))).hexdigest()
