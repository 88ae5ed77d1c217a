"""What the read models look like in PostgreSQL: `read` holds views on the serving builds, a build is a schema of its own.

A build's schema is `<name>_v<version>_<build>`.
`diarchy.projections` points to the serving build of each projection; who changes rows or the pointer holds a lock on that row.
`diarchy.positions` says how far each build has come in each domain.
"""

import functools
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar, get_args, get_type_hints

from msgspec import Struct
from msgspec.structs import astuple

from adapters.postgres import decode_rows, json_text
from contracts.domains import Clearance, Domain
from runtime.errors import ConflictError
from runtime.read_models import AnyProjection, Key, Projection

R = TypeVar("R", bound=Struct)
BOOTSTRAP_LOCK = "diarchy.bootstrap"
MAINTENANCE_S_MAX = 600.0  # of a command that reads a whole table
_LEVELS = ", ".join(f"'{level.value}'" for level in Clearance)
BOOTSTRAP = f"""
CREATE SCHEMA IF NOT EXISTS diarchy;
CREATE SCHEMA IF NOT EXISTS read;
DO $$ BEGIN
  IF to_regtype('diarchy.clearance') IS NULL THEN
    CREATE TYPE diarchy.clearance AS ENUM ({_LEVELS});
  END IF;
END $$;
CREATE SEQUENCE IF NOT EXISTS diarchy.builds;
CREATE TABLE IF NOT EXISTS diarchy.projections (
  name text PRIMARY KEY, version integer NOT NULL, build bigint NOT NULL,
  previous_version integer, previous_build bigint, serving_since timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS diarchy.positions (
  name text, build bigint, domain text, sequence bigint NOT NULL, PRIMARY KEY (name, build, domain)
);
"""
# Names in SQL: those of projections, tables and columns were checked by Projection, builds are numbers.


def schema_of(name: str, version: int, build: int) -> str:
    return f"{name}_v{version}_{build}"


class PostgresBatch:
    """Reads and writes rows of one build in an open transaction."""

    def __init__(self, connection: Any, projection: AnyProjection, build: int, domain: Domain, position: int) -> None:
        self._connection = connection
        self._name = projection.name
        self._build = build
        self._schema = schema_of(projection.name, projection.version, build)
        self._domain = domain
        self.position = position

    async def load(self, projection: Projection[R], keys: Sequence[Key]) -> list[R]:
        sql = f"SELECT row_to_json(t)::text FROM {self._schema}.{projection.table} t WHERE {_matches(projection)}"  # noqa: S608 - constants
        return decode_rows(projection.row, await self._connection.fetch(sql, *zip(*keys, strict=True)))

    async def save(self, projection: Projection[R], rows: Sequence[R]) -> None:
        if projection.appends:
            place = {"schema_name": self._schema, "columns": projection.row.__struct_fields__}
            await self._connection.copy_records_to_table(
                projection.table, records=_plain(projection.row, rows), **place
            )
        else:
            await self._connection.execute(_save_sql(projection, self._schema), json_text(rows))

    async def remove(self, projection: Projection[R], keys: Sequence[Key]) -> None:
        sql = f"DELETE FROM {self._schema}.{projection.table} t WHERE {_matches(projection)}"  # noqa: S608 - constants
        await self._connection.execute(sql, *zip(*keys, strict=True))

    async def advance(self, sequence: int) -> None:
        await self._connection.execute(
            "INSERT INTO diarchy.positions (name, build, domain, sequence) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (name, build, domain) DO UPDATE SET sequence = excluded.sequence",
            *(self._name, self._build, self._domain.value, sequence),
        )
        self.position = sequence


def _matches(projection: AnyProjection) -> str:
    columns = projection.key_columns
    arrays = ", ".join(f"${number}::text[]" for number in range(1, len(columns) + 1))
    return f"({', '.join(columns)}) IN (SELECT * FROM unnest({arrays}))"  # noqa: S608 - constants


def _save_sql(projection: AnyProjection, schema: str) -> str:
    """All rows in one JSON argument: the server gives every field the type of its column."""
    table = f"{schema}.{projection.table}"
    columns = ", ".join(projection.row.__struct_fields__)
    insert = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(NULL::{table}, $1::json)"  # noqa: S608 - constants
    others = [column for column in projection.row.__struct_fields__ if column not in projection.key_columns]
    changes = ", ".join(f"{column} = excluded.{column}" for column in others)
    return f"{insert} ON CONFLICT ({', '.join(projection.key_columns)}) DO UPDATE SET {changes}"


