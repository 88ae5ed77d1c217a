"""A rebuild in PostgreSQL: a schema beside the serving one, compared with it while that stands still, and swapped in."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from adapters.postgres import Postgres
from adapters.postgres_schema import (
    MAINTENANCE_S_MAX,
    Pointer,
    PostgresBatch,
    create_build,
    create_indexes,
    drop_build,
    lock_pointer,
    read_positions,
    rebuild_lock,
    schema_of,
    serve,
    tables_of,
)
from contracts.domains import Domain
from runtime.errors import UnavailableError
from runtime.read_models import AnyProjection, RebuildingError, TableCheck

SETTLE_LOCK_MS_MAX = 30_000
_log = logging.getLogger(__name__)


class PostgresSettlement:
    """The last transaction of a rebuild, on the connection that holds the rebuild's lock."""

    def __init__(
        self, connection: Any, projection: AnyProjection, number: int, pointer: Pointer, positions: Mapping[Domain, int]
    ) -> None:
        self._connection = connection
        self._projection = projection
        self._number = number
        self._pointer = pointer
        self._schema = schema_of(projection.name, projection.version, number)
        self._live_schema = schema_of(projection.name, pointer.version, pointer.build)
        self.live_positions = positions
        self.swapped = False

    @property
    def live_version(self) -> int:
        return self._pointer.version

    async def batch(self, domain: Domain) -> PostgresBatch:
        positions = await read_positions(self._connection, self._projection.name, self._number)
        return PostgresBatch(self._connection, self._projection, self._number, domain, positions.get(domain, 0))

    async def check(self) -> list[TableCheck]:
        live = set(await tables_of(self._connection, self._live_schema))
        checks: list[TableCheck] = []
        for table in await tables_of(self._connection, self._schema):
            rows, checksum = await self._checksum(f"{self._schema}.{table}")
            live_rows, live_checksum = (
                await self._checksum(f"{self._live_schema}.{table}") if table in live else (0, "")
            )
            checks.append(TableCheck(table, rows, checksum, live_rows, live_checksum))
        return checks

    async def _checksum(self, table: str) -> tuple[int, str]:
        """Number of rows, and the sums of two 64-bit hashes of each row: the same in whatever order rows come.

        Of its values, not of its text, which took four times as long. Values that are equal to PostgreSQL hash alike.
        """
        sums = [f"coalesce(sum(hash_record_extended(t, {seed})::numeric), 0)::text" for seed in (0, 1)]
        sql = f"SELECT count(*), {sums[0]} || '/' || {sums[1]} FROM {table} t"  # noqa: S608 - a name of ours
        # Not fetchrow: of what is read up to a limit PostgreSQL lets one process read it all.
        [row] = await self._connection.fetch(sql, timeout=MAINTENANCE_S_MAX)
        return row[0], row[1]

    async def swap(self) -> None:
        name, pointer = self._projection.name, self._pointer
        await self._connection.execute(
            "UPDATE diarchy.projections SET previous_version = version, previous_build = build, version = $2, build = $3,"
            " serving_since = now() WHERE name = $1",
            *(name, self._projection.version, self._number),
        )
        await serve(self._connection, self._schema, self._live_schema)
        if pointer.previous_build is not None and pointer.previous_version is not None:
            await drop_build(self._connection, name, pointer.previous_version, pointer.previous_build)
        self.swapped = True


class PostgresBuild:
    """One build beside the serving one."""

    def __init__(self, postgres: Postgres, connection: Any, projection: AnyProjection, number: int) -> None:
        self._postgres = postgres
        self._connection = connection
        self._projection = projection
        self._number = number
        self.swapped = False

    async def live(self) -> tuple[int, Mapping[Domain, int]]:
        name = self._projection.name
        async with self._postgres.transaction() as connection:
            pointer = await lock_pointer(connection, name)
            return pointer.version, await read_positions(connection, name, pointer.build)

    @asynccontextmanager
    async def batch(self, domain: Domain) -> AsyncIterator[PostgresBatch]:
        async with self._postgres.transaction() as connection:
            positions = await read_positions(connection, self._projection.name, self._number)
            yield PostgresBatch(connection, self._projection, self._number, domain, positions.get(domain, 0))

    @asynccontextmanager
    async def settle(self) -> AsyncIterator[PostgresSettlement]:
        connection = self._connection
        schema = schema_of(self._projection.name, self._projection.version, self._number)
        async with connection.transaction():
            await create_indexes(connection, self._projection, self._number)
        for table in await tables_of(connection, schema):  # The first queries after the swap need statistics.
            await connection.execute(f"ANALYZE {schema}.{table}", timeout=MAINTENANCE_S_MAX)
        async with connection.transaction():
            await connection.execute(
                f"SET LOCAL lock_timeout = {SETTLE_LOCK_MS_MAX}; SET LOCAL synchronous_commit = on"
            )
            pointer = await lock_pointer(connection, self._projection.name)
            positions = await read_positions(connection, self._projection.name, pointer.build)
            settlement = PostgresSettlement(connection, self._projection, self._number, pointer, positions)
            yield settlement
        self.swapped = settlement.swapped


@asynccontextmanager
async def build_beside(postgres: Postgres, projection: AnyProjection) -> AsyncIterator[PostgresBuild]:
    """A new build; dropped again unless it was swapped in. What a killed process leaves is dropped at the next start."""
    async with postgres.connection() as connection:
        lock = rebuild_lock(projection.name)
        if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", lock):
            raise RebuildingError(f"projection {projection.name} is already being rebuilt")
        async with connection.transaction():
            number = await create_build(connection, projection)
        build = PostgresBuild(postgres, connection, projection, number)
        try:
            yield build
        finally:
            if not build.swapped:
                await _drop(postgres, projection, number)


async def _drop(postgres: Postgres, projection: AnyProjection, number: int) -> None:
    try:
        async with postgres.transaction() as connection:
            await drop_build(connection, projection.name, projection.version, number)
    except UnavailableError as error:
        _log.warning("build %d of %s is dropped at the next start: %s", number, projection.name, error)
