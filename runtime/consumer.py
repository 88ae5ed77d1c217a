"""Consumer: hands each delivery to a handler; one at a time an actor, many actors at once; retries, heartbeats, dead letters."""

import asyncio
import logging
import random
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime

from contracts.domains import Domain
from contracts.ids import keyed_id
from contracts.kernel import DeadLetter
from runtime.errors import ConflictError, MalformedError, NonDeterministicError, UnavailableError
from runtime.limits import Limits
from runtime.ports import Delivery, Queue, QueueName
from runtime.telemetry import DEAD_LETTERS_TOTAL, Telemetry

_logger = logging.getLogger(__name__)
STACK_CHARS_MAX = 8_000
BODY_CHARS_MAX = 64_000

Handle = Callable[[Delivery], Awaitable[None]]
Abandon = Callable[[Delivery, str], Awaitable[None]]
WAITING_TOLD_S = 5.0  # between two warnings that deliveries wait for something that is down
KINDS_MAX = 64  # with slots of their own; publishers outside may invent more


class Consumer:
    """Runs `handle` for every delivery of one durable queue of a domain.

    Deliveries of one actor are handled in their order, one at a time. A handler that returns ends its delivery. What it raises
    decides: MalformedError and NonDeterministicError bury it at once; UnavailableError retries without end; ConflictError is
    retried `conflicts_max` times and anything else `attempts_max` times before it is buried, so that poison never blocks the
    actors behind it. Before it is buried, `abandon` tells whoever waits for it.
    """

    def __init__(
        self,
        queue: Queue,
        place: tuple[Domain, QueueName],
        handle: Handle,
        abandon: Abandon,
        limits: Limits,
        telemetry: Telemetry,
    ) -> None:
        self._queue = queue
        self._domain, self._name = place
        self._handle = handle
        self._abandon = abandon
        self._limits = limits
        self._telemetry = telemetry
        self._slots_max = limits.handlers_max if self._name == "inbox" else limits.reactions_max
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._mailboxes: dict[tuple[str, ...], deque[Delivery]] = {}
        self._held: dict[int, Delivery] = {}
        self._waiting: set[int] = set()
        self._told_waiting = -WAITING_TOLD_S
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"{self._domain.value}-{self._name}")

    async def stop(self) -> None:
        """End at once: what was not ended is handed out again, and every handler may be run again."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def wait(self) -> None:
        """Return or raise when the consumer's own task does: it should not, while it runs."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._report())
            async with aclosing(self._queue.consume(self._domain, self._name)) as deliveries:
                async for delivery in deliveries:
                    if delivery.sequence in self._held:
                        continue  # Handed out again while we still hold it: the first one is being worked on.
                    self._held[delivery.sequence] = delivery
                    actor = _actor_of(delivery.subject)
                    mailbox = self._mailboxes.get(actor)
                    if mailbox is None:
                        mailbox = self._mailboxes[actor] = deque()
                        group.create_task(self._drain(actor, mailbox))
                    mailbox.append(delivery)
                    if len(mailbox) == 1:
                        await asyncio.sleep(0)

    async def _drain(self, actor: tuple[str, ...], mailbox: deque[Delivery]) -> None:
        while mailbox:
            delivery = mailbox[0]
            async with self._slots_of(actor[0]):
                await self._settle(delivery)
            mailbox.popleft()
            del self._held[delivery.sequence]
            self._waiting.discard(delivery.sequence)
        del self._mailboxes[actor]

    def _slots_of(self, kind: str) -> asyncio.Semaphore:
        """Each kind has slots of its own, so that a slow one does not keep the others from running."""
        if kind not in self._slots:
            kind = kind if len(self._slots) < KINDS_MAX else ""
        return self._slots.setdefault(kind, asyncio.Semaphore(self._slots_max))

    async def _settle(self, delivery: Delivery) -> None:
        attempts = conflicts = waits = 0
        while True:
            try:
                if delivery.deliveries > self._limits.deliveries_max:
                    reason = f"handed out {delivery.deliveries} times without an end: its handling ends the worker"
                    return await self._bury(delivery, reason, attempts, "")
                await self._handle(delivery)
                return await delivery.ack()
            except (MalformedError, NonDeterministicError) as error:
                return await self._bury(delivery, f"{type(error).__name__}: {error}", attempts + 1, "")
            except UnavailableError as error:
                self._tell_waiting(delivery, error)
            except ConflictError as error:
                conflicts += 1
                if conflicts >= self._limits.conflicts_max:
                    return await self._bury(delivery, f"{type(error).__name__}: {error}", conflicts, "")
            except Exception as error:  # whatever a handler raises must not stop the others
                attempts += 1
                _logger.warning("%s failed (attempt %d): %r", delivery.subject, attempts, error, exc_info=error)
                if attempts >= self._limits.attempts_max:
                    return await self._bury(
                        delivery, f"{type(error).__name__}: {error}", attempts, traceback.format_exc()
                    )
            waits += 1
            await asyncio.sleep(self._pause_s(waits))

    def _tell_waiting(self, delivery: Delivery, error: UnavailableError) -> None:
        """Warn of the first, then every 5 s of one and of how many others: what is down is waited for by everybody."""
        self._waiting.add(delivery.sequence)
        now = time.monotonic()
        if now - self._told_waiting >= WAITING_TOLD_S:
            self._told_waiting = now
            others = len(self._waiting) - 1
            _logger.warning("%s waits%s: %s", delivery.subject, f", {others} more do" if others else "", error)

    def _pause_s(self, waits: int) -> float:
        """Exponential back-off with full jitter (AWS Architecture Blog, 2015)."""
        ceiling = min(self._limits.retry_s_max, self._limits.retry_s_min * 2 ** min(waits, 16))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - jitter, not a secret

    async def _bury(self, delivery: Delivery, reason: str, attempts: int, stack: str) -> None:
        letter = DeadLetter(
            id=keyed_id(delivery.subject, str(delivery.sequence)),
            subject=delivery.subject,
            sequence=delivery.sequence,
            reason=reason[:1_000],
            attempts=attempts,
            time=datetime.now(UTC).isoformat(),
            stack=stack[-STACK_CHARS_MAX:],
            body=delivery.body[:BODY_CHARS_MAX].decode(errors="replace"),
            headers=delivery.headers,
        )
        while True:
            try:
                await self._abandon(delivery, f"it failed and was put aside as dead letter {letter.id}")
                await delivery.bury(letter)
            except UnavailableError as error:
                _logger.warning("%s cannot be buried yet: %s", delivery.subject, error)
                await asyncio.sleep(self._limits.retry_s_max)
            else:
                break
        self._telemetry.count(DEAD_LETTERS_TOTAL, domain=self._domain.value, queue=self._name)
        _logger.error("%s #%d is a dead letter: %s", delivery.subject, delivery.sequence, reason)

    async def _report(self) -> None:
        """Tell the broker about everything held for a while, so that it is not handed out again."""
        while True:
            older = list(self._held.values())
            await asyncio.sleep(self._limits.ack_wait_s / 3)
            for delivery in older:
                if delivery.sequence in self._held:
                    await delivery.working()


def _actor_of(subject: str) -> tuple[str, ...]:
    """Kind and id of the actor a subject is for, whichever lane it is in; of a strange subject whatever stands there."""
    return tuple(subject.split(".")[3:5]) or (subject,)