def _plain(kind: type[Struct], rows: Sequence[Struct]) -> Iterator[Sequence[object]]:
    """The rows for COPY: levels by name, texts without the character NUL, which PostgreSQL does not store."""
    levels, texts = _columns(kind)
    for row in rows:
        values = list(astuple(row))
        for column in levels:
            level = values[column]
            values[column] = level and level._value_  # `value` is a descriptor in Python and takes four times as long.
        for column in texts:
            value = values[column]
            if value.__class__ is str and "\0" in value:
                values[column] = value.replace("\0", "\ufffd")
        yield values


@functools.cache
def _columns(kind: type[Struct]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which columns of a row are levels, and which may be texts."""
    types = get_type_hints(kind)
    columns = [(number, types[name]) for number, name in enumerate(kind.__struct_fields__)]
    levels = tuple(number for number, of in columns if Clearance in (of, *get_args(of)))
    never = (Domain, int, float, bool, datetime)
    return levels, tuple(number for number, of in columns if number not in levels and of not in never)


class Pointer(Struct, frozen=True):
    """Which build of a projection is served, and which one was before."""

    version: int
    build: int
    previous_version: int | None = None
    previous_build: int | None = None


async def lock_pointer(connection: Any, name: str) -> Pointer:
    """The serving build, standing still until the transaction ends. Raises ConflictError where there is none."""
    row = await connection.fetchrow(
        "SELECT version, build, previous_version, previous_build FROM diarchy.projections WHERE name = $1 FOR UPDATE",
        name,
    )
    if row is None:
        raise ConflictError(f"projection {name} was never prepared")
    return Pointer(*row)


async def read_positions(connection: Any, name: str, build: int) -> dict[Domain, int]:
    rows = await connection.fetch(
        "SELECT domain, sequence FROM diarchy.positions WHERE name = $1 AND build = $2", name, build
    )
    return {Domain(row[0]): row[1] for row in rows}


async def create_build(connection: Any, projection: AnyProjection) -> int:
    """An empty schema with the projection's tables, without its indexes; its number."""
    build: int = await connection.fetchval("SELECT nextval('diarchy.builds')")
    schema = schema_of(projection.name, projection.version, build)
    await connection.execute(f"CREATE SCHEMA {schema}")
    await _execute_in(connection, schema, projection.ddl)
    return build


async def create_indexes(connection: Any, projection: AnyProjection, build: int) -> None:
    """The indexes of a build. Over rows that are there this is faster than row by row: `runs` in 3 µs a row instead of 6."""
    if projection.indexes:
        await _execute_in(connection, schema_of(projection.name, projection.version, build), projection.indexes)


async def _execute_in(connection: Any, schema: str, sql: str) -> None:
    """Declarations with unqualified names, in this schema. Only within a transaction."""
    await connection.execute(
        f"SET LOCAL search_path = {schema}; {sql}; SET LOCAL search_path TO DEFAULT", timeout=MAINTENANCE_S_MAX
    )


async def drop_build(connection: Any, name: str, version: int, build: int) -> None:
    """Drop a build, unless it is the serving or the previous one by now: a swap may have been committed unheard."""
    pointer = await lock_pointer(connection, name)
    if build not in (pointer.build, pointer.previous_build):
        await connection.execute(f"DROP SCHEMA IF EXISTS {schema_of(name, version, build)} CASCADE")
        await connection.execute("DELETE FROM diarchy.positions WHERE name = $1 AND build = $2", name, build)


async def tables_of(connection: Any, schema: str) -> list[str]:
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY tablename", schema)
    return [row[0] for row in rows]


async def serve(connection: Any, schema: str, instead_of: str | None) -> None:
    """Point the views to the build. Columns may differ between versions, so the views are made anew."""
    for table in await tables_of(connection, instead_of or schema):
        await connection.execute(f"DROP VIEW IF EXISTS read.{table}")
    for table in await tables_of(connection, schema):
        await connection.execute(f"CREATE VIEW read.{table} AS SELECT * FROM {schema}.{table}")  # noqa: S608 - constants


def rebuild_lock(name: str) -> str:
    """What a rebuild of this projection locks (advisory) from its beginning to its end."""
    return f"diarchy.rebuild.{name}"
