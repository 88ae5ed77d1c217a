"""Workers of some domains only, on the memory adapters: the others are away until they are started."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec.structs import replace

from contracts.catalogue import decode_event
from contracts.domains import Domain
from contracts.envelope import Event, Stored
from runtime.actor import AnyActor
from runtime.guards import Guards
from tests.kernel_world import LIMITS, CountingModel, World

QUICK = {"ask_taken_s_max": 0.1, "ask_work_s_max": 0.1}
Body = Callable[[World], Coroutine[Any, Any, None]]


def played(
    body: Body,
    *up: Domain,
    actors: tuple[AnyActor, ...],
    guards: Guards | None = None,
    model: CountingModel | None = None,
    **limits: float,
) -> None:
    """With workers of the domains that are up."""

    async def world() -> None:
        running = World(*actors, model=model, limits=replace(LIMITS, **{**QUICK, **limits}))
        running.outside = replace(running.outside, guards=guards or running.outside.guards)
        await running.start(*up)
        try:
            await body(running)
        finally:
            await running.stop()

    asyncio.run(asyncio.wait_for(world(), 30))


async def also_up(world: World, domain: Domain) -> None:
    before = world.workers
    await world.start(domain)
    world.workers += before


def event_of(stored: Stored) -> Event:
    return decode_event(stored.record.envelope.type, stored.record.body)
