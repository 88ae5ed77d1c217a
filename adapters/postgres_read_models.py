"""The ReadModels port on PostgreSQL."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from adapters.postgres import Postgres
from adapters.postgres_builds import PostgresBuild, build_beside
from adapters.postgres_schema import (
    BOOTSTRAP,
    BOOTSTRAP_LOCK,
    PostgresBatch,
    create_build,
    create_indexes,
    drop_build,
    lock_pointer,
    rebuild_lock,
    schema_of,
    serve,
)
from contracts.domains import Domain
from runtime.errors import ConflictError
from runtime.read_models import AnyProjection, OutdatedError


class PostgresReadModels:
    """Bootstrap, folding and swapping of builds. Safe to start any number of times at once."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def prepare(self, projections: Sequence[AnyProjection]) -> dict[str, int]:
        versions: dict[str, int] = {}
        async with self._postgres.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", BOOTSTRAP_LOCK)
            await connection.execute(BOOTSTRAP)
            for one in projections:
                version = await connection.fetchval("SELECT version FROM diarchy.projections WHERE name = $1", one.name)
                if version is None:
                    build = await create_build(connection, one)
                    await create_indexes(connection, one, build)
                    insert = "INSERT INTO diarchy.projections (name, version, build) VALUES ($1, $2, $3)"
                    await connection.execute(insert, one.name, one.version, build)
                    await serve(connection, schema_of(one.name, one.version, build), None)
                versions[one.name] = version or one.version
                await _drop_left_over(connection, one.name)
        return versions

    async def positions(self, projection: AnyProjection) -> Mapping[Domain, int]:
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(
                "SELECT domain, sequence FROM diarchy.projections JOIN diarchy.positions USING (name, build) WHERE name = $1",
                projection.name,
            )
        return {Domain(row[0]): row[1] for row in rows}

    @asynccontextmanager
    async def batch(self, projection: AnyProjection, domain: Domain) -> AsyncIterator[PostgresBatch]:
        async with self._postgres.transaction() as connection:
            pointer = await lock_pointer(connection, projection.name)
            if pointer.version != projection.version:
                raise OutdatedError(
                    f"{projection.name} is served in version {pointer.version}, ours is {projection.version}"
                )
            position = await connection.fetchval(
                "SELECT sequence FROM diarchy.positions WHERE name = $1 AND build = $2 AND domain = $3",
                *(projection.name, pointer.build, domain.value),
            )
            yield PostgresBatch(connection, projection, pointer.build, domain, position or 0)

    @asynccontextmanager
    async def build(self, projection: AnyProjection) -> AsyncIterator[PostgresBuild]:
        async with build_beside(self._postgres, projection) as build:
            yield build

    async def roll_back(self, projection: AnyProjection) -> None:
        async with self._postgres.transaction() as connection:
            pointer = await lock_pointer(connection, projection.name)
            if pointer.previous_build is None or pointer.previous_version is None:
                raise ConflictError(f"projection {projection.name} has no previous build")
            await connection.execute(
                "UPDATE diarchy.projections SET version = previous_version, build = previous_build,"
                " previous_version = version, previous_build = build, serving_since = now() WHERE name = $1",
                projection.name,
            )
            previous = schema_of(projection.name, pointer.previous_version, pointer.previous_build)
            await serve(connection, previous, schema_of(projection.name, pointer.version, pointer.build))


async def _drop_left_over(connection: Any, name: str) -> None:
    """Drop the schemas of rebuilds that were killed: neither serving nor previous, and nobody is rebuilding."""
    schemas = await connection.fetch("SELECT nspname FROM pg_namespace WHERE nspname ~ $1", f"^{name}_v[0-9]+_[0-9]+$")
    builds = {
        int(number): int(version) for version, number in (row[0].rsplit("_v", 1)[1].split("_") for row in schemas)
    }
    pointer = await connection.fetchrow("SELECT build, previous_build FROM diarchy.projections WHERE name = $1", name)
    left = builds.keys() - set(pointer)
    if left and await connection.fetchval(
        "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", rebuild_lock(name)
    ):
        for build in left:
            await drop_build(connection, name, builds[build], build)
