"""Waiting: what of a reaction is under way, and when it does nothing but wait, so that it may leave the memory."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from msgspec import Struct

from contracts.kernel import EffectRecorded
from runtime.slots import Turn


class Wait(Struct, frozen=True):
    """An effect that waits for a journal entry from elsewhere; at `until` it becomes `otherwise`."""

    until: datetime
    otherwise: EffectRecorded
    news: asyncio.Event


class Waiting:
    """The effects of one run. While all under way wait, the turn is given back; after `park_after_s` `parkable` is set."""

    def __init__(self, turn: Turn, park_after_s: float) -> None:
        self.parkable = asyncio.Event()
        self.waits: dict[int, Wait] = {}
        self._turn = turn
        self._park_after_s = park_after_s
        self.news = False
        self.pokes = 0
        self._under_way = 0
        self._tasks: dict[asyncio.Task[object] | None, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether everything that is under way waits, and none of it has news."""
        return bool(self.waits) and self._under_way == len(self.waits) and not self.news

    @contextmanager
    def doing(self) -> Iterator[None]:
        """Around every effect."""
        task = asyncio.current_task()
        self._tasks[task] = None
        self._under_way += 1
        self._look()
        try:
            yield
        finally:
            self._tasks.pop(task, None)
            self._under_way -= 1
            self._look()

    @contextmanager
    def waiting(self, number: int, wait: Wait) -> Iterator[None]:
        """Around the wait of effect `number`, within `doing`, once it has looked. Call `resumed` behind it."""
        self.waits[number] = wait
        self._look()
        try:
            yield
        finally:
            del self.waits[number]
            self._look()

    async def resumed(self) -> None:
        """Return when the run has its turn again."""
        await self._turn.take()

    def poke(self) -> None:
        """Something may have come for one of the waits."""
        self.news = True
        self.pokes += 1
        for wait in self.waits.values():
            wait.news.set()
        self._look()

    def looked(self) -> None:
        """The waits have looked at what came: there was nothing for them."""
        self.news = any(wait.news.is_set() for wait in self.waits.values())
        self._look()

    def stay(self) -> None:
        """It could not leave the memory: `parkable` is set anew after a while, each time after twice as long."""
        self._park_after_s *= 2
        self.parkable.clear()
        self._look()

    def _look(self) -> None:
        if not self.idle:
            self.parkable.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None and not self.parkable.is_set():
            self._turn.give()
            self._timer = asyncio.get_running_loop().call_later(self._park_after_s, self._park)

    def _park(self) -> None:
        self._timer = None
        self.parkable.set()

    async def end(self, reaction: asyncio.Future[None]) -> None:
        """Return when the reaction and every effect it began have ended; what had not is cancelled. No timer is left behind.

        A failed `gather` leaves the effects beside the failed one under way: the next run would do them a second time.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left: list[asyncio.Future[Any]] = [reaction, *filter(None, self._tasks)]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
