"""Measuring: what each source of figures says, every so often, kept beside the spans."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from contracts.measurements import Measurement
from runtime.errors import UnavailableError
from runtime.telemetry_ports import Measurements

TAKE_S_MAX = 10.0  # of one source; one that takes longer has no measurement this time

Figures = dict[str, float]
Take = Callable[[], Awaitable[Figures]]
"""Takes one source's figures. What it raises is told once, until it succeeds again."""

_log = logging.getLogger(__name__)


class Sampler:
    """Takes the figures of every source at each multiple of `every_s`, so that processes can be compared. A Runnable.

    A measurement that cannot be taken or kept is left out: measurements are no truth, and nothing waits for them.
    """

    def __init__(
        self,
        kept: Measurements,
        sources: Mapping[str, Take],
        *,
        every_s: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kept = kept
        self._sources = sources
        self._every_s = every_s
        self._clock = clock
        self._failing: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="measuring")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s - self._clock().timestamp() % self._every_s)
            await self.sample()

    async def sample(self) -> None:
        """Take and keep every source's figures once. Never raises."""
        await asyncio.gather(*(self._sample(source, take) for source, take in self._sources.items()))

    async def _sample(self, source: str, take: Take) -> None:
        at_ms = round(self._clock().timestamp() * 1_000)
        try:
            async with asyncio.timeout(TAKE_S_MAX):
                figures = await take()
                await self._kept.keep(Measurement(source=source, at_ms=at_ms, figures=rounded(figures)))
        except (UnavailableError, TimeoutError) as error:
            self._failed(source, str(error) or f"took longer than {TAKE_S_MAX:g} s")
        except Exception as error:  # noqa: BLE001 - a source that breaks is told of, and leaves the others alone
            if source not in self._failing:
                _log.exception("measuring %s failed; it is tried again every %g s", source, self._every_s)
            self._failing[source] = str(error)
        else:
            self._failing.pop(source, None)

    def _failed(self, source: str, reason: str) -> None:
        if source not in self._failing:
            _log.warning("%s is not measured, trying on: %s", source, reason)
        self._failing[source] = reason


def rounded(figures: Figures) -> Figures:
    """Six digits are enough, and a third of the bytes."""
    return {name: float(f"{value:.6g}") for name, value in figures.items()}
