"""The gateway role: the HTTP API over the running servers, and the first administrator."""

import asyncio
import logging
import math

import msgspec
from argon2 import PasswordHasher

from adapters.embedding_rpc import RemoteEmbeddings
from adapters.jetstream_cache import JetStreamCache
from adapters.postgres import Patience, Postgres, PostgresDb
from adapters.prometheus import gather
from adapters.retrieval import RemoteRetrieval
from contracts import subjects
from contracts.agents import Pulse
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Record
from contracts.ids import keyed_id
from contracts.model import Allowance
from contracts.subjects import actor_ref
from contracts.users import CreateUser
from deploy.clock import now
from deploy.embedded.supervisor import ROLES
from deploy.health_checks import checks, role
from deploy.keys import admin_password, signing_key
from deploy.measuring import of_health
from deploy.plant import Opened, Plant
from deploy.providers import chat_names
from deploy.settings import Settings
from deploy.tools_shown import shown
from gateway import routes
from gateway.identity import Passwords, Tokens
from gateway.rates import Quota
from gateway.reads import PostgresReads
from gateway.server import GatewayServer
from gateway.services import GatewaySettings, Services
from gateway.watch import ProjectionWatch
from gateway.written import WrittenWatch
from runtime.errors import UnavailableError
from runtime.merged_embeddings import MergedEmbeddings
from runtime.pulses import Pulses

ADMIN_CHECK_S = 5.0

_logger = logging.getLogger(__name__)


async def wire_gateway(plant: Plant) -> None:
    """Add the gateway's parts to what the process runs."""
    settings = plant.settings
    limits = settings.limits
    postgres = Postgres(
        settings.postgres.dsn.reveal(),
        connections_max=limits.postgres_connections_max,
        patience=Patience(acquire_s_max=limits.read_acquire_s_max, command_s_max=limits.read_command_s_max),
    )
    db = PostgresDb(postgres)
    retrieval = RemoteRetrieval(plant.rpc, plant.telemetry, search_s_max=limits.rpc_s_max)
    others = [role for role in ROLES if role != "gateway"]

    async def metrics() -> bytes:
        return await gather(plant.untraced, plant.telemetry.metrics, role="gateway", others=others)

    pulses = Pulses(plant.untraced)

    async def pulse(domain: Domain) -> Pulse | None:
        if domain is not Domain.EMBEDDING:
            return pulses.of(domain)
        try:
            await role(plant.untraced, "embedding")()
        except UnavailableError:
            return None
        return Pulse(1, 0.0)

    embeddings = MergedEmbeddings(RemoteEmbeddings(plant.rpc, embed_s_max=limits.embed_s_max), plant.telemetry)
    services = Services(
        log=plant.log,
        queue=plant.queue,
        letters=plant.letters,
        retrieval=retrieval,
        embeddings=embeddings,
        blobs=plant.blobs,
        shared_cache=JetStreamCache(plant.broker) if settings.caches.shared else None,
        reads=PostgresReads(db),
        spans=plant.spans,
        telemetry=plant.telemetry,
        tokens=Tokens(signing_key(settings)),
        passwords=Passwords(waiting_max=plant.settings.limits.logins_waiting_max),
        watch=ProjectionWatch(plant.rpc),
        written=WrittenWatch(plant.rpc),
        chat_models=chat_names(settings),
        tools=shown(),
        clock=now,
        checks=checks(plant, db, retrieval, others),
        metrics=metrics,
        pulse=pulse,
        settings=_bounds(settings),
    )
    plant.sources |= of_health(services.checks, services.settings.check_timeout_s)
    plant.parts += [Opened(close=postgres.close), embeddings, pulses]
    administrator = FirstAdministrator(plant)
    plant.parts.append(administrator)
    plant.watched.append(administrator.failed)
    plant.parts.append(
        GatewayServer(services, host=settings.gateway.host, port=settings.gateway.port, routes=routes.ROUTES)
    )


def _bounds(settings: Settings) -> GatewaySettings:
    limits = settings.limits
    return GatewaySettings(
        wait_s=limits.wait_s_default,
        wait_s_max=limits.wait_s_max,
        body_bytes_max=limits.body_bytes_max,
        file_bytes_max=limits.blob_bytes_max,
        bodies_bytes_max=limits.bodies_bytes_max,
        requests_in_flight_max=limits.requests_in_flight_max,
        connections_max=limits.connections_max,
        domain_quota=Quota(limits.requests_per_minute_max, limits.requests_per_hour_max),
        cross_quota=Quota(limits.cross_requests_per_minute_max, limits.cross_requests_per_hour_max),
        import_quota=Quota(limits.import_requests_per_minute_max, limits.import_requests_per_hour_max),
        streams_max=limits.streams_max,
        cache_entries_max=limits.cache_entries_max,
        cache_bytes_max=limits.cache_bytes_max,
        budget=budget_of(settings),
    )


def budget_of(settings: Settings) -> Allowance | None:
    """That of a run whose request names none."""
    given = settings.budget
    cost = math.ceil(given.cost_max * 1_000_000)
    return Allowance(tokens=given.tokens_max or None, cost_micros=cost or None) if given.tokens_max or cost else None


class FirstAdministrator:
    """Sees to it that the configured administrator exists: asks the system domain to create him, once. A Runnable."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._ensure(), name="first administrator")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def failed(self) -> None:
        """Raise what kept him from being made; otherwise never return: that he exists is no reason to end the process."""
        if self._task is not None:
            await self._task
        await asyncio.Event().wait()

    async def _ensure(self) -> None:
        username = self._plant.settings.gateway.admin_username
        actor = actor_ref(Domain.SYSTEM, "user", username)
        while True:
            try:
                if await self._plant.log.read(subjects.log(actor)):
                    return
                password = await asyncio.to_thread(admin_password, self._plant.settings)
                encoded = await asyncio.to_thread(PasswordHasher().hash, password)
                message = CreateUser(
                    username=username, password_hash=encoded, roles=("admin",), clearance=Clearance.TOP_SECRET
                )
                identity = keyed_id("first administrator", username)
                envelope = Envelope(
                    id=identity,
                    type=tag(CreateUser),
                    time=now(),
                    correlation=identity,
                    principal="system",
                    source=Domain.SYSTEM,
                    target=Domain.SYSTEM,
                    clearance=Clearance.TOP_SECRET,
                    label=Clearance.TOP_SECRET,
                )
                await self._plant.queue.publish(subjects.inbox(actor), Record(envelope, msgspec.json.encode(message)))
            except UnavailableError as error:
                _logger.warning("the first administrator waits: %s", error)
                await asyncio.sleep(ADMIN_CHECK_S)
            else:
                return
