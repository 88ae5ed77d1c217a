"""What the gateway needs of the rest, in one value that `deploy` fills in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from contracts.domains import Clearance, Domain
from contracts.http import Analysis, EventView, KnowledgeItem, Session, SpanView, Turn
from gateway.identity import Passwords, Tokens
from gateway.watch import ProjectionWatch
from runtime.ports import Blobs, EventLog, Queue, Retrieval
from runtime.telemetry import Telemetry


class GatewaySettings(Struct, frozen=True, kw_only=True):
    """The gateway's limits. What a person can ask for in a header (`Prefer: wait=…`) is cut to `wait_s_max`."""

    wait_s: float = 30.0
    wait_s_max: float = 120.0
    projection_wait_s: float = 2.0
    progress_poll_s: float = 0.5
    heartbeat_s: float = 15.0
    body_bytes_max: int = 2 * 1024 * 1024
    file_bytes_max: int = 16 * 1024 * 1024
    requests_in_flight_max: int = 2_000
    streams_max: int = 500
    events_scanned_max: int = 20_000
    check_timeout_s: float = 3.0
    metrics_open: bool = False


class Reads(Protocol):
    """The read models as the gateway asks them. Nothing with a label above `clearance` is ever returned.

    Every method raises UnavailableError when the read models cannot be reached.
    """

    async def sessions(
        self, *, owner: str | None, domains: Sequence[Domain], clearance: Clearance, limit: int
    ) -> list[Session]:
        """Sessions of one owner (None: anybody's), newest first."""
        ...

    async def session(self, id: str, *, clearance: Clearance) -> Session | None: ...  # noqa: A002 - the field's name

    async def turns(self, session: str, *, clearance: Clearance, limit: int) -> list[Turn]:
        """Questions and answers, newest first."""
        ...

    async def analyses(self, *, by: str | None, clearance: Clearance, limit: int) -> list[Analysis]:
        """Analyses somebody (None: anybody) started, newest first."""
        ...

    async def analysis(self, id: str, *, clearance: Clearance) -> Analysis | None: ...  # noqa: A002 - the field's name

    async def knowledge(self, ids: Sequence[str], *, clearance: Clearance, now: datetime) -> list[KnowledgeItem]:
        """The items that exist, have not expired at `now` and may be read; in any order."""
        ...

    async def run(self, correlation: str, *, clearance: Clearance) -> list[EventView]:
        """What happened under one correlation id in every domain, by time; without bodies."""
        ...


class Spans(Protocol):
    """The local store of finished spans."""

    async def trace(self, trace_id: str) -> Sequence[SpanView]:
        """The spans of one trace (32 hex digits). Raises UnavailableError."""
        ...


CheckFunction = Callable[[], Awaitable[str]]
"""Ask a dependency whether it is there: returns a few words about it, raises when it is not."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a route may use. `checks` are named dependencies, `metrics` gives the Prometheus text."""

    log: EventLog
    queue: Queue
    retrieval: Retrieval
    blobs: Blobs
    reads: Reads
    spans: Spans
    telemetry: Telemetry
    tokens: Tokens
    passwords: Passwords
    watch: ProjectionWatch
    clock: Callable[[], datetime]
    checks: Mapping[str, CheckFunction] = field(default_factory=dict)
    metrics: Callable[[], bytes] = bytes
    settings: GatewaySettings = field(default_factory=GatewaySettings)
