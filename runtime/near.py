"""A message from this process to an actor that this process holds: handed over directly, never stored by itself.

Nothing is lost by that. Who sends it waits until the actor's log has what it led to; ends the process before that, the sender's
reaction runs again, and its message has the same id.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

from contracts.envelope import Record, to_headers
from contracts.kernel import DeadLetter
from runtime.errors import UnavailableError

_numbers = itertools.count(-1, -1)

Bury = Callable[[DeadLetter], Awaitable[None]]


class NearDelivery:
    """A Delivery; its sequence is negative. `done` ends as its handling does."""

    pin = ""
    repeated = False

    def __init__(self, subject: str, record: Record, bury: Bury) -> None:
        self.subject = subject
        self.record = record
        self.sequence = next(_numbers)
        self.time_ns = time.time_ns()
        self.body = record.body
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._bury = bury

    @property
    def headers(self) -> dict[str, str]:
        return to_headers(self.record.envelope)

    async def ack(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    async def working(self) -> None:
        """Nobody else could be given it."""

    async def bury(self, letter: DeadLetter) -> None:
        """For the sender it is sent, as it would be through the inbox: what becomes of it is told by the dead letter."""
        await self._bury(letter)
        if not self.done.done():
            self.done.set_result(None)

    def void(self) -> None:
        """It will not be handled here after all."""
        if not self.done.done():
            self.done.set_exception(UnavailableError("worker", "it lets go of the actor", 1))
