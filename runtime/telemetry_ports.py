"""The ports of what is told of the system's own work: spans and measurements. No truth: they may be lost, and age out."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from contracts.measurements import Measurement
from contracts.trace import SpanRecord


class SpanStore(Protocol):
    """Finished spans, kept for some days. No truth: what was stored may be lost with the machine's power."""

    async def store(self, spans: Sequence[SpanRecord]) -> None:
        """Keep them; one with a known id (a repeated reaction) supersedes the one that ended before it.

        Raises UnavailableError.
        """
        ...

    async def trace(self, trace_id: str) -> list[SpanRecord]:
        """The spans of one trace by start time, one an id: the one that ended last. Empty when there are none.

        Raises UnavailableError, InvalidError when the id is not 32 hex digits.
        """
        ...

    def between(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[SpanRecord]]:
        """Pages of the spans that ended in [since, until), in the order in which they were kept; a repeated one may come twice.

        Raises UnavailableError.
        """
        ...


class Measurements(Protocol):
    """Measurements, kept for some days. No truth: what was kept may be lost with the machine's power."""

    async def keep(self, measurement: Measurement) -> None:
        """Keep it. Raises UnavailableError, ValueError for a source's name that cannot be one."""
        ...

    def between(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[Measurement]]:
        """Pages of what was measured in [since, until), of all sources, in the order in which it was kept.

        Raises UnavailableError.
        """
        ...
