"""Slots: how much is done at once, of each kind and in all, and who is next when all are taken.

Priorities 1 (lowest) to 5 share what becomes free in the ratio of their weights, so that the highest goes first under load and
the lowest is never left waiting for ever (start-time fair queuing: P. Goyal, H. Vin, H. Cheng, 1996).
"""

import asyncio
import heapq
from collections import deque

WEIGHTS = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16}
"""Of 31 slots that become free while every priority has work waiting, so many go to each."""


class Slots:
    """At most `total` turns at once, and `each` of a kind. A turn of a full kind keeps no other kind waiting."""

    def __init__(self, total: int, each: int) -> None:
        self._total = total
        self._each = each
        self._taken = 0
        self._lines: dict[str, _Line] = {}
        self._ready: deque[_Line] = deque()  # lines with somebody waiting, in turn

    def turn(self, kind: str, priority: int) -> "Turn":
        """A turn for work of a kind: `async with` it; `give` and `take` in between while the work only waits."""
        return Turn(self, kind, min(max(priority, 1), 5))

    def try_take(self, kind: str) -> bool:
        """Take a slot if one is free and nobody of this kind waits for it."""
        line = self._lines.get(kind)
        if line is None:
            line = self._lines[kind] = _Line()
        if line.heap or line.taken >= self._each or self._taken >= self._total:
            return False
        line.taken += 1
        self._taken += 1
        return True

    async def take(self, kind: str, priority: int) -> None:
        if self.try_take(kind):
            return
        line = self._lines[kind]
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not line.heap:
            self._ready.append(line)
        line.push(priority, granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.give(kind)
            raise

    def give(self, kind: str) -> None:
        line = self._lines[kind]
        line.taken -= 1
        self._taken -= 1
        self._grant()
        if not line.taken and not line.heap:
            self._lines.pop(kind, None)

    def _grant(self) -> None:
        """Give what is free to those who wait: kind by kind in turn, within a kind by priority."""
        for _ in range(len(self._ready)):
            if self._taken >= self._total:
                return
            line = self._ready.popleft()
            if line.taken < self._each and line.grant():
                line.taken += 1
                self._taken += 1
            if line.heap:
                self._ready.append(line)


class _Line:
    """Those who wait for a slot of one kind."""

    __slots__ = ("_clock", "_last", "_number", "heap", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self.heap: list[tuple[float, int, asyncio.Future[None]]] = []
        self._clock = 0.0
        self._last: dict[int, float] = {}
        self._number = 0

    def push(self, priority: int, granted: asyncio.Future[None]) -> None:
        start = max(self._clock, self._last.get(priority, 0.0))
        self._last[priority] = start + 1.0 / WEIGHTS[priority]
        self._number += 1
        heapq.heappush(self.heap, (self._last[priority], self._number, granted))

    def grant(self) -> bool:
        """Wake the next who still waits; whether there was one."""
        while self.heap:
            tag, _, granted = heapq.heappop(self.heap)
            if not granted.done():
                self._clock = tag
                granted.set_result(None)
                return True
        return False


class Turn:
    """One slot, taken and given back."""

    __slots__ = ("_kind", "_lock", "_priority", "_slots", "_taken")

    def __init__(self, slots: Slots, kind: str, priority: int) -> None:
        self._slots = slots
        self._kind = kind
        self._priority = priority
        self._taken = False
        self._lock: asyncio.Lock | None = None

    async def __aenter__(self) -> "Turn":
        await self.take()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.give()

    async def take(self) -> None:
        """Idempotent."""
        if self._taken:
            return
        if self._lock is None:
            if self._slots.try_take(self._kind):
                self._taken = True
                return
            self._lock = asyncio.Lock()
        async with self._lock:
            if not self._taken:
                await self._slots.take(self._kind, self._priority)
                self._taken = True

    def give(self) -> None:
        """Idempotent."""
        if self._taken:
            self._taken = False
            self._slots.give(self._kind)
