"""PostgreSQL through asyncpg: the pool, what its errors mean to us, and questions to the read models."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import asyncpg
import msgspec
from msgspec import Struct

from runtime.errors import InvalidError, UnavailableError
from runtime.read_models import Value

R = TypeVar("R", bound=Struct)
POOL_CONNECTIONS_MAX = 10
CONNECT_S_MAX = 5.0
CLOSE_S_MAX = 2.0  # an orderly end of all connections; then they are cut

# A read model can be folded again from the log, so its commits need not wait for the disk: rows and position go together.
SETTINGS = {
    "application_name": "diarchy",
    "timezone": "UTC",
    "datestyle": "ISO",
    "jit": "off",
    "extra_float_digits": "1",
    "plan_cache_mode": "force_custom_plan",
    "synchronous_commit": "off",
}
_GONE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.QueryCanceledError,
)
# What JSON allows in a text and PostgreSQL does not: the character NUL, written \u0000 behind an even number of backslashes.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")

_encode: Callable[[object], bytes] = msgspec.json.Encoder().encode


def json_text(value: object) -> str:
    """JSON that PostgreSQL accepts: NUL characters become U+FFFD."""
    encoded = _encode(value)
    if b"\\u0000" in encoded:
        encoded = _NUL.sub(rb"\1\\ufffd", encoded)
    return encoded.decode()


class Patience(Struct, frozen=True, kw_only=True):
    """How long a server that hangs is waited for: for a connection of the pool, and for a command's end."""

    acquire_s_max: float = 60.0
    command_s_max: float = 60.0


class Postgres:
    """A bounded pool that connects when it is first needed and again whenever the server has come back."""

    def __init__(
        self, dsn: str, *, connections_max: int = POOL_CONNECTIONS_MAX, patience: Patience | None = None
    ) -> None:
        self.dsn = dsn
        self._connections_max = connections_max
        self._patience = patience or Patience()
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """One connection. Raises UnavailableError for everything that waiting can cure, also from within the block."""
        try:
            pool = self._pool or await self._open()
            connection = await pool.acquire(timeout=self._patience.acquire_s_max)
            try:
                yield connection
            except TimeoutError:
                connection.terminate()  # Else its release waits as long again for the command to be taken back.
                raise
            finally:
                await pool.release(connection)
        except TimeoutError as error:
            raise UnavailableError("postgres", "no answer in time") from error
        except _GONE as error:
            raise UnavailableError("postgres", f"{type(error).__name__}: {error}") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """One transaction, committed at the end of the block, rolled back when it raises."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def _open(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self.dsn,
                    min_size=0,
                    max_size=self._connections_max,
                    command_timeout=self._patience.command_s_max,
                    timeout=CONNECT_S_MAX,
                    server_settings=SETTINGS,
                )
            return self._pool

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            with suppress(TimeoutError):  # Then the pool has cut its connections.
                await asyncio.wait_for(pool.close(), CLOSE_S_MAX)


class PostgresDb:
    """Typed rows out of SELECTs: the server writes each row as JSON, msgspec reads it into the Struct."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def rows(self, kind: type[R], sql: str, *arguments: Value) -> list[R]:
        query = f"SELECT row_to_json(q)::text FROM ({sql}) q"  # noqa: S608 - our own text; values are arguments
        try:
            async with self._postgres.connection() as connection:
                found = await connection.fetch(query, *arguments)
        except asyncpg.DataError as error:
            raise InvalidError(f"the database cannot hold it: {error}") from error
        return decode_rows(kind, found)


def decode_rows(kind: type[R], found: list[Any]) -> list[R]:
    """Records of one JSON column as Structs."""
    decoder = msgspec.json.Decoder(kind)
    return [decoder.decode(record[0]) for record in found]
