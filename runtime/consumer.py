"""Consumer: hands each delivery of the partitions it holds to a handler; retries, heartbeats, dead letters."""

import asyncio
import contextlib
import logging
import random
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable

from msgspec import Struct

from contracts.domains import Domain
from runtime.errors import ConflictError, MalformedError, NonDeterministicError, UnavailableError
from runtime.letters import letter_of
from runtime.limits import Limits
from runtime.near import NearDelivery
from runtime.ports import Delivery, Feed, Queue, QueueName
from runtime.telemetry import DEAD_LETTERS_TOTAL, Telemetry

_logger = logging.getLogger(__name__)

Handle = Callable[[Delivery], Awaitable[None]]
Abandon = Callable[[Delivery, str], Awaitable[None]]
Mailbox = tuple[str, ...]
YIELD_EVERY = 16  # deliveries; what waits in a buffer must not keep the rest of the process from running
CATCH_UP_LOOKS_MAX = 8  # at whether a partition's backlog was taken; then our own message goes behind it in the broker
WAITING_TOLD_S = 5.0  # between two warnings that deliveries wait for something that is down


class Place(Struct, frozen=True):
    """Which durable queue, and which mailbox a delivery belongs to: those of one are handled one after the other."""

    domain: Domain
    name: QueueName
    mailbox: Callable[[Delivery], Mailbox]
    skips: Callable[[Delivery], bool] = lambda _: False
    """Whether a delivery can be ended without being handled."""


