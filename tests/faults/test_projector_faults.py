"""The projector and its database are killed in the middle of the work: nothing is doubled, nothing is lost."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from adapters.postgres import Postgres
from adapters.postgres_read_models import PostgresReadModels
from deploy.embedded.postgres_server import PostgresServer
from projections.catalogue import PROJECTIONS
from runtime.projector import ExactlyOnceProjector
from tests.histories import History
from tests.postgres import contents, fresh_database
from tests.projecting import Reached, database

SEED, STEPS = 21, 1_500
ROOT = Path(__file__).parents[2]


async def expected(history: History) -> dict[str, list[str]]:
    """What an undisturbed projector makes of the history."""
    async with database() as postgres:
        reached = Reached()
        models = PostgresReadModels(postgres)
        projector = ExactlyOnceProjector(history.log, models, PROJECTIONS, announce=reached.announce)
        await projector.start()
        await reached.all_of(history.log)
        await projector.stop()
        return await contents(postgres)


async def killed_after(dsn: str, announcements: int) -> None:
    """Let a projector process work until it has announced so often, then kill it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.projector_process", dsn, str(SEED), str(STEPS)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    for _ in range(announcements):
        assert await process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL


def test_a_projector_killed_again_and_again_projects_each_record_once() -> None:
    async def scenario() -> None:
        history = History(SEED)
        await history.some(STEPS)
        postgres = Postgres(fresh_database())
        for announcements in (6, 60, 23):
            await killed_after(postgres.dsn, announcements)
        assert 100 < len((await contents(postgres))["runs"]) < history.number  # the killed ones did a part of it
        reached = Reached()
        models = PostgresReadModels(postgres)
        projector = ExactlyOnceProjector(history.log, models, PROJECTIONS, announce=reached.announce)
        await projector.start()
        await reached.all_of(history.log)
        await projector.stop()
        assert await contents(postgres) == await expected(history)
        await postgres.close()

    asyncio.run(scenario())


def test_a_killed_database_is_waited_for_and_what_it_forgot_is_projected_again(data_folder: Path) -> None:
    async def scenario() -> None:
        history, reached = History(22), Reached()
        await history.some(300)
        server = PostgresServer(data_folder / "postgres")
        await server.start()
        postgres = Postgres(server.dsn)
        models = PostgresReadModels(postgres)
        projector = ExactlyOnceProjector(
            history.log, models, PROJECTIONS, announce=reached.announce, check_every_s=0.05
        )
        await projector.start()
        try:
            for _ in range(2):
                await history.some(400)
                await reached.all_of(history.log)  # committed a moment ago: perhaps not yet on the disk
                assert server.pid is not None
                os.kill(server.pid, signal.SIGKILL)
                await server.ended()
                await history.some(50)
                await server.start()
            await reached.all_of(history.log)
            wanted = await expected(history)
            async with asyncio.timeout(30):
                while await contents(postgres) != wanted:
                    continue  # What an idle domain lost is noticed at the next check.
        finally:
            await projector.stop()
            await postgres.close()
            await server.stop()

    asyncio.run(scenario())
