"""Asking: one request of a reaction to another domain, and how long it is waited for.

The request waits in the other domain's inbox, which outlasts its workers: so it is sent though the domain is known to be down,
once, and is answered when it is back. An open circuit only says that nobody need be kept waiting for that.
"""

import contextlib
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from contracts import subjects
from contracts.collaboration import COLLABORATION, Collaborate, InTime, Outcome
from contracts.domains import Domain
from contracts.envelope import Record
from contracts.ids import derived_id
from contracts.kernel import EffectRecorded, Resolve
from contracts.subjects import ActorRef
from runtime.errors import ConflictError, OpenCircuitError
from runtime.run import Run, raw
from runtime.telemetry import SPAN_EFFECT, Attributes, SpanContext

ASK = "ask"
PATIENCE = "patience"


class Requesting:
    """One request under way: `within` sends it and waits for as long as a person should, `outcome` however long it takes."""

    def __init__(self, run: Run, domain: Domain, message: Collaborate) -> None:
        self._run = run
        self._outside = run.outside
        self._domain = domain
        self._message = message
        self._number, self._digest = run.begin(ASK, [domain, message.request])
        self._patience, self._patience_digest = run.begin(PATIENCE, self._number)

    async def within(self) -> InTime:
        """The outcome if the domain gives it in time. If not, `outcome` waits on.

        A domain that takes the request up is given the time that work takes; one that does not, or of which that is known, is
        not waited for. Raises OutcomeError once the run has ended.
        """
        run = self._run
        if self._patience not in run.journal.entries:
            with run.waiting.doing(), self._span(ASK) as span:
                late = await self._in_time(span.traceparent)
                if self._patience not in run.journal.entries:
                    with contextlib.suppress(ConflictError):  # What came meanwhile is in the journal now, and holds.
                        await run.record(self._entry(late or InTime(answered=True)), span.traceparent)
        found = run.recorded(self._patience, PATIENCE, self._patience_digest, InTime)
        if found.answered:
            return msgspec.structs.replace(found, outcome=await self.outcome())
        if found.outcome is not None:
            run.label = max(run.label, found.outcome.label)
        elif self._number not in run.journal.entries and found.why == self._not_taken():
            self._outside.guards.failed(dependency(self._domain), found.why, f"{run.cause.id}:{self._number}")
        return found

    async def outcome(self) -> Outcome:
        """The outcome; `expired` past the request's deadline, or when it was waited for as long as anything is."""
        run, limits = self._run, self._outside.limits
        if self._number not in run.journal.entries:
            with run.waiting.doing(), self._span(PATIENCE):
                latest = run.cause.time + timedelta(seconds=limits.ask_rest_s_max)
                until = min(self._message.request.deadline or latest, latest)
                await run.until_recorded(
                    until, expired(self._domain, until, self._number, self._digest), run.traceparent
                )
                outcome = run.recorded(self._number, ASK, self._digest, Outcome)
                if outcome.status != "expired":
                    self._outside.guards.succeeded(dependency(self._domain))
        outcome = run.recorded(self._number, ASK, self._digest, Outcome)
        run.label = max(run.label, outcome.label)
        run.spent += outcome.usage
        return outcome

    async def _in_time(self, traceparent: str | None) -> InTime | None:
        """Send the request unless it is known to be; None when its outcome stands in the journal, else why not."""
        run, guards, named = self._run, self._outside.guards, dependency(self._domain)
        if self._number in run.journal.entries:
            return None
        try:
            guards.admit(named)
        except OpenCircuitError as error:
            await self._send(traceparent)
            return InTime(why=str(error))
        try:
            await self._send(traceparent)
            late = await self._waited(traceparent)
        except BaseException:
            guards.released(named)
            raise
        if late is None:
            guards.succeeded(named)
        else:
            guards.released(named)  # `within` says what it was: it may be another run that finds out.
        return late

    async def _waited(self, traceparent: str | None) -> InTime | None:
        run, limits = self._run, self._outside.limits
        not_taken, until = InTime(why=self._not_taken()), self._until(limits.ask_taken_s_max)
        await run.until_recorded(until, self._entry(not_taken), traceparent, unless=self._number, lasting=True)
        if self._known():
            return None
        if not await self._outside.log.read(subjects.log(self._target())):
            return not_taken
        late = InTime(why=f"it took the request up, but has not answered within {limits.ask_work_s_max:g} s")
        until = self._until(limits.ask_work_s_max)
        await run.until_recorded(until, self._entry(late), traceparent, unless=self._number)
        return None if self._number in run.journal.entries else late

    def _until(self, seconds: float) -> datetime:
        """In so many seconds, at most half of those until the deadline: the other half is for the answer in part."""
        now, deadline = self._outside.clock(), self._message.request.deadline
        wait = timedelta(seconds=seconds)
        return now + (wait if deadline is None else max(timedelta(), min(wait, (deadline - now) / 2)))

    def _known(self) -> bool:
        return self._number in self._run.journal.entries or self._patience in self._run.journal.entries

    def _not_taken(self) -> str:
        return f"it has not taken the request up within {self._outside.limits.ask_taken_s_max:g} s"

    def _entry(self, found: InTime) -> EffectRecorded:
        return EffectRecorded(effect=self._patience, name=PATIENCE, arguments=self._patience_digest, result=raw(found))

    async def _send(self, traceparent: str | None) -> None:
        partly_to = address(self._run, self._patience, self._patience_digest)
        message = msgspec.structs.replace(self._message, partly_to=partly_to)
        await send(self._run, self._target(), message, (self._number, self._digest), traceparent)

    def _span(self, effect: str) -> SpanContext:
        attributes: Attributes = {"effect": effect, "number": self._number, "domain": self._domain.value}
        return self._outside.telemetry.span(
            f"{SPAN_EFFECT} {effect}", parent=self._run.traceparent, attributes=attributes
        )

    def _target(self) -> ActorRef:
        return ActorRef(self._domain, COLLABORATION, derived_id(self._run.cause.id, ASK, self._number))


