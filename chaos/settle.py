"""Quiet: when everything that was accepted has been handled, as far as the broker and the database can tell."""

import asyncio
import time

from msgspec import Struct

from adapters.jetstream import Broker
from adapters.jetstream_log import JetStreamLog
from adapters.postgres import Postgres
from adapters.postgres_read_models import PostgresReadModels
from contracts import subjects
from contracts.domains import Domain
from deploy.settings import Settings
from projections.catalogue import PROJECTIONS
from runtime.errors import UnavailableError

LOOK_S = 0.5
QUIET_LOOKS = 4
"""So often in a row nothing may be waiting: between two messages of a run there are moments when nothing is."""


class _Config(Struct):
    durable_name: str = ""


class _Consumer(Struct):
    name: str
    config: _Config
    num_pending: int = 0
    num_ack_pending: int = 0


class _Consumers(Struct):
    consumers: list[_Consumer] | None = None


async def settled(broker: Broker, settings: Settings, *, timeout_s: float) -> str:
    """Return "" when all has been quiet for a while, else what still waits after `timeout_s`."""
    postgres = Postgres(settings.postgres.dsn.reveal())
    until, quiet, waiting = time.monotonic() + timeout_s, 0, "the broker"
    ends: dict[Domain, int] = {}
    try:
        while quiet < QUIET_LOOKS:
            if time.monotonic() > until:
                return waiting
            await asyncio.sleep(LOOK_S)
            try:
                before, ends = ends, await _ends(broker)
                waiting = await _pending(broker) or await _behind(postgres, ends)
            except UnavailableError as error:
                waiting = str(error)
            if not waiting and before != ends:
                waiting = "the logs still grow"
            quiet = 0 if waiting else quiet + 1
    finally:
        await postgres.close()
    return ""


async def _ends(broker: Broker) -> dict[Domain, int]:
    log = JetStreamLog(broker)
    return {domain: await log.last(domain) for domain in Domain}


async def _pending(broker: Broker) -> str:
    """Durable consumers with something left to do."""
    left = []
    for domain in Domain:
        for stream in (subjects.in_stream(domain), subjects.log_stream(domain)):
            found = await broker.api(f"CONSUMER.LIST.{stream}", {}, _Consumers)
            left += [
                f"{one.name}: {one.num_pending} waiting, {one.num_ack_pending} in hand"
                for one in found.consumers or []
                if one.config.durable_name and one.num_pending + one.num_ack_pending
            ]
    return "; ".join(left)


async def _behind(postgres: Postgres, ends: dict[Domain, int]) -> str:
    """Read models of every record that have not come to where the logs ended; the others save their position at times only."""
    read_models = PostgresReadModels(postgres)
    for projection in PROJECTIONS:
        if projection.takes is not None:
            continue
        positions = await read_models.positions(projection)
        for domain in projection.domains:
            if positions.get(domain, 0) < ends[domain]:
                return f"{projection.name} is at {positions.get(domain, 0)} of {ends[domain]} in {domain.value}"
    return ""
