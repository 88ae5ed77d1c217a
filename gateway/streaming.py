"""Server-sent events: bounded in number, with heartbeats, and ended when the gateway stops."""

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from falcon.asgi import SSEvent

from contracts.http import EventView
from gateway.execution import Ended, Execution
from gateway.problems import ProblemError, as_problem, problem_for
from runtime.errors import UnavailableError

SHARES = 10
T = TypeVar("T")
Reply = Callable[[Ended], Awaitable[bytes]]
"""Makes the body of a finished command's reply."""


class Streams:
    """The open streams of this process, and the one signal that ends them and every wait when the gateway stops."""

    def __init__(self, *, streams_max: int, heartbeat_s: float, clock: Callable[[], datetime]) -> None:
        self._streams_max = streams_max
        self._share_max = max(1, streams_max // SHARES)
        self._heartbeat_s = heartbeat_s
        self._clock = clock
        self._open: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self._waits: set[asyncio.Timeout] = set()

    @property
    def open(self) -> int:
        return self._open.total()

    def stop(self) -> None:
        """End every stream and every wait; idempotent."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        for scope in list(self._waits):
            scope.reschedule(0)

    async def unless_stopping(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of `work`, or None when the gateway stops first."""
        scope = asyncio.timeout(0 if self._stopping.is_set() else None)
        try:
            async with scope:
                self._waits.add(scope)
                return await work
        except TimeoutError:
            if not scope.expired():
                raise
            return None
        finally:
            self._waits.discard(scope)

    def admit(self, username: str) -> "Slot":
        """A place for one more stream. Raises ProblemError when there is none left, for anybody or for this asker."""
        headers = {"Retry-After": "5"}
        if self.open >= self._streams_max:
            raise ProblemError(503, "full", "too many streams are open here; try again", headers=headers)
        if self._open[username] >= self._share_max:
            detail = f"you have {self._share_max} streams open; end one, or try again later"
            raise ProblemError(429, "too-many-streams", detail, headers=headers)
        self._open[username] += 1
        return Slot(self._open, username)

    def seconds_until(self, moment: datetime | None) -> float:
        """How long it is until then; without end for None."""
        return math.inf if moment is None else (moment - self._clock()).total_seconds()

    async def guarded(
        self,
        source: AsyncIterator[SSEvent],
        slot: "Slot",
        *,
        until: datetime | None,
        last: SSEvent,
        stopped: SSEvent | None = None,
    ) -> AsyncIterator[SSEvent]:
        """The source's events; a comment when none came for a while; an end when the gateway stops, with `stopped`, or `until`
        then, with `last`."""
        ends = time.monotonic() + self.seconds_until(until)
        stopping = asyncio.create_task(self._stopping.wait())
        following: asyncio.Task[SSEvent | None] = asyncio.create_task(_next(source))
        try:
            yield SSEvent(comment="open")
            while (left := ends - time.monotonic()) > 0:
                waited = (following, stopping)
                pause = min(self._heartbeat_s, left)
                await asyncio.wait(waited, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    event = following.result()
                    if event is None:
                        return
                    following = asyncio.create_task(_next(source))
                    yield event
                elif stopping.done():
                    if stopped is not None:
                        yield stopped
                    return
                else:
                    yield SSEvent(comment="still here")
            yield last
        finally:
            slot.release()
            await _cancelled(following, stopping)
            if (close := getattr(source, "aclose", None)) is not None:
                await close()


class Slot:
    """The place of one stream, from its admission until `release`, which may be called more than once."""

    def __init__(self, taken: Counter[str], username: str) -> None:
        self._taken: Counter[str] | None = taken
        self._username = username

    def release(self) -> None:
        taken, self._taken = self._taken, None
        if taken is None:
            return
        taken[self._username] -= 1
        if not taken[self._username]:
            del taken[self._username]


async def _next(source: AsyncIterator[SSEvent]) -> SSEvent | None:
    return await anext(source, None)


async def _cancelled(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel what still runs and wait for its end; what it raised was looked at by whoever asked for its result."""
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)


async def command_events(
    execution: Execution, reply: Reply, *, after: int, instance: str, correlation: str
) -> AsyncIterator[SSEvent]:
    """`progress` for each event of the run, then one `answer` or `problem`, or `pending` when the log cannot be read now.

    In between there may be a `partial`: the answer without what is missing of it. First a `note` for each of the command's.
    """
    try:
        for note in execution.command.notes:
            yield SSEvent(event="note", data=msgspec.json.encode(note))
        async for item in execution.progress(after):
            if isinstance(item, Ended):
                yield SSEvent(event="answer" if item.whole else "partial", data=await reply(item))
            else:
                yield SSEvent(event="progress", event_id=_place(execution, item), data=msgspec.json.encode(item))
    except UnavailableError:
        yield SSEvent(event="pending", data=msgspec.json.encode(await execution.pending()))
    except Exception as error:  # noqa: BLE001 - the headers are sent: this is how a stream says what went wrong
        yield problem_event(error, instance=instance, correlation=correlation)


async def log_events(
    live: AsyncIterator[tuple[str | None, EventView]], *, instance: str, correlation: str
) -> AsyncIterator[SSEvent]:
    """`event` for each recorded event, its cursor as the id."""
    try:
        async for cursor, view in live:
            yield SSEvent(event="event", event_id=cursor, data=msgspec.json.encode(view))
    except Exception as error:  # noqa: BLE001 - the headers are sent: this is how a stream says what went wrong
        yield problem_event(error, instance=instance, correlation=correlation)
    finally:
        if (close := getattr(live, "aclose", None)) is not None:
            await close()


def _place(execution: Execution, view: EventView) -> str | None:
    return str(view.sequence) if view.domain is execution.domain else None


def problem_event(error: Exception, *, instance: str, correlation: str) -> SSEvent:
    problem = as_problem(problem_for(error), instance=instance, correlation=correlation)
    return SSEvent(event="problem", data=msgspec.json.encode(problem))
