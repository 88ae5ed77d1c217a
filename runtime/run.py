"""Run: one run of a reaction, which does effects at most once: each result stands in the journal before it is used.

A reaction runs again from the top after a crash, or when what it waited for has come; effects whose result stands in its
journal return that at once.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from contracts import subjects
from contracts.catalogue import tag
from contracts.chat import ChatReply
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Message, Record
from contracts.ids import derived_id
from contracts.kernel import EffectRecorded, Resolve
from contracts.model import NOTHING_USED, Reply
from contracts.subjects import ActorRef
from runtime.errors import NonDeterministicError, OutcomeError
from runtime.journal import CANCELLED_BECAUSE, Journal
from runtime.outside import Outside
from runtime.slots import Turn
from runtime.telemetry import EFFECT_SECONDS, EFFECTS_TOTAL, SPAN_EFFECT
from runtime.waiting import Wait, Waiting

T = TypeVar("T")
WAITS = frozenset({"approval", "approval claim", "ask", "patience", "sleep"})
"""Effects whose result comes from elsewhere, as a `Resolve`."""
UNSTOPPED = frozenset({"index", "remove"})
"""Effects that make the vector index follow the log: what a cancelled or late run has recorded stands there all the same."""
DEADLINE_PASSED = "the deadline of the request has passed"

_logger = logging.getLogger(__name__)


class Run:
    """The machinery behind `Effects`. `label` rises with everything that was read, `spent` with what models cost.

    `parked`: the effects for which `park` set timers, or may have.
    """

    def __init__(self, actor: ActorRef, cause: Envelope, sequence: int, outside: Outside, turn: Turn) -> None:
        self.label = cause.label
        self.spent = NOTHING_USED
        self.actor = actor
        self.cause = cause
        self.sequence = sequence
        self.outside = outside
        self.journal = Journal(outside.log, subjects.run(actor, cause.id), outside.limits)
        self.waiting = Waiting(turn, outside.limits.park_after_s)
        self.traceparent = cause.traceparent
        self.parked: set[int] = set()
        self._stays = False
        self._begun = 0
        self._told = 0
        self._lock = asyncio.Lock()
        self._scopes: set[asyncio.Timeout] = set()

    async def prepare(self, traceparent: str | None) -> None:
        """Load what earlier runs recorded; effects are traced under `traceparent`."""
        self.traceparent = traceparent or self.traceparent
        await self.journal.refresh()

    def finish(self) -> None:
        """Raises NonDeterministicError if the journal holds effects that this run did not come to."""
        beyond = [number for number in self.journal.entries if number >= self._begun]
        if beyond:
            raise NonDeterministicError(
                f"the journal of {self.journal.subject} holds effect {min(beyond)}, which the run never began"
            )

    def begin(self, name: str, arguments: object) -> tuple[int, str]:
        """The number of the next effect and the digest of its arguments."""
        number, self._begun = self._begun, self._begun + 1
        return number, hashlib.sha256(encoded(name, arguments)).hexdigest()

    def next_recorded(self) -> str:
        """The name under which the journal has the effect that begins next; empty: it has none."""
        found = self.journal.entries.get(self._begun)
        return found[0].name if found else ""

    def journaled(self, number: int, returns: type[T]) -> T:
        """The result of an effect that stands in the journal."""
        return msgspec.json.decode(self.journal.entries[number][0].result, type=returns)

    def recorded(self, number: int, name: str, digest: str, returns: type[T]) -> T:
        """The result in the journal. Raises OutcomeError for a failure, NonDeterministicError for another effect's entry."""
        entry, label = self.journal.entries[number]
        if (entry.name, entry.arguments) != (name, digest):
            raise NonDeterministicError(
                f"effect {number} of {self.journal.subject} was {entry.name!r} ({entry.arguments[:12]}), "
                f"now it is {name!r} ({digest[:12]})"
            )
        self.label = max(self.label, label)
        self.spent += entry.usage or NOTHING_USED
        if entry.error is not None:
            raise OutcomeError(entry.error, code=entry.code)
        return msgspec.json.decode(entry.result, type=returns)

    async def perform(
        self,
        name: str,
        arguments: object,
        returns: type[T],
        do: Callable[[str], Awaitable[T]],
        label: Callable[[T], Clearance] = lambda _: Clearance.PUBLIC,
        guard: str = "",
    ) -> T:
        """Do the effect unless the journal has it. `guard`: the dependency whose circuit breaker is around it."""
        return await self.perform_begun(self.begin(name, arguments), name, returns, do, label, guard)

    async def perform_begun(
        self,
        begun: tuple[int, str],
        name: str,
        returns: type[T],
        do: Callable[[str], Awaitable[T]],
        label: Callable[[T], Clearance] = lambda _: Clearance.PUBLIC,
        guard: str = "",
    ) -> T:
        """`perform` for an effect that has its number and digest already."""
        number, digest = begun
        if number in self.journal.entries:
            return self.recorded(number, name, digest, returns)
        telemetry, started = self.outside.telemetry, self.outside.clock()
        with (
            self.waiting.doing(),
            telemetry.span(
                f"{SPAN_EFFECT} {name}", parent=self.traceparent, attributes={"effect": name, "number": number}
            ) as span,
        ):
            try:
                async with AsyncExitStack() as around:
                    if name not in UNSTOPPED:
                        await around.enter_async_context(self._limited())
                    if guard:
                        await around.enter_async_context(self.outside.guards.call(guard))
                    result = await do(f"{self.cause.id}:{number}")
            except OutcomeError as error:
                span.fail(str(error))
                paid = error.usage if error.usage != NOTHING_USED else None
                failure = EffectRecorded(
                    effect=number,
                    name=name,
                    arguments=digest,
                    result=raw(None),
                    error=str(error),
                    usage=paid,
                    code=error.code,
                )
                await self.record(failure, span.traceparent)
                self.spent += error.usage
                raise
            self.label = max(self.label, label(result))
            paid = result.usage if isinstance(result, Reply | ChatReply) else None
            entry = EffectRecorded(effect=number, name=name, arguments=digest, result=raw(result), usage=paid)
            await self.record(entry, span.traceparent)
            self.spent += paid or NOTHING_USED
        telemetry.count(EFFECTS_TOTAL, effect=name)
        telemetry.observe(EFFECT_SECONDS, (self.outside.clock() - started).total_seconds(), effect=name)
        return msgspec.json.decode(entry.result, type=returns)

    async def record(self, entry: EffectRecorded, traceparent: str | None) -> None:
        """Append to the journal. Raises ConflictError when the effect was recorded by somebody else."""
        cause = self.cause
        envelope = msgspec.structs.replace(
            cause,
            id=derived_id(cause.id, "effect", entry.effect),
            type=tag(EffectRecorded),
            time=self.outside.clock(),
            causation=cause.id,
            reaction=cause.id,
            label=self.label,
            traceparent=traceparent,
            prev=None,
            hash=None,
        )
        async with self._lock:
            await self.journal.append(entry, envelope)

    async def until_recorded(
        self,
        until: datetime,
        otherwise: EffectRecorded,
        traceparent: str | None,
        *,
        unless: int | None = None,
        lasting: bool = False,
    ) -> None:
        """Return when the effect's result stands in the journal: what came from elsewhere, or at `until` `otherwise`.

        Or when that of effect `unless` does. `lasting`: at `until` nothing is recorded, unless the run was parked by then.
        """
        wait = Wait(until, otherwise, asyncio.Event())
        number = otherwise.effect
        # It does not wait before it has looked: it could be parked with its result in the journal, and nobody would tell it.
        pokes = -1
        while pokes != self.waiting.pokes:  # What came while it looked may not be in what it saw.
            pokes = self.waiting.pokes
            await self._look()
        with self.waiting.waiting(number, wait):
            while number not in self.journal.entries and unless not in self.journal.entries:
                if stopped := self.stopped():
                    await self.record(msgspec.structs.replace(otherwise, result=raw(None), error=stopped), traceparent)
                    break
                left = (until - self.outside.clock()).total_seconds()
                if left <= 0:
                    if not lasting:
                        await self.record(otherwise, traceparent)
                    break
                self.waiting.looked()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left, self.outside.limits.reply_recheck_s)):
                        await wait.news.wait()
                wait.news.clear()
                await self._look()
        await self.waiting.resumed()

    async def _look(self) -> None:
        """Take in what was written into the journal from elsewhere."""
        async with self._lock:
            await self.journal.refresh()

    def poke(self) -> None:
        """Something was written into the journal from elsewhere."""
        self.waiting.poke()

    def cancel(self, reason: str) -> None:
        """The effects under way and all to come fail with `reason`, so that the reaction comes to its end."""
        self.journal.cancelled = reason
        for scope in self._scopes:
            scope.reschedule(asyncio.get_running_loop().time())
        self.waiting.poke()

    async def park(self) -> bool:
        """See to it that what is waited for comes as a message, at the latest when its time is over. Raises UnavailableError.

        False: there may be no such timer (the actor has too many), so the reaction has to wait in memory.
        """
        for number, wait in list(self.waiting.waits.items()):
            message = Resolve(
                reaction=self.cause.id,
                sequence=self.sequence,
                effect=number,
                name=wait.otherwise.name,
                arguments=wait.otherwise.arguments,
                result=wait.otherwise.result,
            )
            identity = derived_id(self.cause.id, "timer", number)
            envelope = self.envelope(message, self.actor.domain, identity, self.traceparent)
            record = Record(envelope, msgspec.json.encode(message))
            self.parked.add(number)
            try:
                await self.outside.timers.set(self.actor, self._timer(number), record, wait.until)
            except OutcomeError as error:
                if not self._stays:
                    _logger.warning("reaction %s of %s waits in memory: %s", self.cause.id, self.actor, error)
                self._stays = True
                return False
        return True

    async def unpark(self) -> None:
        """Take back the timers of waits that are over; one that comes all the same changes nothing. Raises UnavailableError."""
        waited = {number for number, (entry, _) in self.journal.entries.items() if entry.name in WAITS}
        for number in sorted(waited | self.parked):
            await self.outside.timers.cancel(self.actor, self._timer(number))

    def envelope(self, message: Message, target: Domain, identity: str, traceparent: str | None) -> Envelope:
        """That of a message which this run sends."""
        cause = self.cause
        return Envelope(
            id=identity,
            type=tag(type(message)),
            time=self.outside.clock(),
            correlation=cause.correlation,
            causation=cause.id,
            principal=cause.principal,
            clearance=cause.clearance,
            label=self.label,
            source=self.actor.domain,
            target=target,
            priority=cause.priority,
            traceparent=traceparent,
        )

    async def send(self, message: Message, to: ActorRef) -> None:
        """Send a message whose id follows from the reaction: a repeat is harmless."""
        number, self._told = self._told, self._told + 1
        envelope = self.envelope(message, to.domain, derived_id(self.cause.id, "tell", number), self.traceparent)
        if to == self.actor:
            envelope = msgspec.structs.replace(envelope, reply_to=self.cause.reply_to, deadline=self.cause.deadline)
        record, subject = Record(envelope, msgspec.json.encode(message)), subjects.inbox(to)
        with self.waiting.doing():
            if not await self.outside.near(subject, record):
                await self.outside.queue.publish(subject, record)

    def stopped(self) -> str | None:
        """Why no effect may be begun any more; None: they may."""
        if self.journal.cancelled is not None:
            return f"{CANCELLED_BECAUSE}{self.journal.cancelled}"
        if self.cause.deadline is not None and self.outside.clock() >= self.cause.deadline:
            return DEADLINE_PASSED
        return None

    def _timer(self, number: int) -> str:
        return f"{self.cause.id}-{number}"

    @asynccontextmanager
    async def _limited(self) -> AsyncIterator[None]:
        """Around what is done outside: ended by cancellation and by the deadline, as an OutcomeError."""
        if stopped := self.stopped():
            raise OutcomeError(stopped)
        deadline = self.cause.deadline
        left = None if deadline is None else (deadline - self.outside.clock()) / timedelta(seconds=1)
        scope = asyncio.timeout(left)
        self._scopes.add(scope)
        try:
            async with scope:
                yield
        except TimeoutError:
            if scope.expired():
                raise OutcomeError(self.stopped() or DEADLINE_PASSED) from None
            raise
        finally:
            self._scopes.discard(scope)


def encoded(name: str, arguments: object) -> bytes:
    """An effect's name and arguments, always as the same bytes."""
    return msgspec.json.encode([name, arguments], order="deterministic")


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
