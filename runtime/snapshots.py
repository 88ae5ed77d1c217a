"""Snapshots: an actor as bytes, for the memory and for the broker, and the fingerprint that says which code may read them."""

import hashlib
import inspect
import logging
import secrets
import sys
from typing import Any

import msgspec
from msgspec import Struct

from contracts import stored, subjects, upcasting
from contracts.stored import StoredDecoder
from contracts.subjects import ActorRef
from runtime.actor import AnyActor
from runtime.chain import GENESIS
from runtime.handled import Handled

_log = logging.getLogger(__name__)


class Live:
    """An actor in memory: its state, where its log ends, and which messages it has handled.

    `fresh` counts its events since the last snapshot; `used` is the event loop's time of its last use.
    """

    __slots__ = ("fresh", "handled", "hash", "partition", "sequence", "state", "subject", "used")

    def __init__(self, ref: ActorRef, partition: int, state: object) -> None:
        self.partition = partition
        self.subject = subjects.log_in(ref, partition)
        self.state = state
        self.sequence = 0
        self.hash = GENESIS
        self.handled = Handled()
        self.fresh = 0
        self.used = 0.0


class Packed(Struct, frozen=True, array_like=True):
    """An actor as bytes. The state is JSON, as its events are: what they can say survives, such as a time's offset."""

    partition: int
    fresh: int
    sequence: int
    hash: bytes
    handled: list[bytes]
    state: bytes


class Head(Struct, frozen=True, array_like=True):
    """The beginning of `Packed`, read without the rest."""

    partition: int
    fresh: int


class Snapshot(Struct, frozen=True, array_like=True):
    """A packed actor with the fingerprint of the code that folded it."""

    fingerprint: bytes
    packed: bytes


_encode = msgspec.msgpack.Encoder().encode
_json = msgspec.json.Encoder().encode
_packed = msgspec.msgpack.Decoder(Packed)
_snapshot = msgspec.msgpack.Decoder(Snapshot)
_state_decoders: dict[type, StoredDecoder[Any]] = {}
_fingerprints: dict[tuple[str, type], bytes] = {}
head = msgspec.msgpack.Decoder(Head).decode


def _state_decoder(state: type) -> StoredDecoder[Any]:
    if state not in _state_decoders:
        _state_decoders[state] = StoredDecoder(state)
    return _state_decoders[state]


def pack(live: Live) -> bytes:
    """Raises TypeError or ValueError for a state or hash that cannot be written."""
    state, handled = _json(live.state), live.handled.buckets()
    packed = _encode(Packed(live.partition, live.fresh, live.sequence, bytes.fromhex(live.hash), handled, state))
    return bytes(memoryview(packed))  # A copy: msgspec leaves the room it did not need at the end, up to half of it.


def unpack(actor: AnyActor, ref: ActorRef, packed: bytes) -> Live:
    """The actor that was packed. Raises msgspec.MsgspecError for what `pack` did not write for this kind of state."""
    found = _packed.decode(packed)
    live = Live(ref, found.partition, _state_decoder(type(actor.initial)).decode(found.state))
    live.sequence, live.hash, live.fresh = found.sequence, found.hash.hex(), found.fresh
    live.handled = Handled(found.handled)
    return live


def seal_snapshot(actor: AnyActor, packed: bytes) -> bytes:
    return _encode(Snapshot(fingerprint(actor), packed))


def open_snapshot(actor: AnyActor, ref: ActorRef, snapshot: bytes) -> Live | None:
    """The actor in a snapshot; None when other code made it, or when it cannot be read."""
    try:
        found = _snapshot.decode(snapshot)
        if found.fingerprint != fingerprint(actor):
            return None
        live = unpack(actor, ref, found.packed)
    except msgspec.MsgspecError as error:
        _log.warning("snapshot of %s not readable: %s", ref, error)
        return None
    live.fresh = 0
    return live


def fingerprint(actor: AnyActor) -> bytes:
    """SHA-256 over what a state follows from: its kind and schema, and the code that folds events and reads them.

    That is the modules of the actor, of its events, and of the upcasters. Other code's snapshots are never used.
    """
    key = actor.kind, type(actor.initial)
    if key not in _fingerprints:
        modules = {actor.evolve.__module__, type(actor.initial).__module__, upcasting.__name__, stored.__name__}
        modules.update(event.__module__ for event in actor.events)
        _fingerprints[key] = _digest(*key, sorted(modules))
    return _fingerprints[key]


def _digest(kind: str, state: type, modules: list[str]) -> bytes:
    parts = [kind.encode(), msgspec.json.encode(msgspec.json.schema(state), order="sorted")]
    try:
        parts += [inspect.getsource(sys.modules[name]).encode() for name in modules]
    except (OSError, TypeError, KeyError) as error:
        _log.warning("snapshots of %s are not kept over restarts: its code cannot be read: %s", kind, error)
        parts.append(secrets.token_bytes(16))
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).digest()
