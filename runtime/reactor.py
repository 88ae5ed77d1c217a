"""Reactor: runs an actor's `react` for the events it reacts to, over and over until it comes to its end."""

from collections.abc import Sequence
from time import perf_counter

import msgspec

from contracts import subjects
from contracts.envelope import from_headers
from runtime.actor import AnyActor, Recorded
from runtime.effects import Effects, Outside
from runtime.errors import MalformedError
from runtime.ports import Delivery
from runtime.telemetry import REACTION_SECONDS, REACTIONS_TOTAL, RUNNING_REACTIONS, SPAN_REACTION


class Reactor:
    """Handles the events of one domain's log as its durable consumer hands them out, at least once each."""

    def __init__(self, actors: Sequence[AnyActor], outside: Outside) -> None:
        self._actors = {actor.kind: actor for actor in actors}
        self._outside = outside
        self._running = 0

    async def handle(self, delivery: Delivery) -> None:
        """Run the reaction to one event. Raises NonDeterministicError, MalformedError, or whatever `react` raises."""
        try:
            address = subjects.parse(delivery.subject)
            envelope = from_headers(delivery.headers)
        except ValueError as error:
            raise MalformedError(str(error)) from error
        actor = self._actors.get(address.actor.kind)
        if actor is None or actor.react is None or envelope.type not in actor.reacts_to:
            return
        try:
            event = actor.decode_event(delivery.body)
        except msgspec.MsgspecError as error:
            raise MalformedError(str(error)) from error
        telemetry, started = self._outside.telemetry, perf_counter()
        effects = Effects(address.actor, envelope, self._outside)
        self._count(1)
        try:
            with telemetry.span(
                f"{SPAN_REACTION} {envelope.type}",
                parent=envelope.traceparent,
                seed=envelope.id,
                attributes={"type": envelope.type, "actor": str(address.actor), "event": envelope.id},
            ) as span:
                await effects.prepare(span.traceparent)
                await actor.react(Recorded(address.actor, event, envelope), effects)
                effects.finish()
        finally:
            self._count(-1)
        telemetry.count(REACTIONS_TOTAL, kind=actor.kind, type=envelope.type)
        telemetry.observe(REACTION_SECONDS, perf_counter() - started, kind=actor.kind)

    def _count(self, change: int) -> None:
        self._running += change
        self._outside.telemetry.gauge(RUNNING_REACTIONS, self._running)
