"""The strategic summary over HTTP: of the partitions that the asker may read, under his clearance."""

from contracts.curating import StrategicSummary, SummaryQuery
from gateway.commands import PARTITION_READ, Incoming, may_read
from projections.summaries import Summaries


async def summary(incoming: Incoming[SummaryQuery]) -> StrategicSummary:
    principal, services = incoming.principal, incoming.services
    partitions = tuple(partition for partition in PARTITION_READ if may_read(principal, partition))
    return await Summaries(services.reads, services.cache).summary(
        incoming.body, partitions, clearance=principal.clearance, now=services.clock()
    )
