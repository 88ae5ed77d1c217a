"""Resolving: the messages that are for a reaction of an actor, not for the actor: an answer, a second run, an end."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from contracts import subjects
from contracts.catalogue import tag
from contracts.envelope import Envelope, Record, Stored
from contracts.ids import derived_id
from contracts.kernel import Cancel, EffectRecorded, Resolve, Resume
from contracts.subjects import ActorRef
from runtime.errors import ConflictError, UnavailableError
from runtime.journal import CANCELLED
from runtime.limits import Limits
from runtime.ports import EventLog
from runtime.reactor import Reactor
from runtime.run import raw

ForReactions = Resolve | Resume | Cancel
DECODERS = {tag(kind): msgspec.json.Decoder(kind) for kind in (Resolve, Resume, Cancel)}


class Resolving:
    """Writes into journals and runs reactions on. A message is handled when the run that it led to has ended or waits again."""

    def __init__(
        self,
        log: EventLog,
        clock: Callable[[], datetime],
        limits: Limits,
        reactor: Reactor | None,
    ) -> None:
        self._log = log
        self._clock = clock
        self._limits = limits
        self._reactor = reactor

    async def handle(self, ref: ActorRef, envelope: Envelope, message: ForReactions) -> None:
        """Raises MalformedError, UnavailableError, ConflictError (after many lost races), or what the reaction raises."""
        match message:
            case Resolve():
                entry = EffectRecorded(
                    effect=message.effect, name=message.name, arguments=message.arguments, result=message.result
                )
                await self._journal(ref, message.reaction, envelope, entry)
                if self._reactor is not None:
                    await self._reactor.resume(ref, message.reaction, message.sequence)
            case Resume():
                if self._reactor is not None:
                    await self._reactor.resume(ref, message.reaction, message.sequence)
            case Cancel():
                await self._cancel(ref, envelope, message)

    async def _cancel(self, ref: ActorRef, envelope: Envelope, message: Cancel) -> None:
        """End the reactions to the run's events, each though another one fails. To run on one that has ended changes nothing.

        Raises what the first that failed raised; but UnavailableError before all others, for it leads to another try.
        """
        reactor = self._reactor
        if reactor is None:
            return
        causes = [
            stored
            for stored in await self._log.read(subjects.log(ref))
            if stored.record.envelope.correlation == message.correlation
            and reactor.reacts(ref.kind, stored.record.envelope.type)
        ]
        entry = EffectRecorded(effect=CANCELLED, name="cancelled", arguments="", result=raw(None), error=message.reason)
        for stored in causes:
            await self._journal(ref, stored.record.envelope.id, envelope, entry)
        failed: list[Exception] = []
        for stored in causes:
            reaction = stored.record.envelope.id
            if reactor.ended(reaction):
                continue
            try:
                await reactor.cancel(ref, reaction, stored.sequence, message.reason)
            except Exception as error:  # noqa: BLE001 - whatever a reaction raises must not keep the others going
                failed.append(error)
        if failed:
            raise min(failed, key=lambda error: not isinstance(error, UnavailableError))

    async def _journal(self, ref: ActorRef, reaction: str, envelope: Envelope, entry: EffectRecorded) -> None:
        """Record the entry unless its effect has one: a late or repeated answer changes nothing."""
        subject = subjects.run(ref, reaction)
        for _ in range(self._limits.conflicts_max):
            stored = await self._log.read(subject)
            if any(_effect(one) == entry.effect for one in stored):
                return
            journaled = msgspec.structs.replace(
                envelope,
                id=derived_id(reaction, "effect", entry.effect),
                type=tag(EffectRecorded),
                time=self._clock(),
                causation=reaction,
                reaction=reaction,
                source=ref.domain,
                target=None,
            )
            record = Record(journaled, msgspec.json.encode(entry))
            try:
                await self._log.append(subject, [record], expected=stored[-1].sequence if stored else 0)
            except ConflictError:
                continue
            return
        raise ConflictError(f"{subject} lost {self._limits.conflicts_max} races")


def _effect(stored: Stored) -> int:
    return msgspec.json.decode(stored.record.body, type=EffectRecorded).effect
