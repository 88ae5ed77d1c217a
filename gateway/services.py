"""What the gateway needs of the rest, in one value that `deploy` fills in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from contracts.agents import Pulse, Work
from contracts.alerts import Alert, Alerts, AlertsQuery
from contracts.approvals import Approvals, ApprovalsQuery
from contracts.collaborating import Collaborations, CollaborationsQuery, CollaborationView
from contracts.curating import (
    AdoptableItems,
    AdoptableQuery,
    ImportedItems,
    ImportsQuery,
    KnowledgeItem,
    KnowledgeLines,
    KnowledgeQuery,
)
from contracts.domains import Clearance, Domain, Partition
from contracts.http import (
    Analyses,
    AnalysesQuery,
    Analysis,
    EventsQuery,
    EventView,
    MessagesQuery,
    ModelUsage,
    Session,
    Sessions,
    SessionsQuery,
    Turns,
)
from contracts.memory import Memories, MemoriesQuery
from contracts.model import Allowance
from contracts.tools import ToolView
from gateway.heads import Heads
from gateway.identity import Passwords, Tokens
from gateway.rates import Quota
from gateway.watch import ProjectionWatch
from gateway.written import WrittenWatch
from projections.approvals import Reader
from projections.strategic import Outlook, StrategicItem
from runtime.caching import Cache, SharedCache
from runtime.model_names import Named
from runtime.ports import Blobs, DeadLetters, EventLog, Queue, Retrieval
from runtime.telemetry import Telemetry
from runtime.telemetry_ports import SpanStore
from runtime.vector_ports import Embeddings


class GatewaySettings(Struct, frozen=True, kw_only=True):
    """The gateway's limits. What a person can ask for in a header (`Prefer: wait=…`) is cut to `wait_s_max`.

    The quotas (mission F3) are of a user at a path; administrators have none. More connections than `connections_max` wait
    unaccepted, more than `requests_in_flight_max` or `bodies_bytes_max` are answered 503. Before 202 is answered the run may
    take up to `accepted_s_max` to be found at its status_url. `streams_max` is for all askers; each may have a tenth of it.
    `budget` is that of a run whose request names none.
    """

    wait_s: float = 30.0
    wait_s_max: float = 120.0
    accepted_s_max: float = 1.0
    projection_wait_s: float = 2.0
    progress_poll_s: float = 0.5
    events_poll_s: float = 1.0
    heartbeat_s: float = 15.0
    body_bytes_max: int = 2 * 1024 * 1024
    file_bytes_max: int = 16 * 1024 * 1024
    bodies_bytes_max: int = 256 * 1024 * 1024
    requests_in_flight_max: int = 2_000
    connections_max: int = 4_096
    streams_max: int = 500
    domain_quota: Quota = Quota(per_minute=60, per_hour=1_000)
    cross_quota: Quota = Quota(per_minute=30, per_hour=500)
    import_quota: Quota = Quota(per_minute=3_000, per_hour=60_000)
    cache_entries_max: int = 10_000
    cache_bytes_max: int = 32 * 1024 * 1024
    check_timeout_s: float = 3.0
    metrics_open: bool = False
    budget: Allowance | None = None


class EventsRead(Struct, frozen=True):
    """Some records, oldest first, the cursor behind them, and whether there may be more now."""

    events: tuple[EventView, ...]
    cursor: str
    more: bool


class Reads(Protocol):
    """The read models as the gateway asks them. Nothing with a label above `clearance` is ever returned.

    Every method raises UnavailableError when the read models cannot be reached, InvalidError for a cursor that is not ours.
    """

    async def sessions(
        self, query: SessionsQuery, *, owner: str | None, domains: Sequence[Domain], clearance: Clearance
    ) -> Sessions:
        """Sessions of one owner (None: anybody's), newest first."""
        ...

    async def session(self, id: str, *, clearance: Clearance) -> Session | None: ...  # noqa: A002 - the field's name

    async def turns(self, session: str, query: MessagesQuery, *, clearance: Clearance) -> Turns:
        """Questions and answers, newest first."""
        ...

    async def analyses(self, query: AnalysesQuery, *, by: str | None, clearance: Clearance) -> Analyses:
        """Analyses somebody (None: anybody) started, newest first."""
        ...

    async def analysis(self, id: str, *, clearance: Clearance) -> Analysis | None: ...  # noqa: A002 - the field's name

    async def approvals(self, query: ApprovalsQuery, reader: Reader) -> Approvals:
        """The approvals of `query.which` that this reader may see, newest first."""
        ...

    async def awaited(self, runs: Sequence[str], *, clearance: Clearance) -> dict[str, tuple[str, ...]]:
        """The approvals that these runs wait for people to decide, by run, the oldest first."""
        ...

    async def knowledge(self, ids: Sequence[str], *, clearance: Clearance, now: datetime) -> list[KnowledgeItem]:
        """The items that exist, have not expired at `now` and may be read; in any order."""
        ...

    async def knowledge_lines(
        self, query: KnowledgeQuery, *, partitions: Sequence[Partition], clearance: Clearance, now: datetime
    ) -> KnowledgeLines:
        """The items in these partitions that are there at `now`, by last change, newest first."""
        ...

    async def work(self, since: datetime) -> Sequence[Work]:
        """What was asked of each agent since then, and how it ended."""
        ...

    async def alerts(self, query: AlertsQuery, *, clearance: Clearance) -> Alerts:
        """Strategic alerts, the newest first."""
        ...

    async def alert(self, id: str, *, clearance: Clearance) -> Alert | None: ...  # noqa: A002 - the field's name

    async def memories(
        self, query: MemoriesQuery, *, owner: str, agents: Sequence[Domain], clearance: Clearance, now: datetime
    ) -> Memories:
        """What these agents remember of somebody at `now`, newest first."""
        ...

    async def searchable(self, among: Sequence[str], *, by: str, clearance: Clearance) -> list[str]:
        """Those of somebody's runs that have put their item into the index, or found it there unchanged."""
        ...

    async def imports(self, query: ImportsQuery, *, owner: str, clearance: Clearance, now: datetime) -> ImportedItems:
        """What somebody imported into a collection and is there now, by id."""
        ...

    async def owns(self, owner: str, item: str, *, clearance: Clearance, now: datetime) -> bool:
        """Whether the item is there, was added by him, and may be read by him."""
        ...

    async def collections(self, among: Sequence[str], *, owner: str, clearance: Clearance, now: datetime) -> list[str]:
        """Those of the collections into which somebody imported something that is there now."""
        ...

    async def adoptable(
        self, query: AdoptableQuery, *, owner: str, clearance: Clearance, now: datetime
    ) -> AdoptableItems:
        """What somebody added without importing it and is there now, by id."""
        ...

    async def knowledge_epoch(self) -> str:
        """Another text whenever the items may have changed; what is read after it is at least as new."""
        ...

    async def strategic_items(self, outlook: Outlook, *, clearance: Clearance) -> list[StrategicItem]:
        """The items of the highest priority in each category of the outlook, best first."""
        ...

    async def run(self, correlation: str, *, clearance: Clearance) -> list[EventView]:
        """What happened under one correlation id in every domain, effects included, by time; without bodies."""
        ...

    async def label_of_run(self, correlation: str) -> Clearance | None:
        """How confidential everything is that happened under one correlation id, taken together; None: nothing did."""
        ...

    async def collaborations(
        self, query: CollaborationsQuery, *, by: str | None, clearance: Clearance, now: datetime
    ) -> Collaborations:
        """What somebody (None: anybody) had asked of domains, newest first."""
        ...

    async def collaboration(self, id: str, *, clearance: Clearance, now: datetime) -> CollaborationView | None: ...  # noqa: A002 - the field's name

    async def raised_runs(self, correlations: Sequence[str]) -> dict[str, Clearance]:
        """Those of the runs that rest on knowledge which is more confidential now than they say, and how much."""
        ...

    async def spent(self, correlation: str, *, clearance: Clearance) -> dict[Domain, ModelUsage]:
        """What a run's calls of models have cost so far, by domain."""
        ...

    async def events(self, query: EventsQuery, *, clearance: Clearance) -> EventsRead:
        """The next matching records after `query.after`, with bodies."""
        ...

    async def end_of_events(self) -> str:
        """The cursor behind everything that is there now."""
        ...


CheckFunction = Callable[[], Awaitable[str]]
"""Ask a dependency whether it is there: returns a few words about it, raises when it is not."""


async def _no_metrics() -> bytes:
    return b""


async def _no_pulse(_domain: Domain) -> Pulse | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a route may use. `checks` are named dependencies, `metrics` gives the Prometheus text, `pulse` whether
    a domain's workers live.

    `chat_models` are the configured ones, which a raw chat may be had with.
    """

    log: EventLog
    queue: Queue
    letters: DeadLetters
    retrieval: Retrieval
    embeddings: Embeddings
    blobs: Blobs
    reads: Reads
    spans: SpanStore
    telemetry: Telemetry
    tokens: Tokens
    passwords: Passwords
    watch: ProjectionWatch
    written: WrittenWatch
    clock: Callable[[], datetime]
    checks: Mapping[str, CheckFunction] = field(default_factory=dict)
    metrics: Callable[[], Awaitable[bytes]] = _no_metrics
    pulse: Callable[[Domain], Awaitable[Pulse | None]] = _no_pulse
    chat_models: tuple[Named, ...] = ()
    tools: tuple[ToolView, ...] = ()
    settings: GatewaySettings = field(default_factory=GatewaySettings)
    shared_cache: SharedCache | None = None
    heads: Heads = field(init=False)
    cache: Cache = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "heads", Heads(self.log))
        bounds = self.settings
        cache = Cache(
            self.telemetry,
            self.shared_cache,
            entries_max=bounds.cache_entries_max,
            bytes_max=bounds.cache_bytes_max,
        )
        object.__setattr__(self, "cache", cache)
