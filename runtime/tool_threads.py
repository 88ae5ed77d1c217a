"""ToolThreads: tools within this process, for worlds of tests; nothing restricts them there.

Nothing can end a thread, so one that hangs must keep neither the other tools nor the process.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from msgspec import Struct

from runtime.errors import OutcomeError, UnavailableError
from runtime.ports import Tool
from runtime.tool_runner import Blob

T = TypeVar("T")

THREADS_MAX = 8
OVERDUE_MAX = 32
"""Threads nobody waits for any more that may run on beside those; the ones beyond keep their place until they end."""


class ToolThreads:
    """Runs at most `threads_max` tools at once, each in a daemon thread (those of a pool would be waited for at the end)."""

    def __init__(self, threads_max: int = THREADS_MAX, overdue_max: int = OVERDUE_MAX) -> None:
        self._free = asyncio.Semaphore(threads_max)
        self._overdue = 0
        self._overdue_max = overdue_max

    async def run(self, tool: Tool, arguments: Struct, blob: Blob, s_max: float) -> Struct:
        loop = asyncio.get_running_loop()

        def fetch(digest: str) -> bytes:
            async def fetched() -> bytes:
                return await blob(digest)

            return asyncio.run_coroutine_threadsafe(fetched(), loop).result()

        return await self.call(tool.name, lambda: tool.run(arguments, fetch), s_max)

    async def call(self, name: str, call: Callable[[], T], s_max: float) -> T:
        """What the call returns or raises; OutcomeError when it takes longer, UnavailableError when no thread is free so long."""
        try:
            async with asyncio.timeout(s_max):
                await self._free.acquire()
        except TimeoutError:
            raise UnavailableError(f"tool {name}", f"no thread was free for {s_max:g} s") from None
        done = self._begin(name, call)
        try:
            async with asyncio.timeout(s_max) as scope:
                return await asyncio.wrap_future(done)
        except TimeoutError:
            if scope.expired():
                raise OutcomeError(f"the tool {name} took longer than {s_max:g} s") from None
            raise
        finally:
            self._leave(done)

    def _begin(self, name: str, call: Callable[[], T]) -> Future[T]:
        done: Future[T] = Future()
        done.set_running_or_notify_cancel()  # From now on it cannot be cancelled: it says when the thread ends.
        context = contextvars.copy_context()

        def work() -> None:
            try:
                result = context.run(call)
            except BaseException as error:  # noqa: BLE001 - who waits for it raises it
                done.set_exception(error)
            else:
                done.set_result(result)

        try:
            threading.Thread(target=work, name=f"tool {name}", daemon=True).start()
        except RuntimeError as error:
            done.set_exception(UnavailableError(f"tool {name}", str(error)))
        return done

    def _leave(self, done: Future[T]) -> None:
        """Give the place back: at once when the thread has ended or may run on beside the others, else when it ends."""
        if done.done():
            self._free.release()
            return
        back = self._free.release
        if self._overdue < self._overdue_max:
            self._overdue += 1
            self._free.release()
            back = self._end_overdue
        loop = asyncio.get_running_loop()

        def ended(_: Future[T]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(back)

        done.add_done_callback(ended)

    def _end_overdue(self) -> None:
        self._overdue -= 1
