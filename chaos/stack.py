"""The stack under test: the real processes under the real supervisor, as `diarchy up` runs them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from contracts.domains import Clearance
from contracts.users import Role as PersonRole
from deploy.embedded.supervisor import OnState, Role, Supervisor, standard_roles
from deploy.keys import signing_key
from deploy.settings import Nats, Settings, load
from deploy.stack import prepared, url_of
from gateway.identity import Principal, Tokens

SERVERS = ("nats", "postgres")
SEVERAL = ("sophia", "artemis", "ceo")
"""The roles that may run several times."""

TOKEN_S = 6 * 3_600
UNCOUNTED = {
    f"{kind}requests_per_{period}_max": 1_000_000_000
    for kind in ("", "cross_", "import_")
    for period in ("minute", "hour")
}
"""A client here asks more often than a person may."""


class Plan(Struct, frozen=True, kw_only=True):
    """What stack to run: where, how many workers a domain, which model servers, and limits other than the defaults."""

    data: Path
    models: Path
    workers: int = 1
    model_url: str = ""
    limits: dict[str, int] = {}
    nats: Nats = Nats()  # Other than the embedded broker.


def roles(workers: int) -> list[Role]:
    """The standard roles; each domain's as often as there are to be workers, the second named `sophia-2`."""
    return [
        Role(role.name if number == 1 else f"{role.name}-{number}", role.argv)
        for role in standard_roles()
        for number in range(1, 1 + (workers if role.name in SEVERAL else 1))
    ]


def parts(workers: int) -> list[str]:
    """Every process that can be struck, by name."""
    return [*SERVERS, *(role.name for role in roles(workers))]


@asynccontextmanager
async def running(plan: Plan, on_state: OnState) -> AsyncIterator[Supervisor]:
    """The stack, ready on a free port; stopped at the end. Raises StartError."""
    supervisor = Supervisor(prepared(_settings(plan), 0), roles(plan.workers), on_state=on_state)
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.stop()


def _settings(plan: Plan) -> Settings:
    tree: dict[str, Any] = {"data": str(plan.data), "models": str(plan.models), "limits": {**UNCOUNTED, **plan.limits}}
    if plan.model_url:
        tree["chat"] = [{"name": "counting", "base_url": plan.model_url, "model": "counting", "timeout_s": 30.0}]
    return msgspec.structs.replace(load(environment={}, **tree), nats=plan.nats)


def url(settings: Settings) -> str:
    return url_of(settings)


def token(settings: Settings, name: str, given: Sequence[PersonRole], clearance: Clearance) -> str:
    """A bearer token that outlives the run."""
    principal = Principal(username=name, roles=tuple(given), clearance=clearance)
    return Tokens(signing_key(settings)).issue(principal, datetime.now(UTC), lifetime_s=TOKEN_S)
