"""One life cycle for everything that runs: started in order, stopped in reverse."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence

from runtime.ports import Runnable

_logger = logging.getLogger(__name__)


async def run_until_stopped(
    parts: Sequence[Runnable], *, ready: Callable[[], Awaitable[None]], watch: Sequence[Awaitable[None]] = ()
) -> None:
    """Start the parts, call `ready`, wait for SIGINT or SIGTERM (or for a watched part to fail), stop what was started.

    Raises what the failed part raised.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    started: list[Runnable] = []
    watchers: list[asyncio.Future[None]] = []
    try:
        for part in parts:
            started.append(part)
            await part.start()
        await ready()
        watchers = [asyncio.ensure_future(awaited) for awaited in (_set(stop), *watch)]
        done, _ = await asyncio.wait(watchers, return_when=asyncio.FIRST_COMPLETED)
        for finished in done:
            finished.result()
    finally:
        for watcher in watchers:
            watcher.cancel()
        for part in reversed(started):
            try:
                await part.stop()
            except Exception:
                _logger.exception("could not stop %r", part)


async def _set(event: asyncio.Event) -> None:
    await event.wait()
