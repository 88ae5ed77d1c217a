"""Host: load the actor, decide, append with compare-and-set; decide again when somebody else was first."""

from collections.abc import Sequence

import msgspec

from contracts import subjects
from contracts.business import BusinessFact
from contracts.catalogue import tag
from contracts.domains import Clearance
from contracts.envelope import Envelope, Event, Message, Personal, Record, from_headers
from contracts.facts import FACT_DOMAINS, Fact
from contracts.ids import derived_id
from contracts.kernel import FAILED, Cancel, Refused, Resolve, Resume, Unchanged
from contracts.subjects import ActorRef, Address
from runtime.actor import AnyActor
from runtime.chain import GENESIS, seal
from runtime.errors import ConflictError, MalformedError, Rejected, UnavailableError
from runtime.live import LiveSet
from runtime.near import NearDelivery
from runtime.outside import Outside
from runtime.ports import Delivery
from runtime.publishers import outside_envelope
from runtime.reactor import Reactor
from runtime.resolving import DECODERS, Resolving
from runtime.slots import Slots
from runtime.telemetry import (
    CONFLICTS_TOTAL,
    EVENTS_TOTAL,
    HANDLE_SECONDS,
    MESSAGES_TOTAL,
    SPAN_HANDLE,
)

HANDLED_KINDS = 4  # kinds that may have all their handlers busy at the same time


