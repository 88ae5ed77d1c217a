"""Plant: what all roles of one process share."""

from collections.abc import Awaitable, Callable

from adapters.jetstream import Broker
from adapters.jetstream_blobs import JetStreamBlobs
from adapters.jetstream_letters import JetStreamLetters
from adapters.jetstream_queue import JetStreamQueue
from adapters.jetstream_rpc import NatsRpc
from adapters.jetstream_timers import JetStreamTimers
from adapters.measurement_store import JetStreamMeasurements
from adapters.otel import OtelTelemetry
from adapters.span_store import JetStreamSpanStore
from deploy.settings import Settings
from runtime.measuring import Take
from runtime.ports import EventLog, Runnable


class Plant:
    """The connection, the adapters over it, telemetry, and what the roles add.

    That is parts to run, tasks whose end is a failure, and sources of figures to be measured.
    """

    def __init__(self, settings: Settings, broker: Broker, log: EventLog, telemetry: OtelTelemetry) -> None:
        self.settings = settings
        self.broker = broker
        self.telemetry = telemetry
        self.log = log
        limits = settings.limits
        self.queue = JetStreamQueue(broker, pending_max=limits.pending_max)
        self.letters = JetStreamLetters(broker)
        self.timers = JetStreamTimers(broker, actor_max=limits.timers_actor_max)
        self.blobs = JetStreamBlobs(broker)
        self.spans = JetStreamSpanStore(broker)
        self.measurements = JetStreamMeasurements(broker)
        self.sources: dict[str, Take] = {}
        self.rpc = NatsRpc(broker, telemetry, calls_max=limits.rpc_concurrent_max, waiting_max=limits.rpc_waiting_max)
        self.untraced = NatsRpc(broker)  # For what nobody wants to see in a trace, such as the gathering of metrics.
        self.parts: list[Runnable] = []
        self.watched: list[Callable[[], Awaitable[None]]] = []


async def _nothing() -> None: ...


class Opened:
    """Something that is opened and closed, as a Runnable."""

    def __init__(
        self, open_: Callable[[], Awaitable[None]] = _nothing, close: Callable[[], Awaitable[None]] = _nothing
    ) -> None:
        self._open = open_
        self._close = close

    async def start(self) -> None:
        await self._open()

    async def stop(self) -> None:
        await self._close()
