"""How far the reactions to a domain's events have come, as the broker knows it."""

import asyncio

from msgspec import Struct

from adapters.jetstream import Broker, RefusedError
from adapters.jetstream_streams import durable
from contracts import subjects
from contracts.domains import Domain

NO_CONSUMER = 10014


class _Floor(Struct):
    stream_seq: int = 0


class _Info(Struct):
    ack_floor: _Floor


class Reactions:
    """Of the workers of any process, also while none runs."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def ended(self, domain: Domain) -> list[int]:
        """By the partition of its actors: up to which sequence of the domain's log each event's reaction has ended, was parked or
        became a dead letter. Raises UnavailableError, RefusedError."""
        return await asyncio.gather(*(self._floor(domain, partition) for partition in range(subjects.PARTITIONS)))

    async def _floor(self, domain: Domain, partition: int) -> int:
        stream, consumer = durable(domain, "reactor", partition)
        try:
            info = await self._broker.api(f"CONSUMER.INFO.{stream}.{consumer.name}", {}, _Info)
        except RefusedError as error:
            if error.code != NO_CONSUMER:
                raise
            return 0  # No worker of the domain has ever been started.
        return info.ack_floor.stream_seq