class _Partition:
    """What is in hand of one partition."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.hold: asyncio.Task[None] | None = None
        self.leaving: asyncio.Task[None] | None = None
        self.caught_up = False  # all that was stored before is known to be in the mailboxes, or handled
        self.doubts = 0
        self.mailboxes: dict[Mailbox, deque[Delivery]] = {}
        self.drains: set[asyncio.Task[None]] = set()
        self.held: dict[int, Delivery] = {}
        self.begun: set[int] = set()


class Consumer:
    """Runs `handle` for every delivery of the partitions of one durable queue that it was told to hold.

    Deliveries of one mailbox are handled in their order, one at a time. A handler that returns ends its delivery. What it raises
    decides: MalformedError and NonDeterministicError bury it at once; UnavailableError retries without end; ConflictError is
    retried `conflicts_max` times and anything else `attempts_max` times before it is buried, so that poison never blocks the
    actors behind it. What ends its worker is buried after `deaths_max` of them. Before a delivery is buried, `abandon` tells
    whoever waits for it.
    """

    def __init__(
        self, queue: Queue, place: Place, handle: Handle, abandon: Abandon, limits: Limits, telemetry: Telemetry
    ) -> None:
        self._queue = queue
        self._place = place
        self._handle = handle
        self._abandon = abandon
        self._limits = limits
        self._telemetry = telemetry
        self._partitions: dict[int, _Partition] = {}
        # One for actors and one for reactions: a reaction waits for messages to its actor, never the other way round.
        self._alone = {True: asyncio.Lock(), False: asyncio.Lock()}
        self._waiting: set[int] = set()
        self._told_waiting = -WAITING_TOLD_S
        self._reporter: asyncio.Task[None] | None = None
        self._broken: asyncio.Future[None] | None = None
        self.on_hold: Callable[[], None] = self.doubt
        """Called when a partition was gained: until then others may have done what its deliveries lead to."""

    async def start(self) -> None:
        self._broken = asyncio.get_running_loop().create_future()
        self._reporter = asyncio.create_task(self._report(), name=f"report {self._place.name}")
        self._reporter.add_done_callback(self._watch)

    async def stop(self) -> None:
        """Let go of everything, each partition as `release` does. Idempotent."""
        await asyncio.gather(*(self.release(partition) for partition in list(self._partitions)))
        reporter, self._reporter = self._reporter, None
        if reporter is not None:
            reporter.cancel()
            await asyncio.gather(reporter, return_exceptions=True)

    async def wait(self) -> None:
        """Raise what broke one of the consumer's own tasks; else wait without end. A partition must not stand still unnoticed."""
        if self._broken is not None:
            await asyncio.shield(self._broken)

    def _watch(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("%s broke", task.get_name(), exc_info=error)
            if self._broken is not None and not self._broken.done():
                self._broken.set_exception(error)

    def holds(self, partition: int) -> bool:
        return partition in self._partitions

    def acquire(self, partition: int) -> None:
        """Begin to hand out what comes of the partition."""
        state = _Partition(self._queue.feed(self._place.domain, self._place.name, partition))
        self._partitions[partition] = state
        name = f"{self._place.domain.value}-{self._place.name}-{partition}"
        state.hold = asyncio.create_task(self._hold(partition, state), name=name)
        state.hold.add_done_callback(self._watch)

    async def release(self, partition: int) -> None:
        """Take no more of the partition, let what has begun end for `drain_s_max`, cancel the rest, let go.

        Once begun it is brought to its end whoever is cancelled meanwhile; everybody who asks for it waits for that.
        """
        state = self._partitions.get(partition)
        if state is None or state.hold is None:
            return
        if state.leaving is None:
            state.leaving = asyncio.create_task(
                self._let_go(partition, state, state.hold), name=f"{state.hold.get_name()} end"
            )
        await asyncio.shield(state.leaving)

    async def _let_go(self, partition: int, state: _Partition, hold: asyncio.Task[None]) -> None:
        hold.cancel()
        await asyncio.gather(hold, return_exceptions=True)
        for mailbox in state.mailboxes.values():
            while len(mailbox) > 1:
                _void(mailbox.pop())
        if state.drains:
            await asyncio.wait(state.drains, timeout=self._limits.drain_s_max)
        for drain in state.drains:
            drain.cancel()
        await asyncio.gather(*state.drains, return_exceptions=True)
        await state.feed.close()
        del self._partitions[partition]

    async def offer(self, partition: int, delivery: Delivery) -> bool:
        """Put a delivery of our own behind all that was stored before it; False if one of the two is not in hand here."""
        state = self._partitions.get(partition)
        if state is None or not (state.caught_up or await self._catch_up(state)) or state.leaving is not None:
            return False
        self._put(state, delivery)
        return True

    def doubt(self, partition: int | None = None) -> None:
        """Something may have been stored for the partition (None: for any) that was not handed out yet."""
        for number, state in self._partitions.items():
            if partition in (None, number):
                state.caught_up = False
                state.doubts += 1

    async def _catch_up(self, state: _Partition) -> bool:
        """Wait until all that is stored for the partition by now was taken; False if some is not even on its way here (who waits
        for that keeps others from their turn), or if it takes too long or cannot be known."""
        for looks in range(CATCH_UP_LOOKS_MAX):
            doubts = state.doubts
            try:
                lag = await state.feed.lag()
            except UnavailableError:
                return False
            if lag == "backlog":
                return False
            if lag == "nothing" and doubts == state.doubts:
                state.caught_up = True
                return True
            await asyncio.sleep(self._pause_s(looks))
        return False

    async def _hold(self, partition: int, state: _Partition) -> None:
        """Take what the broker hands out; after every new pin from the place where nothing is missing."""
        await self._until_available(state.feed.open)
        pin = ""
        while True:
            try:
                delivery = await state.feed.take()
                if delivery.pin != pin:
                    self._forget(state)
                    self.on_hold()
                    await state.feed.reset()
                    pin = delivery.pin
                    continue
            except UnavailableError as error:
                place = self._place
                _logger.info("partition %d of the %s of %s: %s", partition, place.name, place.domain.value, error)
                pin = ""
                self.doubt(partition)
                continue
            if self._place.skips(delivery):
                await delivery.ack()
                continue
            known = delivery.sequence in state.held
            state.held[delivery.sequence] = delivery  # Of one that is known the first is worked on, the last is ended.
            if not known:
                self._put(state, delivery)
            if delivery.sequence % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def _until_available(self, do: Callable[[], Awaitable[None]]) -> None:
        waits = 0
        while True:
            try:
                return await do()
            except UnavailableError as error:
                _logger.info("%s: %s", self._place.name, error)
            waits += 1
            await asyncio.sleep(self._pause_s(waits))

    def _forget(self, state: _Partition) -> None:
        """Drop what was handed out under an earlier pin and has not begun: it comes again, in order."""
        for mailbox in state.mailboxes.values():
            kept = [one for one in mailbox if one.sequence in state.begun or one.sequence not in state.held]
            mailbox.clear()
            mailbox.extend(kept)
        state.held = {sequence: one for sequence, one in state.held.items() if sequence in state.begun}

    def _put(self, state: _Partition, delivery: Delivery) -> None:
        name = self._place.mailbox(delivery)
        mailbox = state.mailboxes.get(name)
        if mailbox is not None:
            mailbox.append(delivery)
            return
        mailbox = state.mailboxes[name] = deque([delivery])
        drain = asyncio.create_task(self._drain(state, name, mailbox))
        state.drains.add(drain)
        drain.add_done_callback(state.drains.discard)

    async def _drain(self, state: _Partition, name: Mailbox, mailbox: deque[Delivery]) -> None:
        try:
            while mailbox:
                delivery = mailbox[0]
                state.begun.add(delivery.sequence)
                await self._settle(state, delivery)
                mailbox.popleft()
                state.begun.discard(delivery.sequence)
                state.held.pop(delivery.sequence, None)
                self._waiting.discard(delivery.sequence)
        except Exception:
            _logger.exception("%s: what waits here comes again after %g s", name, self._limits.ack_wait_s)
        finally:
            for delivery in mailbox:
                _void(delivery)
                state.begun.discard(delivery.sequence)
                state.held.pop(delivery.sequence, None)
                self._waiting.discard(delivery.sequence)
            del state.mailboxes[name]

    async def _settle(self, state: _Partition, delivery: Delivery) -> None:
        if not delivery.repeated:
            await self._try(state, delivery, self._handle)
            return
        deaths = 0

        async def look() -> None:
            nonlocal deaths
            deaths = await self._queue.deaths(self._place.domain, self._place.name, delivery.sequence)

        await self._until_available(look)
        if deaths >= self._limits.deaths_max:
            reason = f"{deaths} workers may have died with it in hand: its handling ends the worker"
            await self._bury(state, delivery, reason, deaths, "")
        else:
            alone = deaths >= self._limits.deaths_alone
            await self._try(state, delivery, lambda suspect: self._handle_suspect(suspect, alone=alone))

    async def _handle_suspect(self, delivery: Delivery, *, alone: bool) -> None:
        """Counted while it is being handled, not while it waits for its turn: else what waits behind one looks deadly, too."""
        place = (self._place.domain, self._place.name, delivery.sequence)

        async def count() -> None:
            await self._queue.died(*place)

        lock = self._alone[self._place.mailbox(delivery) == actor_of(delivery)]
        async with lock if alone else contextlib.nullcontext():
            try:
                await self._until_available(count)
                await self._handle(delivery)
            except asyncio.CancelledError:
                await self._survived_in_time(delivery)
                raise
            except Exception:
                await self._queue.survived(*place)
                raise
        await self._queue.survived(*place)

    async def _survived_in_time(self, delivery: Delivery) -> None:
        """A worker that lets go in order has not died of what it had in hand; it waits `drain_s_max` for that to be known."""
        told = asyncio.create_task(self._queue.survived(self._place.domain, self._place.name, delivery.sequence))
        try:
            await asyncio.wait((told,), timeout=self._limits.drain_s_max)
        finally:
            told.cancel()  # Later it would forget the deaths that the next holder counts.

    async def _try(self, state: _Partition, delivery: Delivery, handle: Handle) -> None:
        """Handle it until it is ended: `handle` at first, after that it is known not to end the worker."""
        attempts = conflicts = waits = 0
        while True:
            try:
                await handle(delivery)
                return await state.held.get(delivery.sequence, delivery).ack()
            except (MalformedError, NonDeterministicError) as error:
                return await self._bury(state, delivery, f"{type(error).__name__}: {error}", attempts + 1, "")
            except UnavailableError as error:
                self._tell_waiting(delivery, error)
            except ConflictError as error:
                conflicts += 1
                if conflicts >= self._limits.conflicts_max:
                    return await self._bury(state, delivery, f"{type(error).__name__}: {error}", conflicts, "")
            except Exception as error:  # whatever a handler raises must not stop the others
                attempts += 1
                _logger.warning("%s failed (attempt %d): %r", delivery.subject, attempts, error, exc_info=error)
                if attempts >= self._limits.attempts_max:
                    stack = traceback.format_exc()
                    return await self._bury(state, delivery, f"{type(error).__name__}: {error}", attempts, stack)
            waits += 1
            handle = self._handle
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

    async def _bury(self, state: _Partition, delivery: Delivery, reason: str, attempts: int, stack: str) -> None:
        letter = letter_of(delivery, reason, attempts, stack)
        while True:
            try:
                await self._last_word(delivery, f"it failed and was put aside as dead letter {letter.id}")
                await state.held.get(delivery.sequence, delivery).bury(letter)
            except (UnavailableError, ConflictError) as error:
                _logger.warning("%s cannot be buried yet: %s", delivery.subject, error)
                await asyncio.sleep(self._limits.retry_s_max)
            else:
                break
        self._telemetry.count(DEAD_LETTERS_TOTAL, domain=self._place.domain.value, queue=self._place.name)
        _logger.error("%s #%d is a dead letter: %s", delivery.subject, delivery.sequence, reason)

    async def _last_word(self, delivery: Delivery, reason: str) -> None:
        """`abandon`; where that fails for good it is buried untold. Raises UnavailableError, ConflictError."""
        try:
            await self._abandon(delivery, reason)
        except (UnavailableError, ConflictError):
            raise
        except Exception as error:  # an actor's own code is part of it, which may be why it is buried
            _logger.error("whoever waits for %s is not told: %r", delivery.subject, error, exc_info=error)

    async def _report(self) -> None:
        """Tell the broker about everything held for a while, so that it is not handed out again."""
        while True:
            older = [(state, one) for state in self._partitions.values() for one in state.held.values()]
            await asyncio.sleep(self._limits.ack_wait_s / 3)
            for state, delivery in older:
                if state.held.get(delivery.sequence) is delivery:
                    await delivery.working()


def _void(delivery: Delivery) -> None:
    """Tell a waiting sender in this process that its message was not handled here."""
    if isinstance(delivery, NearDelivery):
        delivery.void()


def actor_of(delivery: Delivery) -> Mailbox:
    """Kind and id of the actor a delivery is for, whichever lane it is in; of a strange subject whatever stands there."""
    return tuple(delivery.subject.split(".")[3:5]) or (delivery.subject,)
