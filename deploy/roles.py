"""What each role runs, wired from the settings: one process runs one or more roles against the same servers."""

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from actors.roster import ACTORS, TOOLS
from adapters.jetstream import Broker, RefusedError, connect
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_snapshots import JetStreamSnapshots
from adapters.jetstream_streams import TOO_FEW_NODES, Sizes, TooSmallError, ensure_consumers, ensure_streams
from adapters.otel import OtelTelemetry, otlp
from adapters.span_store import JetStreamSpanStore
from contracts import subjects
from contracts.approval import EVERY_TOOL
from contracts.domains import Clearance, Domain
from contracts.ids import new_id
from deploy.clock import now
from deploy.embedded.supervisor import ROLES, say_ready
from deploy.logs import configure
from deploy.measuring import of_machine_and_broker, sampler
from deploy.plant import Opened, Plant
from deploy.registering import Registration
from deploy.repositories import named_repositories
from deploy.settings import Limits, Settings, SettingsError
from runtime.lifecycle import run_until_stopped
from runtime.named_repositories import NoRepositories
from runtime.outside import NoSummaries, Outside
from runtime.ports import EventLog, Summaries
from runtime.read_models import Db
from runtime.records import NoRecords, Records
from runtime.researching import NO_RESEARCH, Research
from runtime.worker import Worker

WORKERS = {domain.value: domain for domain in Domain if domain != Domain.EMBEDDING}
INBOX_PREFIX = "_DIARCHY"
"""Where replies to us arrive; programs outside may listen to the client's default only, and so never see one."""

GARBAGE_OBJECTS = 20_000  # new ones that make the collector look; Python's own 700 are less than ten requests

_LIMITS_OF_STREAMS = {
    "LOG": "log_stream_bytes_max",
    "IN": "in_stream_bytes_max",
    "SPANS": "spans_bytes_max",
    "MEASUREMENTS": "measurements_bytes_max",
}
"""By the end of a stream's name; the size of the others is no setting."""

_logger = logging.getLogger(__name__)


async def run_roles(
    roles: Sequence[str], settings: Settings, *, log: Callable[[Broker], EventLog] = JetStreamLog
) -> None:
    """Run the roles until SIGTERM or SIGINT. Raises SettingsError for an unknown role, missing servers or a rule for no tool.

    `log` makes the event log of a connection; fault tests put one in that fails.
    """
    unknown = [role for role in roles if role not in ROLES]
    if unknown or not roles:
        raise SettingsError(f"{', '.join(unknown) or 'no role'}: roles are {', '.join(ROLES)}", "roles")
    if not settings.nats.url:
        raise SettingsError("nats.url: is needed to run roles; `diarchy up` starts embedded servers", "nats.url")
    if not WORKERS.keys().isdisjoint(roles):
        _check_approvals(settings)
    service = "+".join(roles)
    configure(service, settings.log)
    async with AsyncExitStack() as stack:
        broker = await connect(
            settings.nats.servers,
            user=settings.nats.user or None,
            password=settings.nats.password.reveal() or None,
            name=service,
            inbox_prefix=INBOX_PREFIX,
            writes_waiting_max=settings.limits.writes_waiting_max,
        )
        stack.push_async_callback(broker.stop)
        await _ensure_streams(broker, settings)
        endpoint = settings.telemetry.otlp_endpoint
        telemetry = OtelTelemetry(
            service,
            store=JetStreamSpanStore(broker),
            exporter=otlp(endpoint) if endpoint else None,
            queue_max=settings.limits.spans_queue_max,
        )
        await telemetry.start()
        stack.push_async_callback(telemetry.stop)
        plant = Plant(settings, broker, log(broker), telemetry)
        for role in roles:
            await _wire(role, plant)
        for role in roles:
            await telemetry.metrics.serve(plant.untraced, role)
        plant.parts.append(sampler(service, plant))

        async def ready() -> None:
            collect_less()
            say_ready(settings.ready_fd)
            _logger.info("ready")

        await run_until_stopped(
            plant.parts, ready=ready, watch=[broker.wait_closed(), *(watched() for watched in plant.watched)]
        )


async def _ensure_streams(broker: Broker, settings: Settings) -> None:
    """As `ensure_streams`, but what a setting is to blame for is a SettingsError that names it."""
    replicas = settings.nats.replicas
    try:
        await ensure_streams(broker, replicas=replicas, sizes=_sizes(settings.limits))
    except TooSmallError as error:
        limit = _LIMITS_OF_STREAMS.get(error.stream.rpartition("_")[2])
        if limit is None:
            raise
        key = f"limits.{limit}"
        raise SettingsError(f"{key}: is too small: {error}; set it to {error.held:,} at least", key) from error
    except RefusedError as error:
        if replicas == 1 or error.code not in TOO_FEW_NODES:
            raise
        raise SettingsError(
            f"nats.replicas: is {replicas}, but the broker at nats.url has too few nodes for so many copies ({error}); "
            "set it to 1, or let nats.url lead to a cluster",
            "nats.replicas",
        ) from error


