"""Watching one subject of a log: its records as the broker tells of them, without asking for each.

The log stream republishes what it has stored, body included, with the sequence of the record before on the same subject. So a
watcher knows when it missed one, and reads the log only then: after a lost connection, an overflow, or a silence too long.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker, Msg, Subscription
from adapters.jetstream_answers import read_record
from contracts import subjects
from contracts.envelope import Stored

RECHECK_S = 2.0  # without a notice; then the end of the subject is asked for, should one have been lost
BUFFER_MAX = 1_000  # notices of one watch that nobody has taken; beyond that they are dropped and read from the log
BUFFER_BYTES_MAX = 4 << 20  # of their bodies

Read = Callable[[str, int], Awaitable[list[Stored]]]
"""All records of a subject above a sequence."""


class _LastOf(Struct):
    last_by_subj: str


class JetStreamWatch:
    """A Watch; made by `watch`."""

    def __init__(self, broker: Broker, subject: str, after: int, read: Read, *, from_now: bool) -> None:
        self._broker = broker
        self._subject = subject
        self._stream = subjects.log_stream(subjects.parse(subject).actor.domain)
        self._read = read
        self._last = after
        self._unknown = from_now  # whether records between `_last` and the first notice are of no interest
        self._doubtful = not from_now
        self._notices: deque[Msg] = deque()
        self._bytes = 0
        self._woken: asyncio.Future[None] | None = None
        self._subscription: Subscription | None = None
        broker.on_lost.add(self._doubt)

    async def open(self) -> None:
        self._subscription = await self._broker.subscribe(subjects.stored(self._subject), self._on_notice)

    async def take(self, timeout_s: float) -> list[Stored]:
        """See Watch.take."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while True:
            found = await self._reread() if self._doubtful else self._told()
            if found:
                return found
            if self._doubtful:
                continue
            left_s = end - loop.time()
            if left_s <= 0:
                return []
            if not await self._notified(min(left_s, RECHECK_S)) and left_s > RECHECK_S:
                self._doubtful = await self._end() > self._last

    async def close(self) -> None:
        self._broker.on_lost.discard(self._doubt)
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await self._broker.unsubscribe(subscription)

    def _told(self) -> list[Stored]:
        """What the notices say, as far as none is missing."""
        found: list[Stored] = []
        while self._notices:
            msg = self._notices.popleft()
            headers = msg.headers or {}
            sequence = int(headers["Nats-Sequence"])
            if sequence <= self._last:
                continue
            if int(headers["Nats-Last-Sequence"]) > self._last and not self._unknown:
                self._doubtful = True
                break
            self._unknown = False
            self._last = sequence
            found.append(read_record(self._subject, sequence, msg))
        self._forget()
        return found

    def _forget(self) -> None:
        self._notices.clear()
        self._bytes = 0

    async def _reread(self) -> list[Stored]:
        self._doubtful = False  # before: what is missed while we read is doubtful again
        try:
            found = await self._read(self._subject, self._last)
        except BaseException:
            self._doubtful = True
            raise
        self._unknown = False
        if found:
            self._last = found[-1].sequence
        return found

    async def _notified(self, timeout_s: float) -> bool:
        loop = asyncio.get_running_loop()
        woken = self._woken = loop.create_future()
        timer = loop.call_later(timeout_s, _wake, woken)
        try:
            await woken
        finally:
            self._woken = None
            timer.cancel()
        return bool(self._notices) or self._doubtful

    async def _end(self) -> int:
        body = msgspec.json.encode(_LastOf(self._subject))
        msg = await self._broker.request(f"$JS.API.DIRECT.GET.{self._stream}", body)
        return int((msg.headers or {}).get("Nats-Sequence", 0))

    def _on_notice(self, msg: Msg) -> None:
        self._bytes += len(msg.data)
        if len(self._notices) < BUFFER_MAX and self._bytes <= BUFFER_BYTES_MAX:
            self._notices.append(msg)
        else:
            self._forget()
            self._doubtful = True
        self._wake()

    def _doubt(self) -> None:
        self._doubtful = True
        self._wake()

    def _wake(self) -> None:
        if self._woken is not None:
            _wake(self._woken)


async def watch(broker: Broker, subject: str, after: int, read: Read, *, from_now: bool) -> JetStreamWatch:
    """See EventLog.watch."""
    opened = JetStreamWatch(broker, subject, after, read, from_now=from_now)
    try:
        await opened.open()
    except BaseException:
        await opened.close()
        raise
    return opened


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
