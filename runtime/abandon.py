"""What is given up is told to whoever waits for it: the actor whose reaction it was, or the effect of another domain."""

import logging
from collections.abc import Sequence

import msgspec

from contracts import subjects
from contracts.catalogue import tag
from contracts.collaboration import Outcome
from contracts.envelope import Envelope, Message, Record, from_headers
from contracts.ids import derived_id
from contracts.kernel import Resolve, Resume
from contracts.subjects import ActorRef, Address
from runtime.actor import AnyActor, Recorded
from runtime.asking import resolution
from runtime.errors import ConflictError, UnavailableError
from runtime.host import Host
from runtime.outside import Outside
from runtime.ports import Delivery
from runtime.resolving import DECODERS

_logger = logging.getLogger(__name__)

_RESUMING = frozenset({tag(Resolve), tag(Resume)})


class Abandoning:
    """Sends the last word on a message or reaction that goes to the dead letters. Repeats are harmless: its id is derived."""

    def __init__(self, actors: Sequence[AnyActor], outside: Outside, host: Host) -> None:
        self._actors = {actor.kind: actor for actor in actors}
        self._log = outside.log
        self._queue = outside.queue
        self._clock = outside.clock
        self._host = host

    async def message(self, delivery: Delivery, reason: str) -> None:
        """A message was given up: its actor's log says so, and an effect that waits for its answer fails.

        With what was to run a reaction on, the reaction is given up. Raises UnavailableError, ConflictError.
        """
        found = _read(delivery)
        if found is not None and found[0].lane == "in" and found[1].type in _RESUMING:
            await self._resumed(found[0].actor, found[1], delivery, reason)
            return
        try:
            await self._host.refuse(delivery, reason)
        except (UnavailableError, ConflictError):
            raise
        except Exception as error:  # its actor cannot be loaded: whoever waits elsewhere is told all the same
            _logger.error("the log of %s cannot say so: %r", delivery.subject, error, exc_info=error)
        if found is not None and found[1].reply_to:
            await self._answer(found[1], reason)

    async def reaction(self, delivery: Delivery, reason: str) -> None:
        """A reaction was given up: its actor is told, or the effect that waits for it. Raises UnavailableError."""
        found = _read(delivery)
        if found is not None:
            await self._reaction(found[0].actor, Record(found[1], delivery.body), reason)

    async def _resumed(self, ref: ActorRef, envelope: Envelope, delivery: Delivery, reason: str) -> None:
        try:
            message = DECODERS[envelope.type].decode(delivery.body)
        except msgspec.MsgspecError:
            return  # It names no reaction.
        if not isinstance(message, Resolve | Resume):
            return
        stored = await self._log.at(ref.domain, message.sequence)
        if stored is None and message.sequence <= await self._log.last(ref.domain):
            raise UnavailableError("log", f"it does not show {message.sequence} yet", 1)
        if stored is None or (stored.subject, stored.record.envelope.id) != (subjects.log(ref), message.reaction):
            return  # There is no such reaction.
        await self._reaction(ref, stored.record, reason)

    async def _reaction(self, ref: ActorRef, cause: Record, reason: str) -> None:
        actor, envelope = self._actors.get(ref.kind), cause.envelope
        if actor is None:
            return
        try:
            event = actor.decode_event(cause.body)
        except msgspec.MsgspecError:
            event = None
        message = actor.abandon(Recorded(ref, event, envelope), reason) if event and actor.abandon else None
        if message is not None:
            await self._send(envelope, message, ref)
        elif envelope.reply_to:
            await self._answer(envelope, reason)

    async def _answer(self, envelope: Envelope, reason: str) -> None:
        try:
            message, asker = resolution(envelope.reply_to or "", Outcome(status="failed", reason=reason))
        except ValueError:
            return  # Not an address that an effect wrote: nobody waits.
        await self._send(envelope, message, asker)

    async def _send(self, cause: Envelope, message: Message, to: ActorRef) -> None:
        envelope = msgspec.structs.replace(
            cause,
            id=derived_id(cause.id, "abandoned"),
            type=tag(type(message)),
            time=self._clock(),
            causation=cause.id,
            reaction=None,
            label=max(cause.label, cause.clearance),
            target=to.domain,
            prev=None,
            hash=None,
        )
        await self._queue.publish(subjects.inbox(to), Record(envelope, msgspec.json.encode(message)))


def _read(delivery: Delivery) -> tuple[Address, Envelope] | None:
    """Where a delivery was for and its envelope; None where they cannot be read (then nobody can be told)."""
    try:
        return subjects.parse(delivery.subject), from_headers(delivery.headers)
    except ValueError:
        return None
