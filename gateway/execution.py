"""From a command to its result: publish once, wait on the actor's log, say how it ended.

The message id is the run's correlation id and, with an `Idempotency-Key`, follows from the key: a repeat finds what the first
one caused and never causes it again.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from contracts import subjects
from contracts.catalogue import tag
from contracts.chat import Written
from contracts.domains import Clearance, Domain
from contracts.envelope import PRIORITY_DEFAULT, Envelope, Message, Record, Stored
from contracts.http import EventView, Pending
from contracts.ids import keyed_id
from contracts.kernel import FAILED, Refused
from contracts.subjects import ActorRef
from gateway.heads import KERNEL_TYPES
from gateway.identity import Principal
from gateway.problems import ProblemError, ValidationProblemError, refused
from gateway.services import Services
from gateway.views import event_view
from gateway.written import Early, Follower
from runtime.errors import UnavailableError
from runtime.ports import Watch

IDEMPOTENCY_KEY = "Idempotency-Key"
KEY_CHARS_MAX = 255
_REFUSED = tag(Refused)


@dataclass(frozen=True, kw_only=True)
class Command:
    """One message for one actor, with what its envelope says and which event types end the wait.

    `alternatives` are the actors that the same Idempotency-Key with another body would have reached; `anywhere`: that may have
    been any actor, as far as the read models know. `written`: what a model writes for the run is wanted while it writes.
    `status_path` is where the result will be found. Everything of this run is behind the sequence `after` of the actor's log.
    `projected`: read models show what it does, so the answer waits until they have it, and a GET after it sees it.
    `notes` are told to who waits.
    """

    actor: ActorRef
    message: Message
    label: Clearance
    status_path: str
    after: int = 0
    alternatives: tuple[ActorRef, ...] = ()
    anywhere: bool = False
    written: bool = False
    priority: int = PRIORITY_DEFAULT
    deadline: datetime | None = None
    projected: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One request to have a command done. `id` is the message's and the run's; `key` is set with an Idempotency-Key."""

    id: str
    principal: Principal
    key: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The event that ended a run, and the actor's records of the run. Not `whole`: a part of the answer, the rest follows."""

    ending: Stored
    records: Sequence[Stored]
    whole: bool = True


def message_id(principal: Principal, method: str, path: str, key: str) -> str:
    """The id of a request's message with an Idempotency-Key: always the same for the same asker, path and key."""
    return keyed_id(principal.username, method, path, key)


def checked_key(key: str | None) -> str | None:
    """The value of the Idempotency-Key header. Raises ValidationProblemError unless it is 1 to 255 visible ASCII characters."""
    if key is None:
        return None
    if not 1 <= len(key) <= KEY_CHARS_MAX or not all("!" <= character <= "~" for character in key):
        raise ValidationProblemError(IDEMPOTENCY_KEY, "must be 1 to 255 visible ASCII characters", status=400)
    return key


def bound_key(key: str | None, body: bytes) -> str | None:
    """The key together with what it was first used for: stored in the envelope, compared on a repeat."""
    return f"{key}:{hashlib.sha256(body).hexdigest()[:16]}" if key else None


