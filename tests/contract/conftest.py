"""The worlds that the contract suites of the broker ports run in: memory, and a real nats-server."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import pytest

from adapters.jetstream import Broker, RefusedError
from adapters.jetstream_blobs import JetStreamBlobs
from adapters.jetstream_letters import JetStreamLetters
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_queue import JetStreamQueue
from adapters.jetstream_rpc import NatsRpc
from adapters.jetstream_streams import Sizes, ensure_consumers, ensure_streams, streams
from adapters.jetstream_timers import JetStreamTimers
from adapters.memory import MemoryBlobs, MemoryBroker, MemoryLog, MemoryQueue, MemoryRpc
from adapters.memory_timers import MemoryTimers
from contracts.domains import Domain
from runtime.limits import Limits
from runtime.ports import Blobs, DeadLetters, EventLog, Queue, Rpc, Timers
from runtime.telemetry import Telemetry
from tests.model_server import ModelServer, Options
from tests.servers import NatsServer, connected

SCENARIO_S_MAX = 60
STORE_NOT_CREATED = 10049
LIMITS = Limits(ack_wait_s=1.0)


@dataclass
class World:
    """The ports over one broker. `publish_plain(subject, body)` is what a program outside does.

    `consume(domain)` comes before a hold of another domain's queues than Sophia's: to make the consumers of all takes the server
    longer than most scenarios do.
    """

    log: EventLog
    queue: Queue
    letters: DeadLetters
    blobs: Blobs
    timers: Timers
    rpc: Callable[[Telemetry | None], Rpc]
    publish_plain: Callable[[str, bytes], Awaitable[None]]
    consume: Callable[[Domain], Awaitable[None]]


Scenario = Callable[[World], Awaitable[None]]
Run = Callable[[Scenario], None]


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["memory", "jetstream"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a scenario in a world of its own."""
    if request.param == "memory":
        return lambda scenario: asyncio.run(_in_memory(scenario))
    server: NatsServer = request.getfixturevalue("nats_server")
    return lambda scenario: asyncio.run(on_server(server, scenario))


async def _in_memory(scenario: Scenario) -> None:
    broker = MemoryBroker(ack_wait_s=0.3)
    world = World(
        MemoryLog(broker),
        MemoryQueue(broker),
        broker.letters,
        MemoryBlobs(broker),
        MemoryTimers(broker),
        lambda telemetry: MemoryRpc(broker, telemetry),
        broker.publish_plain,
        _consume_in_memory,
    )
    async with asyncio.timeout(SCENARIO_S_MAX):
        await scenario(world)


async def _consume_in_memory(_domain: Domain) -> None:
    """Consumers are there when they are asked for."""


def jetstream_world(broker: Broker) -> World:
    return World(
        JetStreamLog(broker),
        JetStreamQueue(broker),
        JetStreamLetters(broker),
        JetStreamBlobs(broker),
        JetStreamTimers(broker),
        lambda telemetry: NatsRpc(broker, telemetry),
        broker.publish,
        lambda domain: ensure_consumers(broker, domain, LIMITS),
    )


async def on_server(server: NatsServer, scenario: Scenario) -> None:
    async with asyncio.timeout(SCENARIO_S_MAX):
        async with connected(server) as broker:
            await _renew(broker)
            server.stage()
            await scenario(jetstream_world(broker))


async def _renew(broker: Broker) -> None:
    """Empty streams, and Sophia's consumers.

    The server removes what is deleted in the background and may still be at it: try again then.
    """
    for attempt in range(10):
        for stream in streams(1, Sizes()):
            with suppress(RefusedError):  # there was none
                await broker.api(f"STREAM.DELETE.{stream.name}", {}, dict)
        try:
            await ensure_streams(broker)
            await ensure_consumers(broker, Domain.SOPHIA, LIMITS)
            return
        except RefusedError as error:
            if error.code != STORE_NOT_CREATED or attempt == 9:
                raise
    return


@pytest.fixture
def servers() -> Iterator[list[ModelServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(ModelServer(Options())) for _ in range(3)]
