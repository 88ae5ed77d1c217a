"""What `/health/detailed` asks: every dependency and role, the vector index, each provider of models for every worker,
and each embedding server."""

import asyncio
from collections.abc import Sequence

import msgspec

from adapters.embedding_rpc import RemoteEmbeddings
from adapters.postgres import PostgresDb
from adapters.retrieval import RemoteRetrieval
from adapters.vector_admin import RemoteVectors, ailment, described
from contracts import subjects
from contracts.domains import Clearance, Domain
from contracts.model import ProviderStatus
from contracts.retrieval import Query
from deploy.clock import now
from deploy.embedding_models import server_names
from deploy.plant import Plant
from gateway.services import CheckFunction
from runtime.errors import UnavailableError
from runtime.ports import Rpc

ASKED_S_MAX = 2.0
ASKING = tuple(domain for domain in Domain if domain != Domain.EMBEDDING)
"""The domains whose workers ask models, each with circuits of its own."""


class _One(msgspec.Struct):
    one: int


def checks(plant: Plant, db: PostgresDb, retrieval: RemoteRetrieval, others: Sequence[str]) -> dict[str, CheckFunction]:
    """All of them by name; `others` are the roles beside the one that asks."""

    async def broker() -> str:
        return f"{sum([await plant.log.last(domain) for domain in Domain])} records in the logs"

    async def database() -> str:
        await db.rows(_One, "SELECT 1 AS one")
        return "answers"

    async def search() -> str:
        query = Query(partitions=("shared_knowledge",), text="ready?", clearance=Clearance.PUBLIC, now=now(), limit=1)
        await retrieval.search(query)
        return "answers"

    return {
        "broker": broker,
        "database": database,
        "search": search,
        "vectors": vectors(plant.untraced),
        **{name: role(plant.untraced, name) for name in others},
        **{f"model provider {one.name}": provider(plant.untraced, one.name) for one in plant.settings.chat},
        **{f"embedding server {name}": embedding_server(plant.untraced, name) for name in server_names(plant.settings)},
    }


def role(rpc: Rpc, name: str) -> CheckFunction:
    """Whether it answers at all."""

    async def check() -> str:
        await rpc.call(subjects.metrics(name), b"", timeout_s=ASKED_S_MAX)
        return "answers"

    return check


def vectors(rpc: Rpc) -> CheckFunction:
    """Whether the index is built as it is wanted, or on its way there: the old one may answer, and the new one never come."""

    async def check() -> str:
        status = await RemoteVectors(rpc).status()
        if trouble := ailment(status):
            raise UnavailableError("vector index", f"{trouble} ({described(status)})")
        return described(status)

    return check


def provider(rpc: Rpc, name: str) -> CheckFunction:
    """Whether it may be asked by the workers of all domains: each has its own circuit, and its own way there."""

    async def check() -> str:
        asked = await asyncio.gather(*(_seen_by(rpc, domain, name) for domain in ASKING))
        for domain, status in zip(ASKING, asked, strict=True):
            if not status.usable:
                raise UnavailableError(f"{name} for {domain.value}", status.detail)
        return asked[0].detail

    return check


def embedding_server(rpc: Rpc, name: str) -> CheckFunction:
    """Whether it answered for all of its models when it was last asked, and why not."""

    async def check() -> str:
        away: list[str] = []
        models: list[str] = []
        for one in await RemoteEmbeddings(rpc).models():
            for server, reason in zip(one.servers, one.reasons, strict=True):
                if server == name:
                    models.append(one.model.name)
                    away += [f"{one.model.name}: {reason}"] if reason else []
        if away:
            raise UnavailableError(name, "; ".join(away))
        if not models:
            raise UnavailableError(name, "the embedding role was started without it")
        return f"answers for {', '.join(models)}"

    return check


async def _seen_by(rpc: Rpc, domain: Domain, name: str) -> ProviderStatus:
    """How a domain's worker sees a provider. Raises UnavailableError where it does not know it, or nobody answers."""
    found = await rpc.call(subjects.providers(domain), b"", timeout_s=ASKED_S_MAX)
    for status in msgspec.json.decode(found, type=list[ProviderStatus]):
        if status.name == name:
            return status
    raise UnavailableError(name, f"the worker of {domain.value} was started without it")