def collect_less() -> None:
    """Look for cyclic garbage less often, and never among what lives as long as the process: 5 % of a busy one's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)


async def _wire(role: str, plant: Plant) -> None:
    if role in WORKERS:
        await _worker(WORKERS[role], plant)
    elif role == "embedding":
        from deploy.embedding_role import wire_embedding

        await wire_embedding(plant)
    elif role == "projector":
        _projector(plant)
    else:
        from deploy.gateway_role import wire_gateway

        await wire_gateway(plant)


async def _worker(domain: Domain, plant: Plant) -> None:
    """Inbox and reactions of one domain."""
    from adapters.embedding_rpc import RemoteEmbeddings
    from adapters.retrieval import RemoteRetrieval
    from adapters.sandbox import Sandbox
    from deploy.providers import chat_models

    limits = plant.settings.limits
    chats = chat_models(plant.settings, plant.telemetry)
    plant.parts += chats.parts
    if chats.health is not None:
        await chats.health.serve(plant.untraced, domain)
    await ensure_consumers(plant.broker, domain, limits)
    sandbox = Sandbox(unprotected=plant.settings.tools.unprotected)
    plant.parts.append(sandbox)
    outside = Outside(
        log=plant.log,
        queue=plant.queue,
        timers=plant.timers,
        snapshots=JetStreamSnapshots(plant.broker),
        retrieval=RemoteRetrieval(plant.rpc, plant.telemetry, search_s_max=limits.rpc_s_max),
        model=chats.model,
        chats=chats.completions,
        announce=plant.untraced.announce,
        blobs=plant.blobs,
        telemetry=plant.telemetry,
        clock=now,
        research=_research(plant) if domain is Domain.SOPHIA else NO_RESEARCH,
        embeddings=RemoteEmbeddings(plant.rpc, embed_s_max=limits.rpc_s_max),
        summaries=_summaries(plant) if domain is Domain.CEO else NoSummaries(),
        records=_records(plant) if domain is Domain.SOPHIA else NoRecords(),
        repositories=named_repositories(plant.settings) if domain is Domain.ARTEMIS else NoRepositories(),
        caller=chats.caller,
        measurements=plant.measurements,
        spans=plant.spans,
        tools=TOOLS.get(domain, {}),
        approvals=plant.settings.approvals,
        tool_runner=sandbox,
        limits=limits,
    )
    worker = Worker(domain, ACTORS[domain], outside, plant.untraced, new_id())
    plant.parts += [worker, Registration(domain, plant.queue)]
    plant.watched.append(worker.wait)
    if domain is Domain.SYSTEM:
        plant.sources |= of_machine_and_broker(plant)


def _research(plant: Plant) -> Research:
    """Of the configured engine; without one nothing of it is loaded."""
    settings = plant.settings.web
    if not settings.url:
        return NO_RESEARCH
    from adapters.web_search import Engine, SearxWeb

    web = SearxWeb(
        Engine(
            url=settings.url,
            api_key=settings.api_key.reveal(),
            search_s_max=settings.search_s_max,
            page_s_max=settings.page_s_max,
            page_bytes_max=settings.page_bytes_max,
            private_hosts=settings.private_hosts,
        )
    )
    plant.parts.append(Opened(close=web.close))
    return Research(web=web, label_max=Clearance(settings.label_max), s_max=settings.research_s_max)


def _summaries(plant: Plant) -> Summaries:
    """Of the read model; nothing but the strategic summary needs it here."""
    from projections import summaries
    from runtime.caching import Cache

    db = _read_models(plant)
    return NoSummaries() if db is None else summaries.Summaries(summaries.StoredItems(db), Cache(plant.telemetry))


def _records(plant: Plant) -> Records:
    """Of the read model; only Sophia's tools work on them."""
    from projections.records import StoredRecords

    db = _read_models(plant)
    return NoRecords() if db is None else StoredRecords(db)


def _read_models(plant: Plant) -> Db | None:
    """Connections of its own to the read models; None where no database is configured."""
    from adapters import postgres

    limits, dsn = plant.settings.limits, plant.settings.postgres.dsn.reveal()
    if not dsn:
        return None
    patience = postgres.Patience(acquire_s_max=limits.read_acquire_s_max, command_s_max=limits.read_command_s_max)
    database = postgres.Postgres(dsn, connections_max=limits.postgres_connections_max, patience=patience)
    plant.parts.append(Opened(close=database.close))
    return postgres.PostgresDb(database)


def _projector(plant: Plant) -> None:
    from adapters.postgres import Postgres
    from adapters.postgres_read_models import PostgresReadModels
    from projections.catalogue import PROJECTIONS
    from runtime.projector import ExactlyOnceProjector

    async def announce(domain: Domain, sequence: int) -> None:
        await plant.rpc.announce(subjects.projected(domain), str(sequence).encode())

    postgres = Postgres(plant.settings.postgres.dsn.reveal())
    plant.parts.append(Opened(close=postgres.close))
    plant.parts.append(
        ExactlyOnceProjector(
            plant.log,
            PostgresReadModels(postgres),
            PROJECTIONS,
            announce=announce,
            telemetry=plant.telemetry,
            batch_max=plant.settings.limits.projection_batch_max,
        )
    )


def _sizes(limits: Limits) -> Sizes:
    return Sizes(
        inbox_bytes_max=limits.in_stream_bytes_max,
        inbox_messages_max=limits.backlog_max,
        inbox_age_s_max=limits.in_stream_age_s_max,
        log_bytes_max=limits.log_stream_bytes_max,
        spans_bytes_max=limits.spans_bytes_max,
        spans_age_s_max=limits.spans_age_s_max,
        measurements_bytes_max=limits.measurements_bytes_max,
        measurements_age_s_max=limits.measurements_age_s_max,
        cache_bytes_max=limits.shared_cache_bytes_max,
    )


def run(roles: Sequence[str], settings: Settings) -> None:
    """`run_roles` on uvloop, to its end."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_roles(roles, settings))


def _check_approvals(settings: Settings) -> None:
    """Raises SettingsError for a rule of a tool that is none: nobody would be asked about what was meant."""
    tools = {name for of_domain in TOOLS.values() for name in of_domain}
    for number, rule in enumerate(settings.approvals):
        for name in rule.tools:
            if name not in tools and name != EVERY_TOOL:
                known = ", ".join(sorted(tools))
                raise SettingsError(f"approvals[{number}].tools: {name} is none of the tools {known}", "approvals")
