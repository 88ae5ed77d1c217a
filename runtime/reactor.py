"""Reactor: runs an actor's `react` for the events it reacts to, over and over until it comes to its end."""

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import msgspec

from contracts import subjects
from contracts.envelope import Envelope, from_headers
from contracts.subjects import ActorRef
from runtime.actor import AnyActor, React, Recorded
from runtime.effects import Effects
from runtime.errors import MalformedError, UnavailableError
from runtime.outside import Outside
from runtime.ports import Delivery
from runtime.run import Run
from runtime.slots import Slots
from runtime.telemetry import REACTION_SECONDS, REACTIONS_TOTAL, RUNNING_REACTIONS, SPAN_REACTION

TYPE_HEADER = "Diarchy-Type"
ENDED_MAX = 10_000  # reactions of which it is remembered that they have ended


class Cause:
    """An event as a reaction starts from it: where it stands, and its body."""

    __slots__ = ("actor", "body", "envelope", "sequence")

    def __init__(self, actor: ActorRef, sequence: int, envelope: Envelope, body: bytes) -> None:
        self.actor = actor
        self.sequence = sequence
        self.envelope = envelope
        self.body = body


class _Running:
    """A reaction under way here. `run` is its present run, None while it waits for its turn."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.cancelled: str | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Reactor:
    """The reactions of one domain's actors, each at most once at a time in this process.

    A reaction that does nothing but wait for `park_after_s` leaves the memory: what it waits for comes as a message, and
    `resume` runs it again from the top.
    """

    def __init__(self, actors: Sequence[AnyActor], outside: Outside) -> None:
        self._actors = {actor.kind: actor for actor in actors}
        self._outside = outside
        self._slots = Slots(outside.limits.reactions_max, outside.limits.reactions_kind_max)
        self._running: dict[str, _Running] = {}
        self._ended: dict[str, None] = {}  # the last ones, in the order in which they ended

    async def handle(self, delivery: Delivery) -> None:
        """Run the reaction to one event to its end or until it is parked.

        Raises NonDeterministicError, MalformedError, or whatever `react` raises.
        """
        try:
            address = subjects.parse(delivery.subject)
            envelope = from_headers(delivery.headers)
        except ValueError as error:
            raise MalformedError(str(error)) from error
        await self._react(Cause(address.actor, delivery.sequence, envelope, delivery.body), resumed=delivery.repeated)

    async def resume(self, ref: ActorRef, reaction: str, sequence: int) -> None:
        """Its journal has something new: tell the run that is under way, or run it again to its end. Raises as `handle`."""
        running = self._running.get(reaction)
        if running is not None:
            if running.run is not None:
                running.run.poke()
            return
        await self._react(await self._cause(ref, reaction, sequence), resumed=True)

    async def cancel(self, ref: ActorRef, reaction: str, sequence: int, reason: str) -> None:
        """Its journal says that it is cancelled: end what is under way, or run it again to its end. Raises as `handle`."""
        running = self._running.get(reaction)
        if running is None:
            await self._react(await self._cause(ref, reaction, sequence), resumed=True)
            return
        running.cancelled = reason
        if running.run is not None:
            running.run.cancel(reason)

    def ended(self, reaction: str) -> bool:
        """Whether it is known here to have come to its end: to run it again would change nothing. False: it may have, too."""
        return reaction in self._ended and reaction not in self._running

    def skips(self, delivery: Delivery) -> bool:
        """Whether nobody reacts to the event: told from its subject and header alone."""
        tokens = delivery.subject.split(".", 4)
        return len(tokens) == 5 and not self.reacts(tokens[3], delivery.headers.get(TYPE_HEADER, ""))

    def reacts(self, kind: str, type_name: str) -> bool:
        actor = self._actors.get(kind)
        return actor is not None and actor.react is not None and type_name in actor.reacts_to

    async def _cause(self, ref: ActorRef, reaction: str, sequence: int) -> Cause:
        log = self._outside.log
        stored = await log.at(ref.domain, sequence)
        if stored is None and sequence <= await log.last(ref.domain):
            # Nothing is ever deleted: a replica lags behind.
            raise UnavailableError("log", f"it does not show {sequence} yet", 1)
        if stored is None or stored.subject != subjects.log(ref) or stored.record.envelope.id != reaction:
            raise MalformedError(f"event {reaction} of {ref} does not stand at {sequence}")
        return Cause(ref, sequence, stored.record.envelope, stored.record.body)

    async def _react(self, cause: Cause, *, resumed: bool) -> None:
        envelope = cause.envelope
        if not self.reacts(cause.actor.kind, envelope.type):
            return
        actor = self._actors[cause.actor.kind]
        try:
            event = actor.decode_event(cause.body)
        except msgspec.MsgspecError as error:
            raise MalformedError(str(error)) from error
        under_way = self._running.get(envelope.id)
        if under_way is not None:
            await asyncio.shield(under_way.ended)
            return
        recorded = Recorded(cause.actor, event, envelope)
        running = self._running[envelope.id] = _Running()
        running.ended.add_done_callback(lambda ended: ended.exception())  # nobody need have waited
        self._gauge()
        try:
            while not await self._attempt(actor, recorded, cause, running, resumed=resumed):
                resumed = True
        except BaseException as error:
            stopped = UnavailableError("worker", "it was stopped", 1)
            running.ended.set_exception(error if isinstance(error, Exception) else stopped)
            raise
        else:
            running.ended.set_result(None)
        finally:
            del self._running[envelope.id]
            self._gauge()

    async def _attempt(
        self, actor: AnyActor, recorded: Recorded[Any], cause: Cause, running: _Running, *, resumed: bool
    ) -> bool:
        """One run; whether the reaction is over for now: ended, or parked without news."""
        envelope, telemetry, started = cause.envelope, self._outside.telemetry, perf_counter()
        async with self._slots.turn(actor.kind, envelope.priority) as turn:
            run = Run(cause.actor, envelope, cause.sequence, self._outside, turn)
            with telemetry.span(
                f"{SPAN_REACTION} {envelope.type}",
                parent=envelope.traceparent,
                seed=envelope.id,
                attributes={"type": envelope.type, "actor": str(cause.actor), "event": envelope.id},
            ) as span:
                await run.prepare(span.traceparent)
                running.run = run
                if running.cancelled is not None:
                    run.cancel(running.cancelled)
                react = actor.react
                if react is None:
                    return True
                try:
                    ended = await _until_parked(react, recorded, run)
                finally:
                    running.run = None
                if not ended:
                    span.note(parked=True)
                    return not run.waiting.news
                run.finish()
        if resumed or run.parked:
            await run.unpark()
        self._ended[envelope.id] = None
        if len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]
        telemetry.count(REACTIONS_TOTAL, kind=actor.kind, type=envelope.type)
        telemetry.observe(REACTION_SECONDS, perf_counter() - started, kind=actor.kind)
        return True

    def _gauge(self) -> None:
        self._outside.telemetry.gauge(RUNNING_REACTIONS, len(self._running))


async def _until_parked(react: React, recorded: Recorded[Any], run: Run) -> bool:
    """Run `react`; whether it came to its end. If not, it was parked: all that it waits for will come as messages."""
    task = asyncio.ensure_future(react(recorded, Effects(run)))
    try:
        while True:
            parkable = asyncio.ensure_future(run.waiting.parkable.wait())
            try:
                await asyncio.wait((task, parkable), return_when=asyncio.FIRST_COMPLETED)
            finally:
                parkable.cancel()
            if not task.done():
                parked = await run.park()
                if not parked:
                    run.waiting.stay()
                if not task.done() and not (parked and run.waiting.idle):
                    continue
            if task.done():
                await task
                return True
            return False
    finally:
        await run.waiting.end(task)
