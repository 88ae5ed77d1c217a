"""The first administrator: asked for once, and a failure to is not silent."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from adapters.memory import MemoryBroker, MemoryLog, MemoryQueue
from contracts.domains import Domain
from contracts.subjects import actor_ref
from deploy.gateway_role import FirstAdministrator
from deploy.keys import ADMIN_PASSWORD_FILE
from deploy.plant import Plant
from deploy.settings import load


def plant(data: str) -> Plant:
    broker = MemoryBroker()
    parts = SimpleNamespace(settings=load(environment={}, data=data), log=MemoryLog(broker), queue=MemoryQueue(broker))
    return cast("Plant", parts)


def test_he_is_asked_for_once_and_the_process_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = plant(str(tmp_path))
        administrator = FirstAdministrator(world)
        await administrator.start()
        failed = asyncio.ensure_future(administrator.failed())
        partition = actor_ref(Domain.SYSTEM, "user", world.settings.gateway.admin_username).partition
        delivery = await world.queue.feed(Domain.SYSTEM, "inbox", partition).take()
        assert b"argon2id" in delivery.body
        assert administrator._task is not None
        await administrator._task
        await asyncio.sleep(0)
        assert not failed.done()
        failed.cancel()
        await administrator.stop()

    asyncio.run(asyncio.wait_for(scenario(), 20))
    assert (tmp_path / ADMIN_PASSWORD_FILE).exists()


def test_what_keeps_him_from_being_made_ends_the_process() -> None:
    async def scenario() -> None:
        administrator = FirstAdministrator(plant("/dev/null"))
        await administrator.start()
        with pytest.raises(OSError, match="/dev/null"):
            await administrator.failed()
        await administrator.stop()

    asyncio.run(asyncio.wait_for(scenario(), 20))
