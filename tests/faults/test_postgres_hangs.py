"""A database that hangs (it is there, and says nothing): whoever reads it is told in time, and goes on when it does."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from adapters.postgres import Patience, Postgres
from deploy.embedded.postgres_server import PostgresServer
from runtime.errors import UnavailableError

PATIENCE = Patience(acquire_s_max=0.3, command_s_max=0.3)
GIVEN_UP_S_MAX = 20.0  # of 0.6 that it should take: a machine may be slow, and who is not given up waits without end


@contextmanager
def hung(postmaster: int) -> Iterator[None]:
    """The server and all its backends, stopped where they are."""
    pids = [postmaster, *(child.pid for child in psutil.Process(postmaster).children(recursive=True))]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def one(postgres: Postgres) -> object:
    async with postgres.connection() as connection:
        return await connection.fetchval("SELECT 1")


def test_a_hung_database_is_given_up_in_time_and_taken_up_again(data_folder: Path) -> None:
    async def scenario() -> None:
        server = PostgresServer(data_folder)
        await server.start()
        postgres = Postgres(server.dsn, connections_max=2, patience=PATIENCE)
        try:
            assert await one(postgres) == 1
            assert server.pid is not None
            with hung(server.pid):
                began = time.monotonic()
                results = await asyncio.gather(*(one(postgres) for _ in range(6)), return_exceptions=True)
                assert time.monotonic() - began < GIVEN_UP_S_MAX
                assert {str(result) for result in results} == {"postgres is unavailable: no answer in time"}
            assert await one(postgres) == 1
        finally:
            await postgres.close()
            await server.stop()

    asyncio.run(scenario())


def test_a_pool_of_a_hung_database_is_closed_in_time(data_folder: Path) -> None:
    async def scenario() -> None:
        server = PostgresServer(data_folder)
        await server.start()
        postgres = Postgres(server.dsn, patience=PATIENCE)
        try:
            assert await one(postgres) == 1
            assert server.pid is not None
            with hung(server.pid):
                async with asyncio.timeout(30):
                    with pytest.raises(UnavailableError):
                        await one(postgres)
                    await postgres.close()
        finally:
            await server.stop()

    asyncio.run(scenario())
