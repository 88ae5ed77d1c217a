"""The messages and events every actor understands: they belong to the kernel, not to a kind."""

from typing import Literal

import msgspec
from msgspec import Struct

from contracts.domains import Clearance
from contracts.envelope import Event, Message
from contracts.model import Failure, Usage

FAILED = "failed"
"""The code of the refusal that is recorded for a message that was given up: redriven, it may still act."""


class Resolve(Message, frozen=True, kw_only=True, tag="runtime.resolve.v1"):
    """The result of a waiting effect: `effect` is its number within `reaction` (the id of the event that started it).

    `name` and `arguments` (a digest) are the effect's own, so that its journal entry is complete. `sequence` is the place of
    that event in its log: a reaction that waits no longer in any memory is run again from there.
    """

    reaction: str
    sequence: int
    effect: int
    name: str
    arguments: str
    result: msgspec.Raw


class Resume(Message, frozen=True, kw_only=True, tag="runtime.resume.v1"):
    """Run the reaction to the event at `sequence` of the actor's domain's log again: what its journal holds is not repeated."""

    reaction: str
    sequence: int


class Cancel(Message, frozen=True, kw_only=True, tag="runtime.cancel.v1"):
    """End the reactions of this actor that belong to the run `correlation`: the effect each waits for or does is its last."""

    correlation: str
    reason: str


class Refused(Event, frozen=True, kw_only=True, tag="runtime.refused.v1"):
    """A message was refused; nothing else changed. `code` says what kind of refusal, `reason` names the cause."""

    message: str
    code: str
    reason: str


class Unchanged(Event, frozen=True, kw_only=True, tag="runtime.unchanged.v1"):
    """A message was taken and changed nothing. Recorded, so that it can never act later and whoever waits for it is told."""

    message: str


class EffectRecorded(Event, frozen=True, kw_only=True, tag="runtime.effect.v1"):
    """The journal entry of one effect: its number within the reaction, name, SHA-256 of its arguments, and result.

    `error` is set instead of a result where the effect ended in an outcome that a retry cannot change. `usage` is what the
    calls of models that it made have cost, be their answers of use or not; None: it made none. `code` says what kind of error.
    """

    effect: int
    name: str
    arguments: str
    result: msgspec.Raw
    error: str | None = None
    usage: Usage | None = None
    code: Failure | None = None


class Treatment(Struct, frozen=True, kw_only=True):
    """What somebody did with a dead letter, and when (UTC, ISO 8601)."""

    how: Literal["redriven", "dropped"]
    by: str
    time: str


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A message, or the reaction to an event, that could not be handled: where it came from, why, how often it was tried.

    `id` follows from the message: one that is redriven and fails again is the same letter again, with `burials` counted.
    `reaction` is the event's id where a reaction failed; `sequence` is its place in the log then. `time_ns` is when the message
    was stored. `whole` is False where the body was cut. Once `ended`, stack, headers and body are gone; the rest is the proof.
    """

    id: str
    subject: str
    sequence: int
    reason: str
    attempts: int
    time: str
    time_ns: int = 0
    type: str = ""
    label: Clearance = Clearance.TOP_SECRET
    reaction: str | None = None
    stack: str = ""
    headers: dict[str, str] = {}
    body: bytes = b""
    digest: str = ""
    whole: bool = True
    burials: int = 1
    history: tuple[Treatment, ...] = ()
    ended: Treatment | None = None