class Execution:
    """One command under way. `begin`, then `wait` or `progress`."""

    def __init__(
        self,
        services: Services,
        command: Command,
        attempt: Attempt,
        ends: frozenset[str],
        parts: frozenset[str] = frozenset(),
    ) -> None:
        """`ends` are the types of events that end it, `parts` those whose answer is worth having before that."""
        self._services = services
        self._command = command
        self._attempt = attempt
        self._ends = ends
        self._parts = parts
        self._part: Ended | None = None
        self._subject = subjects.log(command.actor)
        self._last = command.after
        self._records: list[Stored] = []
        self._ended: Ended | None = None
        self._watch: Watch | None = None
        self._follower: Follower | None = None

    @property
    def command(self) -> Command:
        return self._command

    @property
    def domain(self) -> Domain:
        return self._command.actor.domain

    async def pending(self) -> Pending:
        """What is said of the run while it is not known how it ends, and whom it waits for, as far as that is known."""
        run, clearance = self._attempt.id, self._attempt.principal.clearance
        try:
            awaited = await self._services.reads.awaited([run], clearance=clearance)
        except UnavailableError:
            awaited = {}
        said = self._command
        return Pending(
            correlation_id=run, status_url=said.status_path, approvals=awaited.get(run, ()), notes=said.notes
        )

    async def begin(self) -> None:
        """Return when the command is stored durably or was before. Raises ProblemError when the key was used otherwise.

        Whatever becomes of it, `close` ends what was begun.
        """
        log = self._services.log
        if self._command.written:
            self._follower = self._services.written.follow(self.domain, self._attempt.id)
        if not self._attempt.key:
            # Nobody knows the id yet, so nothing of the run is in the log before the watch begins.
            self._watch = await log.watch(self._subject, after=self._last, from_now=True)
        else:
            await self._check_alternatives()
            self._take(await log.read(self._subject, after=self._last))
            self._watch = await log.watch(self._subject, after=self._last)
            if any(stored.record.envelope.causation == self._attempt.id for stored in self._records):
                return
        await self._services.queue.publish(subjects.inbox(self._command.actor), self._record())

    async def close(self) -> None:
        """Stop watching and listening; idempotent."""
        if self._follower is not None:
            self._follower.close()
        watch, self._watch = self._watch, None
        if watch is not None:
            await watch.close()

    async def wait(self, seconds: float) -> Ended | None:
        """How it ended, or the part that there is; None when `seconds` passed first.

        So it is when the log cannot be read now: it is accepted all the same. Raises ProblemError for a refusal.
        """
        until = time.monotonic() + seconds
        try:
            while (ended := self._ended or self._part) is None:
                remaining = until - time.monotonic()
                if remaining <= 0:
                    return None
                await self._more(remaining)
        except UnavailableError:
            return None
        return await self._settled(ended)

    async def accepted(self, seconds: float) -> None:
        """Return when the run has its first record and the read models have it, too, at the latest after `seconds`.

        Raises ProblemError for a refusal.
        """
        until = time.monotonic() + seconds
        try:
            while not self._records and (remaining := until - time.monotonic()) > 0:
                await self._more(remaining)
        except UnavailableError:
            return
        if self._ended is not None:
            _raise_refusal(self._ended)
        if self._records and (remaining := until - time.monotonic()) > 0:
            await self._services.watch.reached(self.domain, self._records[0].sequence, timeout_s=remaining)

    async def ended(self) -> Ended:
        """How it ended, or the part that came first, however long that takes.

        Raises ProblemError for a refusal, UnavailableError.
        """
        while (ended := self._ended or self._part) is None:
            await self._more(self._services.settings.progress_poll_s)
        return await self._settled(ended)

    async def written(self) -> AsyncGenerator[Written | Ended, None]:
        """What a model writes for the run in the actor's own reactions, and at last how it ended. Raises as `ended`."""
        follower = self._follower
        if follower is None:
            yield await self.ended()
            return
        early = Early()
        ending = asyncio.create_task(self.ended())
        ending.add_done_callback(lambda _: follower.wake())
        try:
            while not ending.done():
                announced = await follower.take()
                known = {stored.record.envelope.id for stored in self._records}
                for written in early.of(known, announced):
                    yield written
            yield await ending
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def progress(self, after: int) -> AsyncIterator[EventView | Ended]:
        """Every event of the run above `after` in the actor's log, and of other domains as the read model has them.

        A part of its answer comes as soon as there is one. The last item is how it ended; raises ProblemError for a refusal.
        """
        shown: set[tuple[Domain, int]] = set()
        settled: Ended | None = None
        parted = False
        while True:
            for view in await self._unseen(shown):
                shown.add((view.domain, view.sequence))
                if view.domain is not self.domain or view.sequence > after:
                    yield view
            if settled is not None:
                yield settled
                return
            if self._ended is not None:
                settled = await self._settled(self._ended)  # Once more round: by now the read models have it all.
                continue
            if self._part is not None and not parted:
                parted = True
                yield await self._settled(self._part)
                continue
            await self._more(self._services.settings.progress_poll_s)

    async def _unseen(self, shown: set[tuple[Domain, int]]) -> list[EventView]:
        clearance = self._attempt.principal.clearance
        views = [event_view(stored) for stored in self._records]
        try:
            views += await self._services.reads.run(self._attempt.id, clearance=clearance)
        except UnavailableError:
            views.sort(key=lambda view: view.time)  # Progress from the actor's own log is enough until they are back.
        fresh: dict[tuple[Domain, int], EventView] = {}
        for view in views:
            place = (view.domain, view.sequence)
            if place not in shown and view.label <= clearance:
                fresh.setdefault(place, view)
        return sorted(fresh.values(), key=lambda view: (view.time, view.domain, view.sequence))

    async def _settled(self, ended: Ended) -> Ended:
        _raise_refusal(ended)
        if self._command.projected:
            await self._services.watch.reached(
                self.domain, ended.ending.sequence, timeout_s=self._services.settings.projection_wait_s
            )
        return ended

    async def _more(self, timeout_s: float) -> None:
        """Take in what is stored next, or return after the time."""
        assert self._watch is not None  # noqa: S101 - `begin` comes first
        self._take(await self._watch.take(timeout_s))

    def _take(self, records: Sequence[Stored]) -> None:
        for stored in records:
            self._last = stored.sequence
            envelope = stored.record.envelope
            if envelope.correlation != self._attempt.id:
                continue
            if envelope.causation == self._attempt.id:
                self._check_key(envelope)
            if self._ended is not None and _given_up(self._ended.ending):
                self._ended = None  # It was redriven: that is how it ends.
            self._records.append(stored)
            if self._follower is not None:
                self._follower.wake()  # What was announced before may be of this record's reaction.
            ours = envelope.type in KERNEL_TYPES and envelope.causation == self._attempt.id
            if self._ended is None and (ours or envelope.type in self._ends):
                self._ended = Ended(ending=stored, records=self._records)
            elif envelope.type in self._parts:
                self._part = Ended(ending=stored, records=self._records, whole=False)

    async def _check_alternatives(self) -> None:
        if self._command.anywhere:
            target = self._command.actor
            for view in await self._services.reads.run(self._attempt.id, clearance=Clearance.TOP_SECRET):
                reached = ActorRef(view.domain, view.kind, view.actor)
                if view.causation == self._attempt.id and reached != target:
                    raise _key_reused()
        for actor in self._command.alternatives:
            for stored in await self._services.log.read(subjects.log(actor)):
                if stored.record.envelope.causation == self._attempt.id:
                    self._check_key(stored.record.envelope)

    def _check_key(self, envelope: Envelope) -> None:
        if self._attempt.key and envelope.idempotency_key != self._attempt.key:
            raise _key_reused()

    def _record(self) -> Record:
        command, attempt = self._command, self._attempt
        envelope = Envelope(
            id=attempt.id,
            type=tag(type(command.message)),
            time=self._services.clock(),
            correlation=attempt.id,
            principal=attempt.principal.username,
            source=Domain.SYSTEM,
            target=command.actor.domain,
            clearance=attempt.principal.clearance,
            label=command.label,
            priority=command.priority,
            response_required=True,
            deadline=command.deadline,
            idempotency_key=attempt.key,
            traceparent=attempt.traceparent,
        )
        return Record(envelope, msgspec.json.encode(command.message))


def _key_reused() -> ProblemError:
    return ProblemError(422, "key-reused", f"this {IDEMPOTENCY_KEY} was used for another request")


def _raise_refusal(ended: Ended) -> None:
    refusal = _refusal(ended.ending)
    if refusal is not None:
        raise refused(refusal.code, refusal.reason)


def _given_up(stored: Stored) -> bool:
    refusal = _refusal(stored)
    return refusal is not None and refusal.code == FAILED


def _refusal(stored: Stored) -> Refused | None:
    if stored.record.envelope.type != _REFUSED:
        return None
    return msgspec.json.decode(stored.record.body, type=Refused)
