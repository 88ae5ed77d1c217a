"""The clients that a stack has to serve while its processes are struck."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from msgspec import Struct

from chaos.clients import Caller, asker, curator, http_client
from chaos.journal import Clock, Journal
from chaos.publisher import publisher
from chaos.stack import token, url
from contracts.domains import Clearance
from deploy.settings import Settings

GRACE_S = 60.0  # for what clients have begun when the striking is over

Dice = Callable[[str], random.Random]
"""A client's own, by its name."""


class Clients(Struct, frozen=True, kw_only=True):
    """How many of each kind."""

    askers: int
    curators: int
    publishers: int


@asynccontextmanager
async def under_load(settings: Settings, journal: Journal, clients: Clients, dice: Dice) -> AsyncIterator[None]:
    """Clients at work inside the block; what they have begun is finished at its end."""
    clock = Clock()
    async with AsyncExitStack() as stack:
        work = {}
        for kind, does, number in (("asker", asker, clients.askers), ("curator", curator, clients.curators)):
            for name in _names(kind, number):
                cleared = token(settings, name, ("cross_domain_user",), Clearance.INTERNAL)
                http = await stack.enter_async_context(http_client(url(settings), cleared))
                work[name] = does(Caller(name, http, journal, clock), dice(name))
        for name in _names("publisher", clients.publishers):
            work[name] = publisher(settings, name, journal, clock, dice(name))
        tasks = [asyncio.create_task(one, name=name) for name, one in work.items()]
        try:
            yield
            clock.stop(GRACE_S)
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _names(kind: str, number: int) -> list[str]:
    return [f"{kind}-{one}" for one in range(number)]
