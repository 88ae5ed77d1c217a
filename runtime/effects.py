"""Effects: everything a reaction does outside, journaled before its result is used.

A reaction runs again from the top after a crash; effects whose result stands in its journal return that at once. Effects
are numbered in the order they are begun: await them one after the other, or begin several at once with `asyncio.gather`
over effects only.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar, cast

import msgspec
from msgspec import Struct

from contracts import subjects
from contracts.catalogue import tag
from contracts.collaboration import COLLABORATION, Collaborate, Outcome, Request
from contracts.domains import Clearance, Domain, Partition
from contracts.envelope import Envelope, Message, Record
from contracts.ids import derived_id, new_id
from contracts.kernel import EffectRecorded, Resolve
from contracts.model import Prompt, Reply
from contracts.retrieval import Entry, Hit, Query
from contracts.subjects import ActorRef
from runtime.errors import ConflictError, NonDeterministicError, OutcomeError
from runtime.limits import Limits
from runtime.ports import Blobs, ChatModel, EventLog, Queue, Retrieval, Tool
from runtime.telemetry import EFFECT_SECONDS, EFFECTS_TOTAL, MODEL_TOKENS_TOTAL, SPAN_EFFECT, Telemetry

T = TypeVar("T")


class Outside(Struct, frozen=True, kw_only=True):
    """What reactions reach the world through."""

    log: EventLog
    queue: Queue
    retrieval: Retrieval
    model: ChatModel
    blobs: Blobs
    telemetry: Telemetry
    clock: Callable[[], datetime]
    tools: dict[str, Tool] = {}
    limits: Limits = Limits()


class Journal:
    """The recorded effects of one reaction, at one exact subject; compare-and-set keeps a second runner out."""

    def __init__(self, log: EventLog, subject: str, limits: Limits) -> None:
        self.subject = subject
        self._conflicts_max = limits.conflicts_max
        self.entries: dict[int, tuple[EffectRecorded, Clearance]] = {}
        self.sequence = 0
        self._log = log

    async def refresh(self) -> None:
        """Take in what was appended since."""
        for stored in await self._log.read(self.subject, after=self.sequence):
            entry = msgspec.json.decode(stored.record.body, type=EffectRecorded)
            self.entries[entry.effect] = (entry, stored.record.envelope.label)
            self.sequence = stored.sequence

    async def append(self, entry: EffectRecorded, envelope: Envelope) -> None:
        """Record one effect; other effects recorded meanwhile are taken in. Raises ConflictError if this one already is."""
        record = Record(envelope, msgspec.json.encode(entry))
        for _ in range(self._conflicts_max):
            if entry.effect in self.entries:
                break
            try:
                self.sequence = await self._log.append(self.subject, [record], expected=self.sequence)
            except ConflictError:
                await self.refresh()
            else:
                self.entries[entry.effect] = (entry, envelope.label)
                return
        raise ConflictError(f"effect {entry.effect} of {self.subject} was recorded by another run")


class Effects:
    """What a reaction may do. Reads are made under the asker's clearance; `label` rises with everything that was read."""

    def __init__(self, actor: ActorRef, cause: Envelope, outside: Outside) -> None:
        self.label = cause.label
        self._actor = actor
        self._cause = cause
        self._outside = outside
        self._journal = Journal(outside.log, subjects.run(actor, cause.id), outside.limits)
        self._begun = 0
        self._told = 0
        self._lock = asyncio.Lock()
        self._traceparent = cause.traceparent

    async def prepare(self, traceparent: str | None) -> None:
        """Load what earlier runs recorded; effects are traced under `traceparent`."""
        self._traceparent = traceparent or self._traceparent
        await self._journal.refresh()

    def finish(self) -> None:
        """Raises NonDeterministicError if the journal holds effects that this run did not come to."""
        beyond = [number for number in self._journal.entries if number >= self._begun]
        if beyond:
            raise NonDeterministicError(
                f"the journal of {self._journal.subject} holds effect {min(beyond)}, which the run never began"
            )

    async def now(self) -> datetime:
        return await self._perform("now", None, datetime, lambda _: _soon(self._outside.clock()))

    async def new_id(self) -> str:
        return await self._perform("new_id", None, str, lambda _: _soon(new_id()))

    async def search(
        self,
        partitions: tuple[Partition, ...],
        text: str,
        *,
        limit: int = 10,
        source: str | None = None,
        media_type: str | None = None,
        score_min: float = -1.0,
    ) -> list[Hit]:
        """The best entries under the asker's clearance, best first; none whose cosine to the text is below `score_min`."""

        def query(now: datetime) -> Query:
            return Query(
                partitions=partitions,
                text=text,
                clearance=self._cause.clearance,
                now=now,
                limit=limit,
                source=source,
                media_type=media_type,
            )

        async def search(_: str) -> list[Hit]:
            hits = await self._outside.retrieval.search(query(self._outside.clock()))
            return [hit for hit in hits if hit.score >= score_min]

        return await self._perform(
            "search",
            [query(_NO_TIME), score_min],
            list[Hit],
            search,
            lambda hits: max((hit.entry.label for hit in hits), default=Clearance.PUBLIC),
        )

    async def index(self, partition: Partition, entry: Entry) -> None:
        """Make an entry findable; one with the same id is replaced."""
        await self._perform(
            "index",
            [partition, entry],
            type(None),
            lambda _: self._outside.retrieval.index(partition, [entry]),
            lambda _: entry.label,
        )

    async def remove(self, partition: Partition, entry: str) -> None:
        """Forget an entry."""
        await self._perform(
            "remove", [partition, entry], type(None), lambda _: self._outside.retrieval.remove(partition, [entry])
        )

    async def chat(self, prompt: Prompt) -> Reply:
        """The model's answer; the prompt is kept as the blob its digest names. Raises OutcomeError for an unusable answer."""

        async def complete(key: str) -> Reply:
            await self._outside.blobs.put(_arguments("chat", prompt))
            async with asyncio.timeout(self._outside.limits.model_s_max):
                reply = await self._outside.model.complete(prompt, idempotency_key=key)
            telemetry = self._outside.telemetry
            telemetry.count(MODEL_TOKENS_TOTAL, reply.usage.input_tokens, model=reply.model, direction="input")
            telemetry.count(MODEL_TOKENS_TOTAL, reply.usage.output_tokens, model=reply.model, direction="output")
            return reply

        label = max((item.label for item in prompt.evidence), default=Clearance.PUBLIC)
        return await self._perform("chat", prompt, Reply, complete, lambda _: label)

    async def tool(self, name: str, arguments: Struct, returns: type[T]) -> T:
        """The result of a registered tool, run in a thread. Raises OutcomeError when its input is unusable."""
        tool = self._outside.tools[name]

        async def run(_: str) -> T:
            loop = asyncio.get_running_loop()

            def blob(digest: str) -> bytes:
                return asyncio.run_coroutine_threadsafe(self._outside.blobs.get(digest), loop).result()

            async with asyncio.timeout(self._outside.limits.tool_s_max):
                return cast("T", await asyncio.to_thread(tool.run, arguments, blob))

        return await self._perform(f"tool {name}", arguments, returns, run)

    async def ask(self, domain: Domain, request: Request) -> Outcome:
        """Ask another domain and wait for its typed outcome, however long; past `request.deadline` it is `expired`."""
        number, digest = self._begin("ask", [domain, request])
        if number in self._journal.entries:
            known = self._recorded(number, "ask", digest, Outcome)
            return self._rise(known, known.label)
        target = ActorRef(domain, COLLABORATION, derived_id(self._cause.id, "ask", number))
        actor = self._actor
        reply_to = f"{actor.domain.value}/{actor.kind}/{actor.id}/{self._cause.id}/{number}/{digest}"
        with self._outside.telemetry.span(
            f"{SPAN_EFFECT} ask",
            parent=self._traceparent,
            attributes={"effect": "ask", "number": number, "domain": domain.value},
        ) as span:
            message = Collaborate(asker=actor.domain, request=request)
            envelope = self._envelope(message, target.domain, target.id, span.traceparent)
            envelope = msgspec.structs.replace(
                envelope,
                reply_to=reply_to,
                response_required=True,
                deadline=request.deadline,
                priority=request.priority,
            )
            await self._outside.queue.publish(subjects.inbox(target), Record(envelope, msgspec.json.encode(message)))
            latest = self._cause.time + timedelta(seconds=self._outside.limits.ask_s_max)
            deadline = min(request.deadline or latest, latest)
            outcome = await self._reply(number, deadline)
            if outcome is None:
                outcome = Outcome(status="expired", reason=f"{domain.value} did not answer by {deadline}")
                await self._record(
                    EffectRecorded(effect=number, name="ask", arguments=digest, result=_raw(outcome)), span.traceparent
                )
            span.note(status=outcome.status)
        return self._rise(outcome, outcome.label)

    async def tell(self, message: Message, to: ActorRef | None = None) -> None:
        """Send a message to an actor (default: the one that reacts). Its id follows from the reaction: a repeat is harmless."""
        target = to or self._actor
        number, self._told = self._told, self._told + 1
        identity = derived_id(self._cause.id, "tell", number)
        envelope = self._envelope(message, target.domain, identity, self._traceparent)
        if target == self._actor:
            envelope = msgspec.structs.replace(envelope, reply_to=self._cause.reply_to, deadline=self._cause.deadline)
        await self._outside.queue.publish(subjects.inbox(target), Record(envelope, msgspec.json.encode(message)))

    async def reply(self, outcome: Outcome) -> None:
        """Answer the effect that waits for this reaction's cause, if any does."""
        if self._cause.reply_to:
            await self.tell(*resolution(self._cause.reply_to, outcome))

    def _envelope(self, message: Message, target: Domain, identity: str, traceparent: str | None) -> Envelope:
        cause = self._cause
        return Envelope(
            id=identity,
            type=tag(type(message)),
            time=self._outside.clock(),
            correlation=cause.correlation,
            causation=cause.id,
            principal=cause.principal,
            clearance=cause.clearance,
            label=self.label,
            source=self._actor.domain,
            target=target,
            priority=cause.priority,
            traceparent=traceparent,
        )

    def _begin(self, name: str, arguments: object) -> tuple[int, str]:
        number, self._begun = self._begun, self._begun + 1
        return number, hashlib.sha256(_arguments(name, arguments)).hexdigest()

    def _recorded(self, number: int, name: str, digest: str, returns: type[T]) -> T:
        entry, label = self._journal.entries[number]
        if (entry.name, entry.arguments) != (name, digest):
            raise NonDeterministicError(
                f"effect {number} of {self._journal.subject} was {entry.name!r} ({entry.arguments[:12]}), "
                f"now it is {name!r} ({digest[:12]})"
            )
        if entry.error is not None:
            raise OutcomeError(entry.error)
        return self._rise(msgspec.json.decode(entry.result, type=returns), label)

    def _rise(self, result: T, label: Clearance) -> T:
        self.label = max(self.label, label)
        return result

    async def _perform(
        self,
        name: str,
        arguments: object,
        returns: type[T],
        do: Callable[[str], Awaitable[T]],
        label: Callable[[T], Clearance] = lambda _: Clearance.PUBLIC,
    ) -> T:
        number, digest = self._begin(name, arguments)
        if number in self._journal.entries:
            return self._recorded(number, name, digest, returns)
        telemetry, started = self._outside.telemetry, self._outside.clock()
        with telemetry.span(
            f"{SPAN_EFFECT} {name}", parent=self._traceparent, attributes={"effect": name, "number": number}
        ) as span:
            try:
                result = await do(f"{self._cause.id}:{number}")
            except OutcomeError as error:
                span.fail(str(error))
                failure = EffectRecorded(
                    effect=number, name=name, arguments=digest, result=_raw(None), error=str(error)
                )
                await self._record(failure, span.traceparent)
                raise
            self._rise(result, label(result))
            entry = EffectRecorded(effect=number, name=name, arguments=digest, result=_raw(result))
            await self._record(entry, span.traceparent)
        telemetry.count(EFFECTS_TOTAL, effect=name)
        telemetry.observe(EFFECT_SECONDS, (self._outside.clock() - started).total_seconds(), effect=name)
        return msgspec.json.decode(entry.result, type=returns)

    async def _record(self, entry: EffectRecorded, traceparent: str | None) -> None:
        cause = self._cause
        envelope = msgspec.structs.replace(
            cause,
            id=derived_id(cause.id, "effect", entry.effect),
            type=tag(EffectRecorded),
            time=self._outside.clock(),
            causation=cause.id,
            reaction=cause.id,
            label=self.label,
            traceparent=traceparent,
            prev=None,
            hash=None,
        )
        async with self._lock:
            await self._journal.append(entry, envelope)

    async def _reply(self, number: int, deadline: datetime) -> Outcome | None:
        """The outcome once the host has journaled it; None past the deadline."""
        limits, journal = self._outside.limits, self._journal
        while True:
            async with self._lock:
                await journal.refresh()
            if number in journal.entries:
                return msgspec.json.decode(journal.entries[number][0].result, type=Outcome)
            left = (deadline - self._outside.clock()).total_seconds()
            if left <= 0:
                return None
            await self._outside.log.wait(
                journal.subject, after=journal.sequence, timeout_s=min(left, limits.reply_recheck_s)
            )


_NO_TIME = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def resolution(reply_to: str, outcome: Outcome) -> tuple[Resolve, ActorRef]:
    """The message that answers a waiting `ask`, and the actor that waits. Raises ValueError for what `ask` did not write."""
    domain, kind, id_, reaction, number, digest = reply_to.split("/")
    answer = Resolve(reaction=reaction, effect=int(number), name="ask", arguments=digest, result=_raw(outcome))
    return answer, subjects.actor_ref(Domain(domain), kind, id_)


def _arguments(name: str, arguments: object) -> bytes:
    return msgspec.json.encode([name, arguments], order="deterministic")


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


async def _soon(value: T) -> T:
    return value