async def send(
    run: Run, target: ActorRef, message: Collaborate, effect: tuple[int, str], traceparent: str | None
) -> None:
    """Send a request whose outcome is to become the effect (number, digest). Repeats are harmless; an ended run sends none."""
    if run.stopped() is not None:
        return  # The wait ends at once.
    envelope = msgspec.structs.replace(
        run.envelope(message, target.domain, target.id, traceparent),
        reply_to=address(run, *effect),
        response_required=True,
        deadline=message.request.deadline,
        priority=message.request.priority,
    )
    await run.outside.queue.publish(subjects.inbox(target), Record(envelope, msgspec.json.encode(message)))


def expired(domain: Domain, until: datetime, number: int, digest: str) -> EffectRecorded:
    outcome = Outcome(status="expired", reason=f"{domain.value} did not answer by {until}")
    return EffectRecorded(effect=number, name=ASK, arguments=digest, result=raw(outcome))


def address(run: Run, number: int, digest: str, name: str = "") -> str:
    """Where the result of a waiting effect goes, for `resolution`; its `name` where the result does not say that."""
    actor, named = run.actor, f"/{name}" if name else ""
    return f"{actor.domain.value}/{actor.kind}/{actor.id}/{run.cause.id}/{run.sequence}/{number}/{digest}{named}"


def resolution(reply_to: str, result: Struct) -> tuple[Resolve, ActorRef]:
    """The message that answers a waiting effect, and the actor that waits. Raises ValueError for what `address` did not write."""
    domain, kind, id_, reaction, sequence, number, digest, *name = reply_to.split("/")
    answer = Resolve(
        reaction=reaction,
        sequence=int(sequence),
        effect=int(number),
        name=name[0] if name else PATIENCE if isinstance(result, InTime) else ASK,
        arguments=digest,
        result=raw(result),
    )
    return answer, subjects.actor_ref(Domain(domain), kind, id_)


def dependency(domain: Domain) -> str:
    """The name of a domain's circuit."""
    return f"domain {domain.value}"