class Host:
    """Handles the messages of one domain's inbox. The caller hands it one message of an actor at a time.

    Compare-and-set on the actor's log is the only fence: a conflict or an unknown outcome drops what is in memory.
    `live` is what is in memory; started and stopped it also keeps snapshots, if there is where to.
    """

    def __init__(self, actors: Sequence[AnyActor], outside: Outside, reactor: Reactor | None = None) -> None:
        """`reactor` runs the reactions that a message of the inbox continues; without one they are not run."""
        self._actors = {actor.kind: actor for actor in actors}
        self._log = outside.log
        self._clock = outside.clock
        self._limits = limits = outside.limits
        self._telemetry = outside.telemetry
        self.live = LiveSet(outside.log, limits, outside.snapshots, outside.telemetry)
        self._resolving = Resolving(outside.log, outside.clock, limits, reactor)
        self._slots = Slots(limits.handlers_max * HANDLED_KINDS, limits.handlers_max)

    async def handle(self, delivery: Delivery) -> None:
        """Handle one message to its end. Raises MalformedError, UnavailableError, ConflictError (after many lost races)."""
        address = self._address(delivery)
        actor = self._actors.get(address.actor.kind)
        if actor is None:
            raise MalformedError(f"domain {address.actor.domain.value} has no actor of kind {address.actor.kind!r}")
        envelope, message = _opened(actor, address, delivery)
        started = self._clock()
        with self._telemetry.span(
            f"{SPAN_HANDLE} {envelope.type}",
            parent=envelope.traceparent,
            run=envelope.correlation,
            attributes={"type": envelope.type, "actor": str(address.actor), "message": envelope.id},
        ) as span:
            envelope = msgspec.structs.replace(envelope, traceparent=span.traceparent)
            if isinstance(message, Resolve | Resume | Cancel):
                await self._resolving.handle(address.actor, envelope, message)
            else:
                async with self._slots.turn(actor.kind, envelope.priority):
                    await self._commit(actor, address.actor, envelope, message)
        self._telemetry.count(MESSAGES_TOTAL, kind=actor.kind, type=envelope.type)
        self._telemetry.observe(HANDLE_SECONDS, (self._clock() - started).total_seconds(), kind=actor.kind)

    def _address(self, delivery: Delivery) -> Address:
        try:
            return subjects.parse(delivery.subject)
        except ValueError as error:
            raise MalformedError(str(error)) from error

    async def _commit(self, actor: AnyActor, ref: ActorRef, envelope: Envelope, message: Message) -> None:
        for _ in range(self._limits.conflicts_max):
            live = await self.live.load(actor, ref)
            if envelope.id in live.handled:
                return
            events: Sequence[Event]
            try:
                events = actor.decide(live.state, message)
                state = live.state
                for event in events:
                    state = actor.evolve(state, event)
            except Rejected as refusal:
                events, state = [Refused(message=envelope.id, code=refusal.code, reason=refusal.reason)], live.state
            if not events:
                events = [Unchanged(message=envelope.id)]
            records = self._records(live.subject, live.hash, envelope, events)
            try:
                sequence = await self._log.append(live.subject, records, expected=live.sequence)
            except ConflictError:
                self.live.drop(ref)
                self._telemetry.count(CONFLICTS_TOTAL, kind=actor.kind)
                continue
            except UnavailableError:
                self.live.drop(ref)
                raise
            live.state, live.sequence, live.hash = state, sequence, records[-1].envelope.hash or GENESIS
            live.handled.add(envelope.id)
            live.fresh += len(records)
            self.live.keep(actor, ref, live)
            for record in records:
                self._telemetry.count(EVENTS_TOTAL, kind=actor.kind, type=record.envelope.type)
            return
        raise ConflictError(f"{ref} lost {self._limits.conflicts_max} races for message {envelope.id}")

    def _records(
        self, subject: str, prev: str, cause: Envelope, events: Sequence[Event], mark: str | None = None
    ) -> list[Record]:
        """The events as they will stand in the log. With a `mark` their ids are not those that the message leads to otherwise."""
        marks = () if mark is None else (mark,)
        records: list[Record] = []
        now = self._clock()
        for number, event in enumerate(events):
            label = getattr(event, "label", Clearance.PUBLIC)
            envelope = msgspec.structs.replace(
                cause,
                id=derived_id(cause.id, subject, *marks, number),
                type=tag(type(event)),
                time=now,
                causation=cause.id,
                reaction=cause.causation,
                label=max(cause.label, label),
                source=cause.target or cause.source,
                target=None,
            )
            records.append(seal(envelope, msgspec.json.encode(event), prev))
            prev = records[-1].envelope.hash or GENESIS
        return records

    def forget(self, partition: int) -> None:
        """Drop what is in memory of a partition's actors: others write to them, or did."""
        self.live.forget([partition])

    async def refuse(self, delivery: Delivery, reason: str) -> None:
        """A message was given up: record that, so that whoever waits is told. It is not handled: redriven it still acts.

        Raises UnavailableError, ConflictError (after many lost races).
        """
        address = self._address(delivery)
        actor = self._actors.get(address.actor.kind)
        if actor is None:
            return
        try:
            envelope, message = _opened(actor, address, delivery)
        except MalformedError:
            return  # Nobody who could read the answer has sent that.
        if isinstance(message, Resolve | Resume | Cancel):
            return
        for _ in range(self._limits.conflicts_max):
            live = await self.live.load(actor, address.actor)
            if envelope.id in live.handled:
                return
            refusal = Refused(message=envelope.id, code=FAILED, reason=reason)
            records = self._records(live.subject, live.hash, envelope, [refusal], f"given up {live.sequence}")
            try:
                await self._log.append(live.subject, records, expected=live.sequence)
            except ConflictError:
                continue
            finally:
                self.live.drop(address.actor)
            return
        raise ConflictError(f"{address.actor} lost {self._limits.conflicts_max} races")


def _opened(actor: AnyActor, address: Address, delivery: Delivery) -> tuple[Envelope, Message]:
    """The envelope and message of a delivery. Raises MalformedError saying what is wrong with it."""
    message: Message
    try:
        if address.lane == "pub":
            message = actor.decode_message(delivery.body)
            envelope = outside_envelope(delivery, message, address.actor.domain)
        else:
            envelope = (
                delivery.record.envelope if isinstance(delivery, NearDelivery) else from_headers(delivery.headers)
            )
            decoder = DECODERS.get(envelope.type)
            message = decoder.decode(delivery.body) if decoder else actor.decode_message(delivery.body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise MalformedError(str(error)) from error
    if isinstance(message, Fact | BusinessFact) and FACT_DOMAINS[type(message)] not in (
        address.actor.domain,
        envelope.source,
    ):
        raise MalformedError(
            f"{tag(type(message))} is for {FACT_DOMAINS[type(message)].value}, not {address.actor.domain.value}"
        )
    if isinstance(message, Personal) and message.by != envelope.principal:
        raise MalformedError(f"{tag(type(message))} of {message.by!r} was sent for {envelope.principal!r}")
    return envelope, message
