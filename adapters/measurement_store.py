"""Where measurements are kept: a stream with a subject a source, or memory."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import msgspec

from adapters.jetstream import Broker
from adapters.kept_window import pages
from contracts import subjects
from contracts.measurements import Measurement

LATE_S_MAX = 10.0  # from a measurement's moment to its being kept
MEMORY_MAX = 100_000

_decoder = msgspec.json.Decoder(Measurement)


class JetStreamMeasurements:
    """Measurements in the MEASUREMENTS stream."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def keep(self, measurement: Measurement) -> None:
        await self._broker.store(subjects.measured(measurement.source), msgspec.json.encode(measurement), {})

    async def between(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[Measurement]]:
        late = timedelta(seconds=LATE_S_MAX)
        stream, subject = subjects.MEASUREMENTS_STREAM, subjects.MEASUREMENTS_FILTER
        async for page in pages(self._broker, stream, subject, since=since - late, until=until + late):
            if found := _within([_decoder.decode(message.data) for message in page], since, until):
                yield found


class MemoryMeasurements:
    """Measurements that are forgotten with their process."""

    def __init__(self) -> None:
        self._kept: deque[Measurement] = deque(maxlen=MEMORY_MAX)

    async def keep(self, measurement: Measurement) -> None:
        subjects.measured(measurement.source)
        self._kept.append(measurement)

    async def between(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[Measurement]]:
        if found := _within(self._kept, since, until):
            yield found


def _within(measurements: Sequence[Measurement], since: datetime, until: datetime) -> list[Measurement]:
    first, last = since.timestamp() * 1_000, until.timestamp() * 1_000
    return [one for one in measurements if first <= one.at_ms < last]
