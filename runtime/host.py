"""Host: load the actor, decide, append with compare-and-set; decide again when somebody else was first."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Event, Message, Record, from_headers
from contracts.facts import FACT_DOMAINS, Fact
from contracts.ids import derived_id, keyed_id, timed_id
from contracts.kernel import EffectRecorded, Refused, Resolve, Unchanged
from contracts.subjects import ActorRef, Address
from runtime.actor import AnyActor
from runtime.chain import GENESIS, seal
from runtime.errors import ConflictError, MalformedError, Rejected, UnavailableError
from runtime.limits import Limits
from runtime.live import LiveSet
from runtime.ports import Delivery, EventLog, Snapshots
from runtime.telemetry import (
    CONFLICTS_TOTAL,
    EVENTS_TOTAL,
    HANDLE_SECONDS,
    MESSAGES_TOTAL,
    SPAN_HANDLE,
    Telemetry,
)

MESSAGE_ID_HEADER = "Nats-Msg-Id"
PUBLISHER = "publisher"
"""The principal of facts that programs outside publish."""


class Host:
    """Handles the messages of one domain's inbox. The caller hands it one message of an actor at a time.

    Compare-and-set on the actor's log is the only fence: a conflict or an unknown outcome drops what is in memory.
    `live` is what is in memory; started and stopped it also keeps snapshots, if there is where to.
    """

    def __init__(
        self,
        actors: Sequence[AnyActor],
        log: EventLog,
        clock: Callable[[], datetime],
        limits: Limits,
        telemetry: Telemetry,
        snapshots: Snapshots | None = None,
    ) -> None:
        self._actors = {actor.kind: actor for actor in actors}
        self._log = log
        self._clock = clock
        self._limits = limits
        self._telemetry = telemetry
        self.live = LiveSet(log, limits, snapshots, telemetry)

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
            if isinstance(message, Resolve):
                await self._resolve(address.actor, envelope, message)
            else:
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

    def _records(self, subject: str, prev: str, cause: Envelope, events: Sequence[Event]) -> list[Record]:
        records: list[Record] = []
        now = self._clock()
        for number, event in enumerate(events):
            label = getattr(event, "label", Clearance.PUBLIC)
            envelope = msgspec.structs.replace(
                cause,
                id=derived_id(cause.id, subject, number),
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

    async def _resolve(self, ref: ActorRef, envelope: Envelope, message: Resolve) -> None:
        """Journal the result of a waiting effect, unless it has one: a late or repeated answer changes nothing."""
        subject = subjects.run(ref, message.reaction)
        entry = EffectRecorded(
            effect=message.effect, name=message.name, arguments=message.arguments, result=message.result
        )
        for _ in range(self._limits.conflicts_max):
            sequence = 0
            for stored in await self._log.read(subject):
                sequence = stored.sequence
                if msgspec.json.decode(stored.record.body, type=EffectRecorded).effect == message.effect:
                    return
            journaled = msgspec.structs.replace(
                envelope,
                id=derived_id(message.reaction, "effect", message.effect),
                type=tag(EffectRecorded),
                time=self._clock(),
                causation=message.reaction,
                reaction=message.reaction,
                source=ref.domain,
                target=None,
            )
            try:
                await self._log.append(subject, [Record(journaled, msgspec.json.encode(entry))], expected=sequence)
            except ConflictError:
                continue
            return
        raise ConflictError(f"{subject} lost {self._limits.conflicts_max} races")


def _opened(actor: AnyActor, address: Address, delivery: Delivery) -> tuple[Envelope, Message]:
    """The envelope and message of a delivery. Raises MalformedError saying what is wrong with it."""
    message: Message
    try:
        if address.lane == "pub":
            message = actor.decode_message(delivery.body)
            envelope = _outside_envelope(address, delivery, message)
        else:
            envelope = from_headers(delivery.headers)
            resolves = envelope.type == tag(Resolve)
            message = (
                msgspec.json.decode(delivery.body, type=Resolve) if resolves else actor.decode_message(delivery.body)
            )
    except (msgspec.MsgspecError, ValueError) as error:
        raise MalformedError(str(error)) from error
    if isinstance(message, Fact) and FACT_DOMAINS[type(message)] != address.actor.domain:
        raise MalformedError(
            f"{tag(type(message))} is for {FACT_DOMAINS[type(message)].value}, not {address.actor.domain.value}"
        )
    return envelope, message


def _outside_envelope(address: Address, delivery: Delivery, message: Message) -> Envelope:
    """What is known of a fact published from outside; its headers are not trusted, but for the publisher's message id."""
    if not isinstance(message, Fact):
        raise MalformedError(f"{tag(type(message))} is not taken from outside")
    given = delivery.headers.get(MESSAGE_ID_HEADER)
    subject = delivery.subject
    label = message.confidentiality or Clearance.INTERNAL
    identity = keyed_id(subject, given) if given else timed_id(delivery.time_ns, subject, delivery.sequence)
    return Envelope(
        id=identity,
        type=tag(type(message)),
        time=datetime.fromtimestamp(delivery.time_ns / 1e9).astimezone(),
        correlation=identity,
        principal=PUBLISHER,
        clearance=label,
        label=label,
        source=Domain.SYSTEM,
        target=address.actor.domain,
    )
