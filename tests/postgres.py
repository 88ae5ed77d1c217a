"""The embedded PostgreSQL for tests: one server for the whole run, an empty database for whoever asks."""

import asyncio
import atexit
import functools
import itertools
import shutil
import tempfile
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

import asyncpg

from adapters.postgres import Postgres
from deploy.embedded.postgres_server import PostgresServer

T = TypeVar("T")
_numbers = itertools.count(1)


class _Server:
    """Runs the server from a thread with a loop of its own, which lives as long as the tests."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="diarchy-tests-"))
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._server = PostgresServer(self._folder)
        self.run(self._server.start())
        self.dsn = self._server.dsn

    def run(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def stop(self) -> None:
        self.run(self._server.stop())
        shutil.rmtree(self._folder, ignore_errors=True)


@functools.cache
def _server() -> _Server:
    server = _Server()
    atexit.register(server.stop)
    return server


def fresh_database() -> str:
    """The address of a new, empty database."""
    server = _server()
    name = f"test_{next(_numbers)}"
    server.run(_create(server.dsn, name))
    return server.dsn.replace("/postgres?", f"/{name}?")


async def _create(dsn: str, name: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name} STRATEGY wal_log")
    finally:
        await connection.close()


async def contents(postgres: Postgres) -> dict[str, list[str]]:
    """Every row of every read model, as text, sorted."""
    async with postgres.connection() as connection:
        views = await connection.fetch("SELECT viewname FROM pg_views WHERE schemaname = 'read' ORDER BY 1")
        found: dict[str, list[str]] = {}
        for (view,) in views:
            rows = await connection.fetch(f"SELECT t::text FROM read.{view} t")  # noqa: S608 - a view's name
            found[view] = sorted(row[0] for row in rows)
    return found
